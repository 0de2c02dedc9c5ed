// Time that is stamped on events, on a machine whose clock is set wrong.
#include "io/smooth_clock.h"

#include <gtest/gtest.h>

#include <vector>

#include "io/manual_clock.h"

namespace weir {
namespace {

constexpr Micros kSecond = 1'000'000, kMinute = 60 * kSecond, kHour = 60 * kMinute;
constexpr Micros kYear = 365 * 24 * kHour;
constexpr Micros kStart = 1'700'000'000 * kSecond;  // 2023-11-14 22:13:20

class SmoothClockTest : public testing::Test {
 protected:
  ManualClock machine_{kStart};
  std::vector<std::string> said_;
  SmoothClock clock_{machine_, [this](const std::string& line) { said_.push_back(line); }};
};

TEST_F(SmoothClockTest, IsTheMachinesClockWhereThatGoesOn) {
  for (Micros by : {Micros{0}, kSecond, kHour, 30 * 24 * kHour}) {
    machine_.Advance(by);
    EXPECT_EQ(clock_.Now(), machine_.Now());
  }
  machine_.Set(machine_.Now() + kHour / 2);  // a correction, not a jump
  EXPECT_EQ(clock_.Now(), machine_.Now());
  EXPECT_TRUE(said_.empty());
}

TEST_F(SmoothClockTest, AJumpAheadThatIsUndoneLeavesNoTrace) {
  clock_.Now();
  machine_.Set(kStart + 73 * kYear);
  EXPECT_EQ(clock_.Now(), kStart);
  machine_.Advance(5 * kMinute);
  EXPECT_EQ(clock_.Now(), kStart + 5 * kMinute) << "time goes on meanwhile";
  machine_.Set(kStart + 5 * kMinute + kSecond);
  EXPECT_EQ(clock_.Now(), kStart + 5 * kMinute + kSecond);
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_EQ(said_[0],
            "clock: the machine says 2096-10-26 22:13:20 UTC, and it was 2023-11-14 22:13:20 UTC: "
            "this is not believed before it has said so for ten minutes");
}

TEST_F(SmoothClockTest, AJumpAheadThatStaysIsBelievedAfterTenMinutes) {
  clock_.Now();
  machine_.Set(kStart + 3 * kHour);
  for (int minute = 0; minute < 10; minute++) {
    EXPECT_EQ(clock_.Now(), kStart + minute * kMinute);
    machine_.Advance(kMinute);
  }
  EXPECT_EQ(clock_.Now(), kStart + 3 * kHour + 10 * kMinute);
  EXPECT_EQ(said_.size(), 2u);
}

TEST_F(SmoothClockTest, BehindWhatWasSaidTimeGoesOnAtHalfTheSpeedUntilItIsCaughtUp) {
  clock_.Now();
  machine_.Set(kStart - kHour);
  EXPECT_EQ(clock_.Now(), kStart);
  for (int i = 0; i < 60; i++) {
    machine_.Advance(kMinute + 1);
    clock_.Now();
  }
  EXPECT_EQ(clock_.Now(), kStart + 30 * kMinute + 30);
  EXPECT_EQ(said_.size(), 1u);
  machine_.Advance(2 * kHour);
  EXPECT_EQ(clock_.Now(), machine_.Now());
  for (int i = 0; i < 3; i++) {  // each microsecond counts, by halves
    machine_.Set(machine_.Now() - 100 * kHour);
    Micros before = clock_.Now();
    machine_.Advance(1);
    machine_.Advance(1);
    clock_.Now();
    EXPECT_EQ(clock_.Now(), before + 1);
  }
}

TEST_F(SmoothClockTest, AfterARestartItDoesNotUndercutWhatWasStamped) {
  clock_.NotBefore(kStart + 3 * kHour);
  EXPECT_EQ(clock_.Now(), kStart + 3 * kHour);
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_NE(said_[0].find("is behind what events were stamped with"), std::string::npos);
  machine_.Advance(kHour);
  EXPECT_EQ(clock_.Now(), kStart + 3 * kHour + kHour / 2) << "and it does not stand still";
  // A server that did not run for a month is not a jump.
  SmoothClock later(machine_, [this](const std::string& line) { said_.push_back(line); });
  later.NotBefore(machine_.Now() - 30 * 24 * kHour);
  EXPECT_EQ(later.Now(), machine_.Now());
  EXPECT_EQ(said_.size(), 1u);
}

}  // namespace
}  // namespace weir
