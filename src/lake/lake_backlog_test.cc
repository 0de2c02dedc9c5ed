// What waits to become Parquet stays bounded, however little processor time is left over.
#include <atomic>
#include <chrono>
#include <thread>

#include "lake/test_lake.h"

namespace weir {
namespace {

bool InTime(const std::function<bool()>& holds) {
  for (int i = 0; i < 1000 && !holds(); i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return holds();
}

TEST(LakeBacklog, IsSaidAndGoneOnceItHasLanded) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  EXPECT_EQ(world.lake->Health().backlog.rows, 0u);
  world.AppendEvents(1000);
  EXPECT_TRUE(InTime([&] { return world.lake->Health().backlog.rows == 1000; }));
  auto backlog = world.lake->Health().backlog;
  EXPECT_GT(backlog.bytes, 8000u);
  EXPECT_FALSE(backlog.urgent);
  // A life later it is still there, and not less.
  world.lake.reset();
  world.log.reset();
  world.Open();
  EXPECT_EQ(world.lake->Health().backlog.rows, 1000u);
  EXPECT_GE(world.lake->Health().backlog.bytes, backlog.bytes);
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Health().backlog.rows, 0u);
  EXPECT_EQ(world.lake->Health().backlog.bytes, 0u);
}

// A server that is killed again and again before it has landed anything lands in the end.
TEST(LakeBacklog, WhatCameLongBeforeAStartIsUrgentAtOnce) {
  auto is_urgent_after = [](Micros time) {
    World world(std::make_unique<SimulatedDisk>());
    world.Open();
    world.AppendEvents(1000);
    world.lake.reset();
    world.log.reset();
    world.clock.Advance(time);
    world.Open();
    std::atomic<bool> landed = false, was_urgent = false;
    world.lake->BeforeTrim([&] {
      was_urgent = world.lake->Health().backlog.urgent;
      landed = true;
      return Offset{0};
    });
    world.lake->Start();
    EXPECT_TRUE(InTime([&] { return landed.load(); }));
    world.lake->Stop();
    return was_urgent.load();
  };
  EXPECT_FALSE(is_urgent_after(2 * kMinute));
  EXPECT_TRUE(is_urgent_after(12 * kMinute));
}

TEST(LakeBacklog, ProducersAreToldLaterUnlessLandingFails) {
  World world(std::make_unique<SimulatedDisk>());
  world.adjust = [](LakeOptions& options) { options.behind_bytes = 50'000; };
  world.Open(1000);
  world.AppendEvents(1000);
  EXPECT_FALSE(world.lake->Behind());
  world.AppendEvents(5000);
  EXPECT_TRUE(InTime([&] { return world.lake->Behind(); }));
  // The log takes what comes as long as it has room, though the lake has none.
  world.disk->SetCapacity(1);
  world.lake->Start();
  EXPECT_TRUE(InTime([&] { return !world.lake->Health().failure.empty(); }));
  EXPECT_FALSE(world.lake->Behind());
  world.lake->Stop();
  world.disk->SetCapacity(UINT64_MAX);
  world.lake.reset();
  world.log.reset();
  world.Open(1000);
  EXPECT_TRUE(world.lake->Behind());
  world.lake->LandNow();
  EXPECT_FALSE(world.lake->Behind());
  world.ExpectAllEvents();
}

// When a file is begun, much more comes.
class BusyDisk : public SimulatedDisk {
 public:
  std::function<void()> when_begun;
  std::unique_ptr<File> Open(const std::string& path, OpenMode mode) override {
    if (mode == OpenMode::kCreate && path.ends_with(".parquet.tmp")) {
      begun++;
      if (auto work = std::exchange(when_begun, nullptr)) work();
    }
    return SimulatedDisk::Open(path, mode);
  }
  std::atomic<int> begun = 0;
};

TEST(LakeBacklog, WhatIsUnderWayIsBegunAgainWhenItBecomesUrgent) {
  auto owned = std::make_unique<BusyDisk>();
  BusyDisk& disk = *owned;
  World world(std::move(owned));
  world.adjust = [](LakeOptions& options) { options.urgent_bytes = 100'000; };
  world.Open(1 << 20, 50'000);
  std::atomic<bool> was_urgent = false;
  disk.when_begun = [&] {
    for (int i = 0; i < 10; i++) world.AppendEvents(2000);
    InTime([&] { return world.lake->Health().backlog.bytes > 200'000; });
  };
  world.AppendEvents(10);
  world.lake->Start();
  EXPECT_TRUE(InTime([&] {
    was_urgent = was_urgent || world.lake->Health().backlog.urgent;
    return world.lake->Landed() == Offset{20'010};
  }));
  world.lake->Stop();
  EXPECT_TRUE(was_urgent);
  EXPECT_EQ(world.lake->Health().failures, 0u);
  EXPECT_TRUE(world.lake->Health().held.empty());
  EXPECT_EQ(disk.begun, 2);  // the one with ten rows was given up
  world.ExpectAllEvents();
  for (auto& path : world.ParquetFiles()) EXPECT_EQ(path.find(".tmp"), std::string::npos) << path;
}

// All processors are busy, and producers send as long as nobody tells them not to.
TEST(LakeBacklog, IsBoundedWhileProducersSaturateTheMachine) {
  constexpr uint64_t kUrgent = 4 << 20, kBehind = 32 << 20;
  World world(std::make_unique<SimulatedDisk>());
  world.adjust = [](LakeOptions& options) {
    options.file_bytes = 1 << 20;
    options.urgent_bytes = kUrgent;
    options.behind_bytes = kBehind;
  };
  world.Open(50'000);
  std::atomic<bool> done = false;
  std::vector<std::thread> busy;
  for (unsigned i = 0; i < 2 * std::thread::hardware_concurrency(); i++) {
    busy.emplace_back([&] {
      for (volatile uint64_t n = 0; !done;) n = n + 1;
    });
  }
  world.lake->Start();
  uint64_t most = 0, sent = 0;
  std::vector<std::vector<duckdb::Value>> rows(
      10'000, {duckdb::Value::BIGINT(1), duckdb::Value(std::string(50, 'x'))});
  auto stream = Events();
  std::string block = EncodeBlock(Rows(*stream, rows), stream->Types());
  // It is landing that bounds it, and not that nothing comes.  A sanitizer makes it much slower.
  auto lands = [&] { return world.lake->Landed().value * block.size() / 10'000 > sent / 10; };
  auto begun = std::chrono::steady_clock::now();
  auto in_seconds = [&](int seconds) {
    return std::chrono::steady_clock::now() < begun + std::chrono::seconds(seconds);
  };
  while (in_seconds(4) || (!lands() && in_seconds(60))) {
    auto backlog = world.lake->Health().backlog;
    most = std::max(most, backlog.bytes);
    if (world.lake->Behind()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    AppendAndWait(*world.log, Unit(MakeRecord(block, 10'000, "", stream->id.value)));
    sent += block.size();
  }
  EXPECT_GT(sent, kUrgent);
  EXPECT_LE(most, kBehind + 2 * block.size());
  EXPECT_TRUE(lands()) << world.lake->Landed().value << " rows of " << sent << " bytes sent";
  done = true;
  for (auto& thread : busy) thread.join();
  EXPECT_TRUE(InTime([&] { return world.lake->Health().backlog.bytes <= 1 << 20; }));
  EXPECT_TRUE(InTime([&] { return !world.lake->Health().backlog.urgent; }));
  world.lake->Stop();
}

}  // namespace
}  // namespace weir
