// What goes wrong while views are filled, and whom it concerns.
#include <gtest/gtest.h>

#include "views/test_engine.h"

namespace weir {
namespace {

using Lines = std::vector<std::string>;

class FillingTest : public testing::Test {
 protected:
  void SetUp() override {
    world.Open();
    world.Execute("CREATE STREAM a (n INTEGER); CREATE STREAM b (n INTEGER);");
    world.Append("a", {{"1"}, {"2"}, {"3"}});
    world.Append("b", {{"10"}, {"20"}});
    world.Settle();
  }
  // The history of stream "b" fails so many times from now on.
  void FailB(int times, Error error) {
    left = times;
    auto fail = [this, error](const Stream& stream, Offset) {
      if (stream.name == "b" && left > 0) {
        left--;
        throw error;
      }
    };
    world.before_scan = fail;
    if (world.history) world.history->before = fail;
  }
  static constexpr const char* kViews =
      "CREATE MATERIALIZED VIEW of_a AS SELECT n, count(*) AS c FROM a GROUP BY n;"
      "CREATE MATERIALIZED VIEW of_b AS SELECT sum(n) AS s FROM b;"
      "CREATE MATERIALIZED VIEW of_both AS SELECT n FROM a UNION ALL SELECT n FROM b;";

  TestEngine world;
  std::atomic<int> left{0};
};

// One unreadable file parks what reads it and nothing else.
TEST_F(FillingTest, AStreamThatCannotBeReadParksItsReadersOnly) {
  FailB(1'000'000, Error(ErrorCode::kCorruption, "file b/1.parquet is damaged"));
  world.Execute(kViews);
  world.Settle();
  EXPECT_EQ(world.Read("of_a"), (Lines{"1|1", "2|1", "3|1"}));
  for (auto* name : {"of_b", "of_both"}) {
    auto info = world.Info(name);
    EXPECT_EQ(info.status, ViewStatus::kParked) << name;
    ASSERT_TRUE(info.error);
    EXPECT_EQ(info.error->code, ErrorCode::kCorruption);
    EXPECT_NE(info.error->message.find("stream \"b\""), std::string::npos);
    EXPECT_NE(info.error->message.find("b/1.parquet"), std::string::npos);
  }
  world.Append("a", {{"1"}});
  world.Settle();
  EXPECT_EQ(world.Read("of_a"), (Lines{"1|2", "2|1", "3|1"}));
}

TEST_F(FillingTest, AtAStartWithoutACheckpointOthersAreFilled) {
  world.Execute(kViews);
  world.Settle();
  world.Close();
  world.disk->Remove("/checkpoint/views");
  FailB(1'000'000, Error(ErrorCode::kCorruption, "damaged"));
  world.Open();
  world.Settle();
  EXPECT_EQ(world.Read("of_a"), (Lines{"1|1", "2|1", "3|1"}));
  EXPECT_EQ(world.Info("of_b").status, ViewStatus::kParked);
  // Once the file is there again, a start is enough.
  left = 0;
  world.Restart();
  world.Settle();
  EXPECT_EQ(world.Read("of_b"), Lines{"30"});
}

// Those the checkpoint covers are attached when the others begin to be filled.
TEST_F(FillingTest, WhatIsAttachedAlreadyIsNotTouched) {
  world.Execute(kViews);
  world.Settle();
  world.Until([&] {
    auto checkpoint = world.engine->Info().checkpoint;
    return checkpoint.written > 0 && !checkpoint.is_under_way;
  });
  world.Close();
  FailB(1'000'000, Error(ErrorCode::kCorruption, "damaged"));
  world.Execute("CREATE MATERIALIZED VIEW more AS SELECT max(n) AS m FROM b;");
  world.Open();
  world.Settle();
  EXPECT_EQ(world.Read("of_b"), Lines{"30"});
  EXPECT_EQ(world.Read("of_a"), (Lines{"1|1", "2|1", "3|1"}));
  EXPECT_EQ(world.Info("more").status, ViewStatus::kParked);
  left = 0;
  world.Restart();
  world.Settle();
  EXPECT_EQ(world.Read("more"), Lines{"20"});
}

TEST_F(FillingTest, WhatFailsOnceIsReadAgain) {
  FailB(2, Error(ErrorCode::kUnavailable, "cannot read /lake/b: Input/output error"));
  world.Execute(kViews);
  world.Settle();
  EXPECT_EQ(left, 0);
  EXPECT_EQ(world.Read("of_b"), Lines{"30"});
  EXPECT_EQ(world.Read("of_both"), (Lines{"1", "10", "2", "20", "3"}));
}

// Half of a stream has been read when it fails: no row counts twice, none is left out.
TEST_F(FillingTest, ReadingGoesOnWhereItStopped) {
  std::vector<std::vector<std::string>> rows(30'000, {"1"});
  world.Append("b", rows);
  world.Settle();
  int scans = 0;
  world.history->in_sink = [&](Offset last) {
    if (last.value > 9'000 && scans++ == 0) {
      throw Error(ErrorCode::kUnavailable, "Input/output error");
    }
  };
  world.Execute("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c FROM b;");
  world.Settle();
  EXPECT_GE(scans, 1);
  EXPECT_EQ(world.Read("v"), Lines{"30002"});
}

// The last rows are read between two steps; when that fails, the filler comes again.
TEST_F(FillingTest, TheEngineWaitsForNoFailedRead) {
  std::atomic<int> scans{0};
  world.history->before = [&](const Stream&, Offset) {
    if (scans++ < 3) throw std::bad_alloc();
  };
  world.Execute("CREATE MATERIALIZED VIEW v AS SELECT sum(n) AS s FROM b;");
  world.Settle();
  EXPECT_EQ(world.Read("v"), Lines{"30"});
}

TEST_F(FillingTest, AReplacementThatCannotBeFilledShowsItsError) {
  world.Execute("CREATE MATERIALIZED VIEW v AS SELECT sum(n) AS s FROM a;");
  world.Settle();
  FailB(1'000'000, Error(ErrorCode::kCorruption, "damaged"));
  world.Execute("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT sum(n) AS s FROM b;");
  world.Until([&] { return world.Info("v").status == ViewStatus::kParked; });
  EXPECT_THROW(world.Read("v"), Error);
}

// A stop while something is being read again does not wait for it.
TEST_F(FillingTest, AStopDoesNotWaitForWhatCannotBeRead) {
  FailB(1'000'000, Error(ErrorCode::kUnavailable, "Input/output error"));
  world.Execute(kViews);
  world.Until([&] { return left < 999'998; });
  auto before = std::chrono::steady_clock::now();
  world.Close();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
}

TEST_F(FillingTest, AViewDroppedWhileItIsFilledIsFilledNoFurther) {
  std::vector<std::vector<std::string>> rows(100'000, {"1"});
  world.Append("b", rows);
  world.Settle();
  std::atomic<bool> dropped{false};
  std::atomic<uint64_t> after{0};
  world.history->in_sink = [&](Offset) {
    while (!dropped) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    after++;
  };
  world.Execute("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c FROM b;");
  world.Until([&] { return world.history->scans > 0; });
  world.Execute("DROP VIEW v");
  dropped = true;
  world.Settle();
  EXPECT_LE(after, 2u);
}

}  // namespace
}  // namespace weir
