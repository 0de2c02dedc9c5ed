// Random streams of events, batch sizes, clock moves, restarts and crashes over a list of views
// (random/*.sql), each compared with its batch query again and again.
//
//   WEIR_SEED=7 WEIR_STEPS=20000 build/slt_test --gtest_filter='*Random*'
//
// Builds that check more, and others with WEIR_CHECK_INVARIANTS=1, look at what is kept as well.
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/random.h"
#include "random_events.h"
#include "support.h"
#include "views/test_engine.h"
#include "world.h"

namespace weir {
namespace {

// What a step costs grows with the steps before it where views multiply rows.
uint64_t DefaultSteps(const std::string& list) { return list == "views" ? 1000 : 300; }

// Keys of each table where the views are over tables: rows of one change and go.
constexpr uint64_t kKeys = 150;

// Makes the streams of a list of statements tables.
std::string AsTables(std::string text) {
  for (auto at = text.find("CREATE STREAM"); at != text.npos; at = text.find("CREATE STREAM", at)) {
    text.replace(at, 13, "CREATE TABLE");
    text.insert(text.find(");", at), ", PRIMARY KEY (id)");
  }
  return text;
}

std::string RandomWrite(Random& random) {
  std::string table = random.OneIn(2) ? "r" : "s", other = table == "r" ? "s" : "r";
  std::string number = std::to_string(random.Below(kKeys));
  switch (random.Below(7)) {
    case 0: return "DELETE FROM " + table + " WHERE h = " + std::to_string(random.Below(4));
    case 1: return "DELETE FROM " + table + " WHERE id IN (SELECT id FROM " + other + " WHERE f)";
    case 2: return "UPDATE " + table + " SET g = 'b', i = i + 1 WHERE id < " + number;
    case 3:
      // A key that a row has moved to before is taken.
      return "UPDATE " + table + " SET id = id + " + std::to_string(kKeys) +
             " WHERE id = " + number + " AND id + " + std::to_string(kKeys) +
             " NOT IN (SELECT id FROM " + table + ")";
    case 4:
      return "INSERT INTO " + table + " SELECT * FROM " + other +
             " ON CONFLICT DO UPDATE SET h = excluded.h, d = d / 2 WHERE excluded.f";
    case 5: return "INSERT OR IGNORE INTO " + table + " SELECT * FROM " + other;
    default:
      return random.OneIn(4) ? "TRUNCATE " + table : "UPDATE " + table + " SET tags = ['x', g]";
  }
}

class RandomViews : public testing::TestWithParam<std::tuple<const char*, bool>> {};

TEST_P(RandomViews, EveryViewIsItsBatchQueryAfterEveryKindOfStep) {
  auto [list, tables] = GetParam();
  uint64_t seed = FromEnvironment("WEIR_SEED", SystemRandom().Next() % 1'000'000);
  uint64_t steps = FromEnvironment("WEIR_STEPS", DefaultSteps(list) / (tables ? 2 : 1));
  uint64_t between = FromEnvironment("WEIR_CHECK_EVERY", 20);
  std::printf("WEIR_SEED=%llu WEIR_STEPS=%llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(steps));
  SeededRandom random(seed);
  World world;
  RandomEvents events(random, tables ? kKeys : 0);
  std::string folder = std::string(WEIR_SLT_FOLDER) + "/random/";
  std::string streams = ReadText(folder + "streams.sql");
  world.Execute(tables ? AsTables(streams) : streams);
  world.Execute(ReadText(folder + list + ".sql"));
  for (auto& verdict : world.VerifyViews().views) {
    auto& info = world.Info(verdict.name);
    bool expected = verdict.name.starts_with("recomputed_");
    EXPECT_EQ(info.rung == Rung::kRecompute, expected)
        << verdict.name << ": " << world.engine().ExplainView(verdict.name, false);
  }
  for (uint64_t step = 1; step <= steps; step++) {
    switch (random.Below(40)) {
      case 0: world.Advance(static_cast<Micros>(random.Below(40)) * 24 * 60 * kMinute); break;
      case 1:
      case 2:
      case 3: world.Advance(static_cast<Micros>(random.Below(180)) * kMinute); break;
      case 4:
      case 5: world.Advance(static_cast<Micros>(random.Below(1'000'000))); break;
      case 6:
        if (random.OneIn(8)) world.Restart();
        break;
      case 7:
        if (random.OneIn(8)) world.Crash(random);
        break;
      case 8:
        if (random.OneIn(4)) world.Land();
        break;
      case 9: {  // views come and go while events do
        world.Execute(
            "CREATE OR REPLACE MATERIALIZED VIEW passing AS "
            "SELECT g, count(*) AS n, sum(i) FROM s WHERE h < " +
            std::to_string(random.Below(4)) + " GROUP BY g");
        break;
      }
      case 10:
      case 11:
      case 12:
      case 13:
        if (tables) {
          std::string write = RandomWrite(random);
          SCOPED_TRACE(write);
          world.Execute(write);
          break;
        }
        [[fallthrough]];
      default: {
        uint64_t rows = random.OneIn(30) ? 5000 : 1 + random.Below(40);
        auto answer = world.Ingest(random.OneIn(3) ? "r" : "s", RowFormat::kNdjson,
                                   events.Body(world.clock().Now(), rows));
        ASSERT_EQ(answer.accepted, rows) << answer.rejected.at(0).reason;
      }
    }
    if (step % between != 0 && step != steps) continue;
    world.Settle();
    if (ChecksInvariants()) EngineForTests::CheckInvariants(world.engine());
    for (auto& verdict : world.VerifyViews().views) {
      ASSERT_TRUE(verdict.equal) << "WEIR_SEED=" << seed << " step " << step << ": "
                                 << DescribeVerdict(verdict);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(From, RandomViews,
                         testing::Combine(testing::Values("views", "joins", "intervals", "windows",
                                                          "thresholds"),
                                          testing::Bool()),
                         [](auto& info) {
                           return std::string(std::get<0>(info.param)) +
                                  (std::get<1>(info.param) ? "OfTables" : "");
                         });

}  // namespace
}  // namespace weir
