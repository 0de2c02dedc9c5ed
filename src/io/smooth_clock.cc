#include "io/smooth_clock.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

namespace weir {

std::string ReadableTime(Micros time) {
  auto seconds = static_cast<std::time_t>(time / 1'000'000);
  std::tm utc = {};
  if (!gmtime_r(&seconds, &utc)) {
    return fmt::format("{} us since 1970", time);
  }
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", utc);
}

SmoothClock::SmoothClock(Clock& machine, std::function<void(const std::string&)> say)
    : machine_(machine), say_(std::move(say)), since_boot_(machine.SinceBoot()) {}

void SmoothClock::NotBefore(Micros time) {
  std::lock_guard lock(mutex_);
  time_ = std::max(time_, time);
}

Micros SmoothClock::Now() {
  std::lock_guard lock(mutex_);
  Micros machine = machine_.Now();
  Micros since_boot = machine_.SinceBoot();
  Micros passed = std::max<Micros>(0, since_boot - since_boot_);
  since_boot_ = std::max(since_boot_, since_boot);
  if (!started_) {  // how long nothing ran is not known: the machine is believed
    started_ = true;
    passed = 0;
  } else if (machine > time_ + passed + kJumpMax) {
    if (!ahead_since_) {
      ahead_since_ = since_boot;
      Say("is not believed before it has said so for ten minutes", machine);
    }
    if (since_boot - *ahead_since_ < kBelievedAfter) {
      return time_ += passed;
    }
    Say("is believed from now on", machine);
  }
  ahead_since_.reset();
  if (machine >= time_) {
    behind_said_ = false;
    return time_ = machine;
  }
  if (time_ - machine > kBehindMax && !behind_said_) {
    behind_said_ = true;
    Say("is behind what events were stamped with; their time goes on at half the speed until it "
        "has caught up",
        machine);
  }
  half_ += passed;
  time_ += half_ / 2;
  half_ %= 2;
  return time_;
}

void SmoothClock::Say(const std::string& what, Micros machine) {
  if (say_) {
    say_(fmt::format("clock: the machine says {}, and it was {}: this {}", ReadableTime(machine),
                     ReadableTime(time_), what));
  }
}

}  // namespace weir
