// The only way anything in Weir learns what time it is.  Thread-safe.  Borrowed by everyone, owned
// by main (or by a test, which moves a ManualClock by hand).
#pragma once

#include "base/ids.h"

namespace weir {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time.  May step backwards when the machine's clock is set.
  virtual Micros Now() = 0;
  // Never goes back; for timeouts and durations only.
  virtual Micros Monotonic() = 0;
  // The same, and goes on while the machine sleeps: to compare wall-clock times with.
  virtual Micros SinceBoot() { return Monotonic(); }
};

// The machine's clock; one for the process.
Clock& SystemClock();

}  // namespace weir
