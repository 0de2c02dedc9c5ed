// A wall clock that events can be stamped with: it never goes back, never stands still, and does
// not believe a jump at once.
//
// - Where the machine's clock goes on, it is the machine's clock.
// - When that jumps ahead by more than an hour, time goes on as if it had not; only after it has
//   stayed ahead for ten minutes is it believed.  What is stamped with a year that is wrong stays
//   so for ever, so a clock that is set wrong and set right again must not reach the stamps.
// - When it is behind what was said last (set back, or a jump that was believed is undone), time
// goes
//   on at half the speed until it has caught up.
// How much time passes is told by a clock that nobody sets.  Each of these is said once (`say`).
// Thread-safe; `say` is called under its lock.  Borrows the machine's clock.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "io/clock.h"

namespace weir {

class SmoothClock : public Clock {
 public:
  static constexpr Micros kJumpMax = 3'600'000'000;
  static constexpr Micros kBelievedAfter = 600'000'000;
  static constexpr Micros kBehindMax = 60'000'000;  // less than this behind is not worth a word

  SmoothClock(Clock& machine, std::function<void(const std::string&)> say);

  Micros Now() override;
  Micros Monotonic() override { return machine_.Monotonic(); }
  Micros SinceBoot() override { return machine_.SinceBoot(); }

  // From here on it says nothing earlier: times of before this process are not undercut.
  void NotBefore(Micros time);

 private:
  void Say(const std::string& what, Micros machine);

  Clock& machine_;
  const std::function<void(const std::string&)> say_;
  std::mutex mutex_;
  Micros time_ = 0;       // said last
  Micros since_boot_;     // when that was
  Micros half_ = 0;       // of a microsecond, while time goes at half the speed
  bool started_ = false;  // time_ is of this process
  bool behind_said_ = false;
  std::optional<Micros> ahead_since_;
};

// "2026-11-30 12:00:00 UTC".
std::string ReadableTime(Micros time);

}  // namespace weir
