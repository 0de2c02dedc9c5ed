#include "io/clock.h"

#include <time.h>

namespace weir {

namespace {

Micros Read(clockid_t id) {
  timespec now;
  clock_gettime(id, &now);
  return Micros{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

class MachineClock : public Clock {
 public:
  Micros Now() override { return Read(CLOCK_REALTIME); }
  Micros Monotonic() override { return Read(CLOCK_MONOTONIC); }
  Micros SinceBoot() override { return Read(CLOCK_BOOTTIME); }
};

}  // namespace

Clock& SystemClock() {
  static MachineClock clock;
  return clock;
}

}  // namespace weir
