// No memory at any point of what the engine's thread does: the process lives, what could not be
// done parks the views it concerns, and what the others show is right.
#include <gtest/gtest.h>

#include "base/test_allocations.h"
#include "views/test_engine.h"

namespace weir {
namespace {

const std::map<std::string, std::string> kViewQueries = {
    {"sums", "SELECT n % 3 AS k, count(*) AS c, sum(n) AS s FROM s GROUP BY k"},
    {"plain", "SELECT n + 1 AS m FROM s"},
    {"joined", "SELECT s.n, t.n AS o FROM s JOIN t ON s.n = t.n"},
    {"failing",
     "SELECT 10 // n::INTEGER AS q, CAST(CASE WHEN n = 3 THEN 'x' ELSE '1' END AS INTEGER) AS z "
     "FROM s"},
    {"other", "SELECT count(*) AS c, max(n) AS m FROM t"},
};

class MemoryTest : public testing::Test {
 protected:
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  void SetUp() override { GTEST_SKIP() << "a sanitizer has an allocator of its own"; }
#endif
  void Make(const std::string& name, const char* how = "CREATE") {
    world.Execute(std::string(how) + " MATERIALIZED VIEW " + name + " AS " + kViewQueries.at(name));
  }
  // What each view has to show, by hand.
  std::map<std::string, std::vector<std::string>> Right() const {
    std::map<std::string, std::vector<std::string>> right;
    std::map<int, std::pair<int, int>> sums;
    for (int n : of_s) {
      sums[n % 3].first++;
      sums[n % 3].second += n;
      right["plain"].push_back(std::to_string(n + 1));
      for (int m : of_t) {
        if (m == n) right["joined"].push_back(std::to_string(n) + "|" + std::to_string(m));
      }
      if (n != 3) right["failing"].push_back(n ? std::to_string(10 / n) + "|1" : "NULL|1");
    }
    for (auto& [k, sum] : sums) {
      right["sums"].push_back(std::to_string(k) + "|" + std::to_string(sum.first) + "|" +
                              std::to_string(sum.second));
    }
    right["other"].push_back(std::to_string(of_t.size()) + "|" +
                             std::to_string(*std::max_element(of_t.begin(), of_t.end())));
    for (auto& [name, rows] : right) std::sort(rows.begin(), rows.end());
    return right;
  }
  void Append() {
    world.Append("s", {{std::to_string(next % 7)}, {std::to_string(next % 5)}});
    world.Append("t", {{std::to_string(next % 7)}});
    of_s.push_back(next % 7);
    of_s.push_back(next % 5);
    of_t.push_back(next % 7);
    next++;
  }

  TestEngine world;
  std::vector<int> of_s, of_t;
  int next = 0;
};

TEST_F(MemoryTest, AnAllocationThatFailsAnywhereParksWhatItConcerns) {
  constexpr int kRounds = 80;
  world.options.checkpoint_directory = "";
  world.Open();
  world.Execute("CREATE STREAM s (n INTEGER); CREATE STREAM t (n INTEGER);");
  for (auto& [name, query] : kViewQueries) Make(name);
  Append();
  world.Settle();
  int parked = 0, live = 0;
  for (int round = 0; round < kRounds; round++) {
    // One alone, or some in a row: then what is done about the first fails, too.
    int64_t good = round * 6, bad = round % 3 == 2 ? 40 : 1;
    EngineForTests::Run(*world.engine, [good, bad] { FailingAllocations::After(good, bad); });
    Append();
    world.Settle();
    EngineForTests::Run(*world.engine, [] { FailingAllocations::Never(); });
    EngineForTests::CheckInvariants(*world.engine);
    Append();
    world.Settle();
    auto right = Right();
    for (auto& [name, query] : kViewQueries) {
      auto info = world.Info(name);
      if (info.status == ViewStatus::kParked) {
        parked++;
        Make(name, "CREATE OR REPLACE");
        continue;
      }
      live++;
      ASSERT_EQ(world.Read(name), right[name]) << name << " after " << good << " allocations";
    }
    world.Settle();
    for (auto& [name, query] : kViewQueries) {
      ASSERT_EQ(world.Read(name), right[name]) << name << ", made anew";
    }
  }
  EXPECT_GT(live, kRounds);
  EXPECT_GT(parked, 0);
}

// What a pump says is in its stream once, whichever allocation fails on the way; what an operator
// fails on parks the pump, and one made in its place goes on from there.
TEST_F(MemoryTest, AnAllocationThatFailsAnywhereLosesNoRowOfAPumpAndDoublesNone) {
  constexpr int kRounds = 60;
  world.options.checkpoint_directory = "";
  world.Open();
  world.Execute("CREATE STREAM s (n INTEGER); CREATE STREAM derived (m INTEGER);");
  auto derived = world.catalog.Current()->GetStream("derived");
  auto make_pump = [&] {
    InputMark now = world.engine->Now();
    world.catalog.Change([&](CatalogState& state) {
      auto pump = std::make_shared<Pump>();
      pump->id = state.next_id++;
      pump->name = "doubled";
      pump->stream = derived->id;
      pump->query = "SELECT 2 * n AS m FROM s";
      pump->kernel_sql = KernelSql(pump->query);
      pump->start = {now.offset, now.clock, now.log_time};
      state.pumps[pump->name] = pump;
    });
    world.engine->Reconcile();
    world.Until([&] { return world.engine->PumpInfos().at(0).status == ViewStatus::kLive; });
  };
  auto info = [&] { return world.engine->PumpInfos().at(0); };
  auto is_through = [&](Offset end) {
    auto now = info();
    return now.status == ViewStatus::kLive && now.emitted.offset >= end;
  };
  auto in_stream = [&] {
    std::vector<int> rows;
    auto reader = world.log->Read(Offset{}, {}, derived->id);
    while (auto record = reader->Next()) {
      for (auto& chunk : DecodeBlock(record->record.payload, derived->Types(), {0}).chunks) {
        for (size_t row = 0; row < chunk->size(); row++) {
          rows.push_back(chunk->GetValue(0, row).GetValue<int>());
        }
      }
    }
    return rows;
  };
  make_pump();
  std::vector<int> right;
  int parked = 0, sent_again = 0;
  for (int round = 0; round < kRounds; round++) {
    int64_t good = round * 2, bad = 1 + round % 2;  // DuckDB's own destructors need some memory
    EngineForTests::Run(*world.engine, [good, bad] { FailingAllocations::After(good, bad); });
    Offset end = world.Append("s", {{std::to_string(round)}});
    right.push_back(2 * round);
    bool troubled = false;
    world.Until([&] {
      auto now = info();
      bool is_parked = now.status == ViewStatus::kParked;
      troubled |= !is_parked && now.error;
      return is_parked ? now.waiting_bytes == 0 : is_through(end);
    });
    EngineForTests::Run(*world.engine, [] { FailingAllocations::Never(); });
    if (info().status == ViewStatus::kParked) {
      parked++;
      if (in_stream().size() < right.size()) right.pop_back();
      make_pump();
    } else {
      sent_again += troubled;
    }
    ASSERT_EQ(in_stream(), right) << "after " << good << " allocations";
  }
  EXPECT_GT(parked, 0);
  EXPECT_GT(sent_again, 0);
}

}  // namespace
}  // namespace weir
