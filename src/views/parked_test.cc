#include "views/parked.h"

#include <gtest/gtest.h>

#include "views/test_engine.h"

namespace weir {
namespace {

TEST(ParkedReasons, AreReadBackAsTheyWere) {
  ParkedReasons reasons;
  reasons.emplace(7, ParkedReason{"SELECT 1", Error(ErrorCode::kQueryFailed, "of a row\nit read",
                                                    "Replace it.")});
  auto back = LoadParked(SaveParked(reasons));
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back.at(7).query, "SELECT 1");
  EXPECT_EQ(back.at(7).error.code, ErrorCode::kQueryFailed);
  EXPECT_EQ(back.at(7).error.message, "of a row\nit read");
  EXPECT_EQ(back.at(7).error.hint, "Replace it.");
}

TEST(ParkedReasons, DamagedOnesAreNone) {
  ParkedReasons reasons;
  reasons.emplace(7, ParkedReason{"SELECT 1", Error(ErrorCode::kQueryFailed, "of a row")});
  std::string bytes = SaveParked(reasons);
  for (size_t i = 0; i < bytes.size(); i++) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_TRUE(LoadParked(damaged).empty()) << i;
    EXPECT_TRUE(LoadParked(std::string_view(bytes).substr(0, i)).empty()) << i;
  }
}

class ParkedView : public testing::Test {
 protected:
  void Make(const std::string& views) {
    world.Open();
    world.Execute("CREATE STREAM s (n INTEGER); CREATE STREAM other (n INTEGER);" + views);
    world.Append("s", {{"1"}, {"2"}});
    world.Append("other", {{"1"}});
    world.Settle();
  }
  void ExpectParked(const std::string& view) {
    auto info = world.Info(view);
    EXPECT_EQ(info.status, ViewStatus::kParked);
    ASSERT_TRUE(info.error);
    EXPECT_EQ(info.error->message, "failed for a test");
    EXPECT_FALSE(info.error->hint.empty());
    EXPECT_THROW(world.Read(view), Error);
  }
  TestEngine world;
};

// A followed query is parked by who replaces what it reads, while its answer comes in.
TEST(Kept, WhatIsParkedDoesNotBecomeLive) {
  Kept kept;
  kept.progress = 0.5;
  kept.BecomeLive();
  EXPECT_EQ(kept.status, ViewStatus::kLive);
  EXPECT_EQ(kept.progress, 1);
  kept.status = ViewStatus::kParked;
  kept.BecomeLive();
  EXPECT_EQ(kept.status, ViewStatus::kParked);
}

// Its operators have no state, so nothing is missing in a checkpoint but what it was not shown.
TEST_F(ParkedView, IsParkedAfterARestart) {
  Make(
      "CREATE MATERIALIZED VIEW v AS SELECT n + 1 AS m FROM s;"
      "CREATE MATERIALIZED VIEW w AS SELECT count(*) AS c FROM s;");
  EngineForTests::FailOperator(*world.engine, "v", "project");
  world.Append("s", {{"3"}});
  world.Settle();
  ExpectParked("v");
  world.Append("s", {{"4"}});
  world.Restart();
  world.Settle();
  ExpectParked("v");
  EXPECT_EQ(world.Read("w"), std::vector<std::string>{"4"});
  world.Restart();
  world.Settle();
  ExpectParked("v");
}

TEST_F(ParkedView, WhoseReasonIsLostIsFilledFromTheBeginning) {
  Make("CREATE MATERIALIZED VIEW v AS SELECT n + 1 AS m FROM s;");
  EngineForTests::FailOperator(*world.engine, "v", "project");
  world.Append("s", {{"3"}});
  world.Settle();
  ExpectParked("v");
  world.Close();
  world.disk->Remove("/parked");
  world.Open();
  world.Append("s", {{"4"}});
  world.Settle();
  EXPECT_EQ(world.Read("v"), (std::vector<std::string>{"2", "3", "4", "5"}));
}

TEST_F(ParkedView, IsMadeAnewByReplacingIt) {
  Make("CREATE MATERIALIZED VIEW v AS SELECT n + 1 AS m FROM s;");
  EngineForTests::FailOperator(*world.engine, "v", "project");
  world.Append("s", {{"3"}});
  world.Settle();
  ExpectParked("v");
  world.Execute("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT n + 1 AS m FROM s;");
  world.Settle();
  EXPECT_EQ(world.Read("v"), (std::vector<std::string>{"2", "3", "4"}));
  world.Restart();
  world.Settle();
  EXPECT_EQ(world.Read("v"), (std::vector<std::string>{"2", "3", "4"}));
}

// One branch goes on while the other has failed: what it says is wanted by nobody.
TEST_F(ParkedView, KeepsNoRowsAndNoOperatorsOfItsOwn) {
  Make("CREATE MATERIALIZED VIEW w AS SELECT n, count(*) AS c FROM s GROUP BY n;");
  size_t before = EngineForTests::Operators(*world.engine);
  world.Execute(
      "CREATE MATERIALIZED VIEW v AS SELECT n + 1 AS m FROM s UNION ALL SELECT n FROM other UNION "
      "ALL SELECT c FROM (SELECT n, count(*) AS c FROM s GROUP BY n);");
  world.Settle();
  EXPECT_GT(EngineForTests::Operators(*world.engine), before);
  EngineForTests::FailOperator(*world.engine, "v", "project");
  std::vector<std::vector<std::string>> rows;
  for (int i = 0; i < 10'000; i++) rows.push_back({std::to_string(i)});
  world.Append("other", rows);
  world.Append("s", {{"3"}});
  world.Settle();
  ExpectParked("v");
  world.Until([&] { return world.Info("v").rows == 0; });
  EXPECT_EQ(EngineForTests::Operators(*world.engine), before);
  EXPECT_EQ(world.Read("w"), (std::vector<std::string>{"1|1", "2|1", "3|1"}));
}

// A reader that began before goes on with what it has.
TEST_F(ParkedView, LeavesItsReadersWhatTheyHave) {
  Make("CREATE MATERIALIZED VIEW v AS SELECT n + 1 AS m FROM s;");
  auto changes = world.engine->ChangesSince("v", world.engine->Read({"v"}).at(0).sequence);
  ASSERT_TRUE(changes);
  EngineForTests::FailOperator(*world.engine, "v", "project");
  world.Append("s", {{"3"}});
  world.Settle();
  EXPECT_THROW(world.engine->ChangesSince("v", 0), Error);
}

}  // namespace
}  // namespace weir
