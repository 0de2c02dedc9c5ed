#include "views/waiters.h"

#include <gtest/gtest.h>

#include <future>

#include "io/process/thread_pool.h"

namespace weir {
namespace {

class WaitersTest : public testing::Test {
 protected:
  std::future<bool> Wait(Micros for_micros) {
    auto promise = std::make_shared<std::promise<bool>>();
    auto answer = promise->get_future();
    waiters.Add([this] { return holds.load(); }, SystemClock().Monotonic() + for_micros, pool,
                [promise](bool held) { promise->set_value(held); });
    return answer;
  }
  std::atomic<bool> holds{false};
  ThreadPool pool{1};
  Waiters waiters{SystemClock()};
};

TEST_F(WaitersTest, WhatHoldsIsAnsweredAtOnce) {
  holds = true;
  EXPECT_TRUE(Wait(10'000'000).get());
}

TEST_F(WaitersTest, ALookFindsWhatHoldsNow) {
  waiters.Start();
  auto answer = Wait(30'000'000);
  EXPECT_EQ(answer.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  holds = true;
  waiters.Look();
  EXPECT_TRUE(answer.get());
  EXPECT_EQ(waiters.count(), 0u);
}

// Nobody calls Look: the engine is in a step that does not end.
TEST_F(WaitersTest, DeadlinesAreKeptByThemselves) {
  waiters.Start();
  auto late = Wait(30'000'000);
  auto before = std::chrono::steady_clock::now();
  EXPECT_FALSE(Wait(50'000).get());
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
  EXPECT_EQ(waiters.count(), 1u);
  waiters.Stop();
  EXPECT_FALSE(late.get());
}

TEST_F(WaitersTest, AtAStopAndAfterItTheAnswerIsNo) {
  waiters.Start();
  auto waiting = Wait(30'000'000);
  waiters.Stop();
  EXPECT_FALSE(waiting.get());
  EXPECT_FALSE(Wait(30'000'000).get());
}

TEST_F(WaitersTest, WithoutItsThreadALookAnswers) {
  auto answer = Wait(30'000'000);
  holds = true;
  waiters.Look();
  EXPECT_TRUE(answer.get());
}

// Each is answered once, whoever looks meanwhile.
// For want of memory, say: he is answered a moment later, and nobody else waits for that.
TEST_F(WaitersTest, AnAnswerThatCannotBeHandedOverIsGivenLater) {
  struct Failing : Executor {
    std::atomic<int> fails{2};
    void Post(std::function<void()> work) override {
      if (fails-- > 0) throw std::bad_alloc();
      work();
    }
  } failing;
  waiters.Start();
  std::promise<bool> promise;
  waiters.Add([this] { return holds.load(); }, SystemClock().Monotonic() + 60'000'000, failing,
              [&](bool held) { promise.set_value(held); });
  auto other = Wait(60'000'000);
  holds = true;
  waiters.Look();
  EXPECT_TRUE(other.get());
  EXPECT_TRUE(promise.get_future().get());
  EXPECT_EQ(waiters.count(), 0u);
}

// What cannot be asked does not hold yet.
TEST_F(WaitersTest, AQuestionThatFailsCostsItsOwnWaiterTimeAndNobodyElse) {
  waiters.Start();
  std::atomic<int> asked{0};
  std::promise<bool> promise;
  waiters.Add(
      [&] {
        if (++asked == 2) throw std::bad_alloc();
        return holds.load();
      },
      SystemClock().Monotonic() + 60'000'000, pool, [&](bool held) { promise.set_value(held); });
  waiters.Look();
  while (asked < 2) std::this_thread::yield();
  auto other = Wait(60'000'000);
  holds = true;
  waiters.Look();
  EXPECT_TRUE(other.get());
  EXPECT_TRUE(promise.get_future().get());
}

TEST_F(WaitersTest, ManyAtOnce) {
  waiters.Start();
  std::vector<std::future<bool>> answers;
  std::thread looks([&] {
    for (int i = 0; i < 2'000; i++) waiters.Look();
  });
  for (int i = 0; i < 200; i++) answers.push_back(Wait(30'000'000));
  holds = true;
  waiters.Look();
  for (auto& answer : answers) EXPECT_TRUE(answer.get());
  looks.join();
}

}  // namespace
}  // namespace weir
