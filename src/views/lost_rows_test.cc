// The file for rows that do not fit in memory fails beneath an engine that runs: the process lives,
// what needs those rows is parked with the reason, and the others go on.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "views/test_engine.h"

namespace weir {
namespace {

constexpr uint64_t kLimit = 100 << 20;

class LostRows : public testing::Test {
 protected:
  LostRows() {
    folder_ = mkdtemp(name_);
    world.options.memory.limit = kLimit;
    world.options.memory.spill_directory = folder_;
    world.options.memory.in_use = [this] { return in_use_.load(); };
    world.options.checkpoint_directory = "";
    world.Open();
    world.Execute("CREATE STREAM a (k INTEGER, t VARCHAR); CREATE STREAM b (k INTEGER);");
  }
  ~LostRows() override {
    world.Close();
    std::filesystem::remove_all(folder_);
  }

  void AppendToA(int count) {
    std::vector<std::vector<std::string>> rows;
    for (int i = 0; i < count; i++) {
      rows.push_back({std::to_string(i), std::string(100, 'x') + std::to_string(i)});
    }
    world.Append("a", rows);
    world.Settle();
  }
  // All that is kept goes to the file.
  void Spill() {
    in_use_ = kLimit / 100 * 85;
    world.Until([&] {
      world.Append("b", {{"-1"}});
      world.Settle();
      return EngineForTests::BytesInFile(*world.engine) > 2 << 20;
    });
    in_use_ = 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it is looked at now and then
    world.Append("b", {{"-1"}});
    world.Settle();
  }
  void CutShort() {
    for (auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      auto target = std::filesystem::read_symlink(entry.path(), gone).string();
      if (!target.starts_with(folder_)) continue;
      ASSERT_EQ(truncate(entry.path().c_str(), 0), 0);
    }
  }

  char name_[32] = "/tmp/weir-lost-XXXXXX";
  std::string folder_;
  std::atomic<uint64_t> in_use_{0};
  TestEngine world;
};

TEST_F(LostRows, ParkWhoNeedsThemAndNobodyElse) {
  world.Execute(
      "CREATE MATERIALIZED VIEW joined AS SELECT a.k, a.t FROM a JOIN b ON a.k = b.k;"
      "CREATE MATERIALIZED VIEW joined_too AS SELECT count(*) AS c FROM a JOIN b ON a.k = b.k;");
  AppendToA(20'000);
  Spill();
  world.Execute("CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS c FROM a;");
  world.Settle();
  CutShort();
  std::vector<std::vector<std::string>> all;
  for (int i = 0; i < 20'000; i++) all.push_back({std::to_string(i)});
  world.Append("b", all);
  world.Settle();
  for (auto* name : {"joined", "joined_too"}) {
    auto info = world.Info(name);
    ASSERT_EQ(info.status, ViewStatus::kParked) << name;
    EXPECT_NE(info.error->message.find("cannot be read again"), std::string::npos)
        << info.error->message;
    EXPECT_THROW(world.Read(name), Error);
  }
  EXPECT_EQ(world.Info("counted").status, ViewStatus::kLive);
  AppendToA(7);
  EXPECT_EQ(world.Read("counted"), std::vector<std::string>{"20007"});
  // What was lost is made again of the events.
  world.Restart();
  world.Settle();
  EXPECT_EQ(world.Info("joined").status, ViewStatus::kLive);
  EXPECT_EQ(world.Read("joined_too"), std::vector<std::string>{"20007"});
  EXPECT_EQ(world.Read("joined").size(), 20'007u);
}

TEST_F(LostRows, OfAViewsContentAreAnErrorForWhoReadsThem) {
  world.Execute("CREATE MATERIALIZED VIEW rows AS SELECT k, t FROM a;");
  AppendToA(20'000);
  Spill();
  CutShort();
  try {
    world.Read("rows");
    ADD_FAILURE() << "it was read";
  } catch (const Error& error) {
    EXPECT_NE(error.message.find("cannot be read again"), std::string::npos) << error.message;
  }
  AppendToA(1);
  EXPECT_EQ(world.Info("rows").status, ViewStatus::kParked);
}

TEST_F(LostRows, AreNotCheckpointed) {
  world.Close();
  world.options.checkpoint_directory = "/checkpoint";
  world.options.parked_path = "/parked";
  world.options.checkpoint_interval = 1000;
  world.Open();
  world.Execute("CREATE MATERIALIZED VIEW sums AS SELECT DISTINCT k, t FROM a;");
  AppendToA(20'000);
  Spill();
  CutShort();
  for (int i = 0; i < 20; i++) {
    AppendToA(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  world.Restart();
  world.Settle();
  EXPECT_EQ(world.Info("sums").status, ViewStatus::kLive);
  EXPECT_EQ(world.Read("sums").size(), 20'000u);
}

}  // namespace
}  // namespace weir
