// A clock that stands still until a test moves it.  Thread-safe.
#pragma once

#include <atomic>

#include "io/clock.h"

namespace weir {

class ManualClock : public Clock {
 public:
  explicit ManualClock(Micros now = 1'700'000'000'000'000) : now_(now) {}
  Micros Now() override { return now_; }
  Micros Monotonic() override { return monotonic_; }

  // Time passes.
  void Advance(Micros by) {
    now_ += by;
    monotonic_ += by;
  }
  // Somebody sets the wall clock; no time passes.
  void Set(Micros now) { now_ = now; }

 private:
  std::atomic<Micros> now_;
  std::atomic<Micros> monotonic_{0};
};

}  // namespace weir
