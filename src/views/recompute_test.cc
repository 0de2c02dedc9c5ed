// Views that are asked again from scratch: whom they keep waiting, and for how
// long.
#include <gtest/gtest.h>

#include "views/test_engine.h"

namespace weir {
namespace {

// Answers queries when a test lets it.
class HeldBatch : public BatchEngine {
 public:
  ~HeldBatch() override { Release(); }
  void Run(BatchRequest request, std::function<void(BatchResult)> done) override {
    std::lock_guard lock(mutex_);
    asked_++;
    at_once_max = std::max(at_once_max.load(), ++running_);
    if (request.cancellable) request.cancellable([this] { cancelled++; });
    threads_.emplace_back([this, done = std::move(done)] {
      std::unique_lock waiting(mutex_);
      changed_.wait(waiting, [&] { return released_; });
      BatchResult result;
      result.took = took;
      result.rows = rows();
      running_--;
      waiting.unlock();
      done(std::move(result));
    });
  }
  void Release(bool released = true) {
    std::vector<std::thread> threads;
    {
      std::lock_guard lock(mutex_);
      released_ = released;
      if (released) threads.swap(threads_);
    }
    changed_.notify_all();
    for (auto& thread : threads) thread.join();
  }
  int asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }
  std::function<Columns()> rows = [] { return Columns(); };
  Micros took = 1'000;
  std::atomic<int> at_once_max{0}, cancelled{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::thread> threads_;
  int asked_ = 0, running_ = 0;
  bool released_ = false;
};

constexpr const char* kRecomputed =  // no operator keeps this
    "SELECT n FROM s LIMIT 50 PERCENT";

class RecomputeTest : public testing::Test {
 protected:
  void Open() {
    world.Open();
    world.Execute("CREATE STREAM s (n INTEGER);");
  }
  // Answers come from threads of the batch engine: they end before the engine does.
  void TearDown() override {
    if (world.engine) world.engine->Stop();
    batch.Release();
  }
  HeldBatch batch;
  TestEngine world{&batch};
};

TEST_F(RecomputeTest, RecomputedViewsTakeOneWorkerAtATime) {
  Open();
  world.Execute(std::string("CREATE MATERIALIZED VIEW a AS ") + kRecomputed +
                ";CREATE MATERIALIZED VIEW b AS " + kRecomputed);
  world.Append("s", {{"1"}});
  world.Until([&] { return batch.asked() >= 1; });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(batch.asked(), 1);
  batch.Release();
  world.Until([&] {
    batch.Release();
    return world.Info("a").status == ViewStatus::kLive &&
           world.Info("b").status == ViewStatus::kLive;
  });
  EXPECT_EQ(batch.at_once_max, 1);
}

TEST_F(RecomputeTest, DroppingARecomputedViewEndsItsQuery) {
  Open();
  world.Execute(std::string("CREATE MATERIALIZED VIEW a AS ") + kRecomputed);
  world.Append("s", {{"1"}});
  world.Until([&] { return batch.asked() == 1; });
  world.Execute("DROP VIEW a");
  world.Until([&] { return batch.cancelled == 1; });
  batch.Release();
  world.Settle();
}

// The pause is ten times what the query took, however long the engine had other
// things to do.
TEST_F(RecomputeTest, ARecomputedViewPausesForItsComputationOnly) {
  Open();
  world.Execute(std::string("CREATE MATERIALIZED VIEW a AS ") + kRecomputed);
  world.Until([&] { return batch.asked() == 1; });
  std::atomic<bool> held{true}, inside{false};
  std::thread holder([&] {
    EngineForTests::Run(*world.engine, [&] {
      inside = true;
      while (held) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
  });
  world.Until([&] { return inside.load(); });
  batch.Release();  // its answer waits for the engine
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  held = false;
  holder.join();
  world.Until([&] { return world.Info("a").status == ViewStatus::kLive; });
  auto before = std::chrono::steady_clock::now();
  world.Append("s", {{"1"}});
  world.Until([&] { return batch.asked() == 2; });
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
}

}  // namespace
}  // namespace weir
