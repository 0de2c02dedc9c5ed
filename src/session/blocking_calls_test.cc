#include "session/blocking_calls.h"

#include <gtest/gtest.h>

#include <future>

#include "base/error.h"

namespace weir {
namespace {

using std::chrono::milliseconds;

// Calls that run until they are let go.
class BlockingCallsTest : public testing::Test {
 protected:
  ~BlockingCallsTest() override {
    LetGo();
    EXPECT_TRUE(calls_.AwaitIdle(milliseconds(10'000)));
  }

  void Start(const std::string& address) {
    calls_.Start({.address = address}, [gate = gate_] { gate.wait(); });
  }
  void LetGo() {
    if (!std::exchange(is_let_go_, true)) let_go_.set_value();
  }
  ErrorCode Refusal(const std::string& address) {
    try {
      Start(address);
    } catch (const Error& error) {
      return error.code;
    }
    return ErrorCode::kInternal;  // it was not refused
  }

  BlockingCalls calls_;
  std::promise<void> let_go_;
  std::shared_future<void> gate_ = let_go_.get_future().share();
  bool is_let_go_ = false;
};

TEST_F(BlockingCallsTest, OneAddressLeavesRoomForOthers) {
  for (size_t i = 0; i < BlockingCalls::kOfOneAddressMax; i++) Start("busy");
  EXPECT_EQ(Refusal("busy"), ErrorCode::kTooManyRequests);
  for (size_t i = BlockingCalls::kOfOneAddressMax; i < BlockingCalls::kAtOnceMax; i++) {
    Start("other");
  }
  EXPECT_EQ(Refusal("third"), ErrorCode::kTooManyRequests);
  LetGo();
  ASSERT_TRUE(calls_.AwaitIdle(milliseconds(10'000)));
  std::promise<void> ran;
  calls_.Start({.address = "busy"}, [&] { ran.set_value(); });
  EXPECT_EQ(ran.get_future().wait_for(milliseconds(10'000)), std::future_status::ready);
}

TEST_F(BlockingCallsTest, WhatRunsIsWaitedForAndNothingElseBegins) {
  Start("a");
  calls_.Stop();
  EXPECT_EQ(Refusal("a"), ErrorCode::kUnavailable);
  EXPECT_FALSE(calls_.AwaitIdle(milliseconds(20)));
  LetGo();
  EXPECT_TRUE(calls_.AwaitIdle(milliseconds(10'000)));
}

}  // namespace
}  // namespace weir
