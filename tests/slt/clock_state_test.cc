// What the clock proves dead is freed: rows that have left a filter for good, and rows of a join by
// time that are too old for any partner.
#include <gtest/gtest.h>

#include "support.h"
#include "world.h"

namespace weir {
namespace {

constexpr Micros kHour = 60 * kMinute;

const std::vector<std::pair<std::string, std::string>> kClockViews = {
    {"recent", "SELECT n FROM o WHERE ts > now() - INTERVAL 2 HOURS"},
    {"a_day_old", "SELECT n FROM o WHERE ts > now() - INTERVAL 1 DAY"},
    {"recent_by_local_time", "SELECT n FROM o WHERE local >= localtimestamp - INTERVAL 2 HOURS"},
    {"since_yesterday", "SELECT n FROM o WHERE local::DATE >= current_date - 1"},
    {"followed",
     "SELECT o.n, c.n AS click FROM o JOIN c ON o.item = c.item AND c.ts BETWEEN o.ts AND o.ts + "
     "INTERVAL 1 MINUTE WHERE o.ts > now() - INTERVAL 2 HOURS"},
    {"followed_by_local_time",
     "SELECT o.n, c.n AS click FROM o JOIN c ON o.item = c.item AND c.local BETWEEN o.local AND "
     "o.local + INTERVAL 1 MINUTE WHERE o.local > now() - INTERVAL 2 HOURS"},
    {"preceded",
     "SELECT o.n, c.n AS click FROM (SELECT * FROM o WHERE ts > now() - INTERVAL 2 HOURS) o LEFT "
     "JOIN c ON o.item = c.item AND c.ts >= o.ts - INTERVAL 10 SECONDS AND c.ts <= o.ts"},
};

class ClockState : public testing::TestWithParam<const char*> {};

TEST_P(ClockState, IsFreedOfWhatHasLeftForGood) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's allocator tells no sizes";
#endif
  World world;
  world.Execute(
      "SET TimeZone = '" + std::string(GetParam()) +
      "'; CREATE STREAM o (n INTEGER, item INTEGER, ts TIMESTAMPTZ WITH (epoch = 'us'), "
      "local TIMESTAMP WITH (epoch = 'us')); CREATE STREAM c (n INTEGER, item INTEGER, ts "
      "TIMESTAMPTZ WITH (epoch = 'us'), local TIMESTAMP WITH (epoch = 'us'));");
  for (auto& [name, query] : kClockViews) {
    world.Execute("CREATE MATERIALIZED VIEW " + name + " AS " + query);
  }
  SeededRandom random(5);
  int next = 0;
  auto an_hour = [&] {
    for (const char* stream : {"o", "c"}) {
      std::string body;
      for (int i = 0; i < 100; i++) {
        Micros ts = world.clock().Now() - static_cast<Micros>(random.Below(kHour));
        body += R"({"n":)" + std::to_string(next++) + R"(,"item":)" +
                std::to_string(random.Below(20)) + R"(,"ts":)" + std::to_string(ts) +
                R"(,"local":)" + std::to_string(ts) + "}\n";
      }
      ASSERT_TRUE(world.Ingest(stream, RowFormat::kNdjson, body).rejected.empty());
    }
    world.Advance(kHour);
    world.Settle();
  };
  constexpr int kFull = 4 * 24;  // hours until as much leaves as comes, days of grace included
  for (int i = 0; i < kFull; i++) an_hour();
  auto before = world.StateBytes();
  for (int i = 0; i < 2 * kFull; i++) an_hour();
  auto after = world.StateBytes();
  for (auto& [name, query] : kClockViews) {
    EXPECT_GT(before[name], 0u) << name;
    EXPECT_LT(after[name], 3 * before[name] / 2) << name;
  }
  for (auto& verdict : world.VerifyViews().views) {
    EXPECT_TRUE(verdict.equal) << DescribeVerdict(verdict);
  }
}

INSTANTIATE_TEST_SUITE_P(In, ClockState, testing::Values("UTC", "Europe/Berlin"),
                         [](auto& info) { return info.index ? "Berlin" : "Utc"; });

}  // namespace
}  // namespace weir
