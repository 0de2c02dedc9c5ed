// The engine's promises to those who read, wait and watch.
#include <gtest/gtest.h>

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/function/scalar_function.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/parser/parsed_data/create_scalar_function_info.hpp"
#include "io/process/thread_pool.h"
#include "views/test_engine.h"

namespace weir {
namespace {

using Lines = std::vector<std::string>;
using Rows = std::vector<std::vector<std::string>>;

class EngineTest : public testing::Test {
 protected:
  void Open() {
    world.Open();
    world.Execute("CREATE STREAM s (n INTEGER);");
  }
  std::future<bool> Wait(const std::string& view, Offset offset, Micros micros) {
    auto promise = std::make_shared<std::promise<bool>>();
    auto answer = promise->get_future();
    auto done = [promise](bool reached) { promise->set_value(reached); };
    Micros deadline = SystemClock().Monotonic() + micros;
    if (view.empty()) {
      world.engine->WaitFor(offset, deadline, pool, done);
    } else {
      world.engine->WaitForView(view, offset, deadline, pool, done);
    }
    return answer;
  }
  // The engine is in a step, or a task, until this is let go.
  std::shared_ptr<std::atomic<bool>> HoldEngine() {
    auto held = std::make_shared<std::atomic<bool>>(true);
    auto inside = std::make_shared<std::atomic<bool>>(false);
    holder = std::thread([this, held, inside] {
      EngineForTests::Run(*world.engine, [held, inside] {
        *inside = true;
        while (*held) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      });
    });
    while (!*inside) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return held;
  }
  void LetGo(const std::shared_ptr<std::atomic<bool>>& held) {
    *held = false;
    holder.join();
  }

