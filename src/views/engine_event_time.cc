#include <algorithm>

#include "views/engine_impl.h"

namespace weir {
namespace {

constexpr Micros kTickAgain = 1'000'000;  // when the log did not take one

}  // namespace

// After each flush: what watermarks say, and when the next window closes without an event.
void EngineImpl::NoteEventTime() {
  next_close_ = circuit_.NextLogTime();
  bool any = false;
  for (auto* source : circuit_.Sources()) any = any || source->keeps_time();
  if (!any && !keeps_time_) return;
  keeps_time_ = any;
  std::vector<StreamTime> times;
  for (auto* source : circuit_.Sources()) {
    if (!source->keeps_time()) continue;
    StreamId stream{static_cast<uint32_t>(std::stoul(source->stream()))};
    times.push_back({stream, source->watermark()});
  }
  std::lock_guard lock(info_mutex_);
  stream_times_ = std::move(times);
}

std::vector<StreamTime> EngineImpl::StreamTimes() const {
  std::lock_guard lock(info_mutex_);
  return stream_times_;
}

// A quiet stream's windows close by the time of the log.  When the clock has passed such an end and
// no record came, one without rows is appended: from then on no record can be earlier, whatever
// the machine's clock does and whatever fails (docs/internals/engine.md).
void EngineImpl::MaybeTick() {
  if (!next_close_ || ticking_) return;
  if (*next_close_ <= log_time_ || *next_close_ > parts_.clock.Now()) return;
  Micros now = parts_.clock.Monotonic();
  if (tick_failed_ && now - ticked_ < kTickAgain) return;
  {
    std::lock_guard lock(mutex_);
    if (!queue_.empty() || !pending_.empty() || stopping_)
      return;  // the next record says what time it is
  }
  ticking_ = true;
  ticked_ = now;
  std::vector<LogRecord> tick(1);
  try {
    parts_.log.Append(std::move(tick), [this](const AppendResult& result) {
      tick_failed_ = result.error != nullptr;
      ticking_ = false;
    });
  } catch (...) {
    tick_failed_ = true;
    ticking_ = false;
  }
}

}  // namespace weir