  ThreadPool pool{1};
  TestEngine world;
  std::thread holder;
};

TEST_F(EngineTest, LagIsOfWhatIsNotPublishedNowAndEndsWithIt) {
  Open();
  world.Append("s", {{"1"}});
  world.Settle();
  world.Until([&] { return world.engine->Info().lag == 0; });
  world.clock.now += 60'000'000;  // nothing waits, so nothing is late
  EXPECT_EQ(world.engine->Info().lag, 0);
  auto held = HoldEngine();
  world.Append("s", {{"2"}});
  world.clock.now += 5'000'000;
  EXPECT_EQ(world.engine->Info().lag, 5'000'000);
  world.clock.now += 1'000'000;
  EXPECT_EQ(world.engine->Info().lag, 6'000'000);
  LetGo(held);
  world.Settle();
  world.Until([&] { return world.engine->Info().lag == 0; });
}

TEST_F(EngineTest, ADeadlineIsKeptWhileTheEngineIsInAStep) {
  Open();
  world.Execute("CREATE MATERIALIZED VIEW v AS SELECT n FROM s");
  world.Settle();
  auto held = HoldEngine();
  Offset end = world.Append("s", {{"1"}});
  EXPECT_FALSE(Wait("v", end, 100'000).get());
  auto patient = Wait("v", end, 60'000'000);
  LetGo(held);
  EXPECT_TRUE(patient.get());
  EXPECT_EQ(world.Read("v"), Lines{"1"});
}

// What somebody does with what he waited for takes as long as it takes: views go on.
TEST_F(EngineTest, WhoReadsForLongAfterAStepHoldsNobodyUp) {
  Open();
  world.Execute("CREATE MATERIALIZED VIEW v AS SELECT n FROM s");
  world.Settle();
  std::promise<void> reading, read;
  auto until_read = read.get_future().share();
  Micros deadline = SystemClock().Monotonic() + 60'000'000;
  auto read_on = [&reading, until_read](bool) {
    reading.set_value();
    until_read.wait();
  };
  world.engine->WaitFor({world.log->End().value + 1}, deadline, pool, read_on);
  world.Append("s", {{"1"}});
  reading.get_future().wait();
  world.Append("s", {{"2"}});
  world.Settle();
  EXPECT_EQ(world.Read("v"), (Lines{"1", "2"}));
  read.set_value();
}

// Who looks at views does so while they are filled, parked, replaced and dropped by others.
TEST_F(EngineTest, ViewsAreLookedAtWhileTheyChange) {
  Open();
  world.Append("s", Rows(3'000, {"1"}));
  std::atomic<bool> ends{false};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    while (!ends) {
      for (auto& info : world.engine->ViewInfos()) EXPECT_FALSE(info.name.empty());
      world.engine->OperatorInfos();
      EXPECT_GE(world.engine->Info().offset.value, 0u);
    }
  });
  threads.emplace_back([&] {
    for (int i = 0; !ends; i++) {
      try {
        auto query = "SELECT n + " + std::to_string(i % 3) + " FROM s";
        EXPECT_FALSE(world.engine->Subscribe(KernelSql(query)).view.empty());
      } catch (const Error& error) {  // views came and went in between, again and again
        EXPECT_EQ(error.code, ErrorCode::kUnavailable);
      }
    }
  });
  for (int round = 0; round < 30; round++) {
    world.Execute(
        "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT n, count(*) AS c FROM s GROUP BY n");
    world.Append("s", {{"2"}});
    if (round % 3 == 0) world.Settle();
    EngineForTests::FailOperator(*world.engine, "v", "aggregate");
    world.Append("s", {{"2"}});
    if (round % 4 == 0) world.Execute("DROP VIEW v");
  }
  ends = true;
  for (auto& thread : threads) thread.join();
  world.Execute(
      "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT n, count(*) AS c FROM s GROUP BY n");
  world.Settle();
  EXPECT_EQ(world.Read("v"), (Lines{"1|3000", "2|60"}));
}

TEST_F(EngineTest, WhoWaitsIsAnsweredWhenItStops) {
  Open();
  auto waiting = Wait("", Offset{1'000'000}, 600'000'000);
  world.engine->Stop();
  EXPECT_FALSE(waiting.get());
}

TEST_F(EngineTest, WaitingForAViewLastsThroughItsFilling) {
  Open();
  world.Append("s", Rows(50'000, {"1"}));
  world.Settle();
  std::atomic<bool> go_on{false};
  world.history->in_sink = [&](Offset) {
    while (!go_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  world.Execute("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c FROM s");
  auto impatient = Wait("v", Offset{1}, 30'000), patient = Wait("V", Offset{1}, 60'000'000);
  EXPECT_FALSE(impatient.get());
  go_on = true;
  EXPECT_TRUE(patient.get());
  EXPECT_EQ(world.Read("v"), Lines{"50000"});
}

// While a replacement is filled the one before answers, and is not taken for it.
TEST_F(EngineTest, AReplacedViewIsBeingFilledUntilTheNewOneAnswers) {
  Open();
  world.Append("s", Rows(50'000, {"1"}));
  world.Execute("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c FROM s");
  world.Settle();
  auto before = world.Info("v");
  EXPECT_EQ(before.version, before.answering);
  EXPECT_EQ(world.engine->Read({"v"})[0].version, before.version);
  EXPECT_FALSE(world.engine->Read({"v"})[0].replaced_by);
  std::atomic<bool> go_on{false};
  world.history->in_sink = [&](Offset) {
    while (!go_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  world.Execute("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT sum(n) AS s, 7 AS t FROM s");
  auto info = world.Info("v");
  EXPECT_EQ(info.status, ViewStatus::kFilling);
  EXPECT_LT(info.progress, 1);
  EXPECT_EQ(info.columns.size(), 2u);
  EXPECT_EQ(info.answering, before.version);
  EXPECT_EQ(info.version, world.catalog.Current()->GetView("v")->id);
  EXPECT_GT(info.version, info.answering);
  auto meanwhile = std::move(world.engine->Read({"v"})[0]);
  EXPECT_EQ(meanwhile.version, info.answering);
  ASSERT_TRUE(meanwhile.replaced_by);
  EXPECT_EQ(meanwhile.replaced_by->version, info.version);
  EXPECT_LT(meanwhile.replaced_by->progress, 1);
  EXPECT_EQ(world.Read("v"), Lines{"50000"});
  auto waiting = Wait("v", Offset{1}, 60'000'000);
  EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds(30)), std::future_status::timeout);
  go_on = true;
  EXPECT_TRUE(waiting.get());
  EXPECT_EQ(world.Read("v"), Lines{"50000|7"});
  EXPECT_EQ(world.Info("v").status, ViewStatus::kLive);
  EXPECT_EQ(world.Info("v").answering, info.version);
  auto after = std::move(world.engine->Read({"v"})[0]);
  EXPECT_EQ(after.version, info.version);
  EXPECT_FALSE(after.replaced_by);
}

TEST_F(EngineTest, AViewThatIsRenamedWhileItIsReplacedAnswersAllTheTime) {
  Open();
  world.Append("s", Rows(50'000, {"1"}));
  world.Execute("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c FROM s");
  world.Settle();
  std::atomic<bool> go_on{false};
  world.history->in_sink = [&](Offset) {
    while (!go_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  world.Execute("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT sum(n) AS s, 7 AS t FROM s");
  world.catalog.Change([](CatalogState& state) {
    auto renamed = std::make_shared<View>(*state.GetView("v"));
    renamed->name = "W";
    state.views.erase("v");
    state.views["w"] = std::move(renamed);
  });
  world.engine->Reconcile();
  EXPECT_EQ(world.Read("w"), Lines{"50000"});
  EXPECT_THROW(world.Read("v"), Error);
  EXPECT_EQ(world.Info("W").status, ViewStatus::kFilling);
  go_on = true;
  world.Until([&] { return world.Info("W").status == ViewStatus::kLive; });
  EXPECT_EQ(world.Read("w"), Lines{"50000|7"});
}

TEST_F(EngineTest, AReadLeavesOutColumnsAndCountsCopies) {
  Open();
  world.Append("s", {{"1"}, {"2"}, {"1"}, {"1"}});
  world.Execute(
      "CREATE MATERIALIZED VIEW v AS SELECT n, repeat('x', 1000) || n AS t, n + 1 AS m FROM s");
  world.Settle();
  ReadOptions options;
  options.columns = {"m", "nothing"};
  auto read = std::move(world.engine->Read({"v"}, options)[0]);
  ASSERT_EQ(read.columns.size(), 1u);
  EXPECT_EQ(read.columns[0].name, "m");
  ASSERT_EQ(read.rows.rows, 4u);
  EXPECT_EQ(read.rows.chunks[0]->ColumnCount(), 1u);
  EXPECT_TRUE(read.copies.empty());
  options.collapse = true;
  read = std::move(world.engine->Read({"v"}, options)[0]);
  ASSERT_EQ(read.rows.rows, 2u);
  EXPECT_EQ(read.copies, (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(read.rows.chunks[0]->GetValue(0, 0).ToString(), "2");
  EXPECT_EQ(read.rows.chunks[0]->GetValue(0, 1).ToString(), "3");
  EXPECT_EQ(read.total_rows, 4u);
  options.limit = 2;  // rows, with their copies
  EXPECT_EQ(world.engine->Read({"v"}, options)[0].copies, (std::vector<int64_t>{2}));
  options.limit.reset();
  options.equals = {{"n", "2"}};
  read = std::move(world.engine->Read({"v"}, options)[0]);
  EXPECT_EQ(read.rows.rows, 1u);
  EXPECT_TRUE(read.copies.empty());
  // What is left out takes no room; copies take it once.
  options.equals.clear();
  options.bytes_max = 500;
  EXPECT_EQ(world.engine->Read({"v"}, options)[0].rows.rows, 2u);
  options.columns->insert("t");
  EXPECT_THROW(world.engine->Read({"v"}, options), Error);
  options.bytes_max = 2500;
  EXPECT_EQ(world.engine->Read({"v"}, options)[0].rows.rows, 2u);
  options.collapse = false;
  EXPECT_THROW(world.engine->Read({"v"}, options), Error);
  // None that the view has: one is there, so that rows can be counted.
  options = {};
  options.columns = std::set<std::string>{"nothing"};
  EXPECT_EQ(world.engine->Read({"v"}, options)[0].columns[0].name, "n");
}

// One record of many rows, as a large body is, into a view that takes its time.
TEST_F(EngineTest, ViewsMoveWhileMuchWaits) {
  Open();
  std::string sql;
  for (int i = 0; i < 12; i++) {
    sql += "CREATE MATERIALIZED VIEW v" + std::to_string(i) +
           " AS SELECT n % 1000 AS k, count(DISTINCT sha256((n + " + std::to_string(i) +
           ")::VARCHAR)) AS c, min(md5(n::VARCHAR)) AS m FROM s GROUP BY k;";
  }
  world.Execute(sql);
  world.Append("s", {{"0"}});
  world.Settle();
  auto times = std::make_shared<std::vector<Micros>>();
  Rows rows;
  for (int i = 0; i < 60'000; i++) rows.push_back({std::to_string(i)});
  uint64_t before = world.engine->Info().steps;
  Offset end = world.Append("s", rows);
  std::vector<uint64_t> seen;
  world.Until([&] {
    uint64_t offset = world.engine->Info().offset.value;
    if (seen.empty() || seen.back() != offset) seen.push_back(offset);
    return offset == end.value;
  });
  EXPECT_GE(world.engine->Info().steps, before + 3);
  EXPECT_GE(seen.size(), 3u);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they take ten times as long
  EXPECT_LT(world.engine->Info().last_step_took, 1'000'000);
#endif
  auto total = std::move(world.engine->Read({"v0"}).at(0));
  EXPECT_EQ(total.total_rows, 1'000u);
}

// Half of an UPDATE is never seen.
TEST_F(EngineTest, ChangesOfATableComeWhole) {
  world.Open();
  world.Execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v VARCHAR)");
  auto table = world.catalog.Current()->GetStream("t");
  world.Execute("CREATE MATERIALIZED VIEW w AS SELECT count(*) AS c, max(sha256(v)) AS m FROM t");
  world.Settle();
  Rows rows;
  for (int i = 0; i < 30'000; i++) rows.push_back({std::to_string(i), "x", "false"});
  Offset end = world.Append("t", rows);
  std::set<uint64_t> seen;
  world.Until([&] {
    uint64_t offset = world.engine->Info().offset.value;
    seen.insert(offset);
    return offset == end.value;
  });
  seen.erase(0);
  EXPECT_EQ(seen.size(), 1u);
}

// Whoever plans a query with wait_for_gate() in it waits until it is opened: DuckDB works such a
// constant out while it plans.
class Gate {
 public:
  explicit Gate(Kernel& kernel) {
    duckdb::ScalarFunction function(
        "wait_for_gate", {}, duckdb::LogicalType::INTEGER,
        [this](duckdb::DataChunk&, duckdb::ExpressionState&, duckdb::Vector& result) {
          inside = true;
          while (!open) std::this_thread::sleep_for(std::chrono::milliseconds(1));
          result.Reference(duckdb::Value::INTEGER(0));
        });
    duckdb::CreateScalarFunctionInfo info(function);
    duckdb::Connection connection(kernel.database());
    connection.BeginTransaction();
    auto& catalog = duckdb::Catalog::GetSystemCatalog(*connection.context);
    catalog.CreateFunction(*connection.context, info);
    connection.Commit();
  }
  std::atomic<bool> inside{false}, open{false};
};

// A view that takes long to plan holds up nobody: others move, are read, followed and left.
TEST_F(EngineTest, OthersAreReadAndMoveWhileAViewIsBeingPlanned) {
  Gate gate(world.kernel);
  Open();
  world.Execute("CREATE MATERIALIZED VIEW v AS SELECT sum(n) AS s FROM s");
  world.Append("s", {{"1"}});
  world.Settle();
  auto followed = world.engine->Subscribe(KernelSql("SELECT max(n) AS m FROM s"));
  auto planner = std::async(std::launch::async, [&] {
    world.Execute("CREATE MATERIALIZED VIEW slow AS SELECT n + wait_for_gate() AS m FROM s");
  });
  world.Until([&] { return gate.inside.load(); });
  auto others = std::async(std::launch::async, [&] {
    Lines seen = world.Read("v");
    for (int n : {10, 100}) {
      Offset end = world.Append("s", {{std::to_string(n)}});
      if (!Wait("v", end, 60'000'000).get()) seen.push_back("did not move");
      seen.push_back(world.Read("v").at(0));
    }
    followed.hold.reset();
    seen.push_back(std::to_string(world.engine->ViewInfos().size()) + " views");
    return seen;
  });
  bool held_up = others.wait_for(std::chrono::seconds(60)) != std::future_status::ready;
  bool was_planning = planner.wait_for(std::chrono::seconds(0)) != std::future_status::ready;
  gate.open = true;
  planner.get();
  EXPECT_FALSE(held_up);
  EXPECT_TRUE(was_planning);
  EXPECT_EQ(others.get(), (Lines{"1", "11", "111", "1 views"}));
  world.Settle();
  EXPECT_EQ(world.Read("slow"), (Lines{"1", "10", "100"}));
}

// A filling hands itself to the engine, which may end before it comes to that.
TEST_F(EngineTest, WhoWaitsForATaskIsToldWhenTheEngineEndsBeforeIt) {
  world.Open(false);
  bool ran = false;
  auto task = [&] { ran = true; };
  EXPECT_EQ(EngineForTests::RunOnOneThatEnds(*world.engine, task), std::optional<bool>(false));
  EXPECT_FALSE(ran);
  world.Close();
  world.Open();
  EXPECT_TRUE(EngineForTests::Run(*world.engine, task));
  EXPECT_TRUE(ran);
  world.engine->Stop();
  ran = false;
  EXPECT_FALSE(EngineForTests::Run(*world.engine, task));
  EXPECT_FALSE(ran);
}

// A read that would not fit is refused before it takes the memory.
TEST_F(EngineTest, AReadIsBounded) {
  world.options.read_bytes_max = 1 << 20;
  Open();
  world.Execute(
      "CREATE MATERIALIZED VIEW copies AS SELECT 1 AS one FROM s;"
      "CREATE MATERIALIZED VIEW wide AS SELECT n, repeat('x', 1000) AS t FROM s ORDER BY "
      "n");
  Rows rows;
  for (int i = 0; i < 70'000; i++) rows.push_back({std::to_string(i)});
  world.Append("s", rows);
  world.Settle();
  for (auto* name : {"copies", "wide"}) {
    try {
      world.engine->Read({name});
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::kLimitExceeded);
      EXPECT_NE(error.message.find(name), std::string::npos);
    }
    ReadOptions ten;
    ten.limit = 10;
    auto part = std::move(world.engine->Read({name}, ten).at(0));
    EXPECT_EQ(part.rows.rows, 10u);
    EXPECT_EQ(part.total_rows, 70'000u);
  }
  ReadOptions all_but_limited;
  all_but_limited.limit = 69'999;
  EXPECT_THROW(world.engine->Read({"wide"}, all_but_limited), Error);
}

// A new view with windows, read right after its first rows were acknowledged.
TEST_F(EngineTest, WhoWaitsForHisRowsReadsThemInANewView) {
  world.Open();
  world.Execute("CREATE STREAM e (k INTEGER, ts TIMESTAMP);");
  for (int round = 0; round < 60; round++) {
    std::string n = std::to_string(round);
    world.Execute(
        "CREATE MATERIALIZED VIEW a" + n +
        " AS SELECT k, count(*) OVER (PARTITION BY k) AS c, lag(k) OVER (PARTITION BY k "
        "ORDER BY ts) AS l FROM e WHERE k = " +
        n + ";CREATE MATERIALIZED VIEW b" + n +
        " AS SELECT time_bucket(INTERVAL '1 minute', ts) AS w, count(*) AS c FROM e WHERE "
        "k = " +
        n + " GROUP BY w");
    Offset end = world.Append("e", {{n, "2026-01-01 00:00:00"}, {n, "2026-01-01 00:00:30"}});
    for (auto* kind : {"a", "b"}) {
      ASSERT_TRUE(Wait(kind + n, end, 60'000'000).get());
      auto snapshot = std::move(world.engine->Read({kind + n}).at(0));
      EXPECT_GE(snapshot.offset, end);
      EXPECT_EQ(snapshot.total_rows, kind[0] == 'a' ? 2u : 1u) << kind << n;
    }
  }
}

}  // namespace
}  // namespace weir
