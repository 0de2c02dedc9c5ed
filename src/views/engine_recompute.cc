#include "duck/errors.h"
#include "views/engine_impl.h"

namespace weir {

void EngineImpl::MaybeRecompute() {
  if (!parts_.batch) return;
  Micros now = parts_.clock.Monotonic();
  // One that was dropped while it ran.
  std::erase_if(recomputed_,
                [&](auto& entry) { return !entry->running && !IsWanted(entry->view); });
  for (auto& entry : recomputed_) {
    Recomputed* recomputed = entry.get();
    LiveView& view = *recomputed->view;
    bool due =
        now - recomputed->finished >= std::max(options_.recompute_interval, 10 * recomputed->took);
    bool stale = view.standing.offset != position_ || recomputed->uses_clock ||
                 view.standing.step == 0 ||
                 (view.standing.log_time != log_time_ && view.definition->HasEventTime());
    if (!stale && !recomputed->running) {
      std::lock_guard lock(view.mutex);
      view.standing.as_of = now_;  // nothing it reads has changed
    }
    if (recomputed->running || !due || !stale || view.status == ViewStatus::kParked) continue;
    recomputed->running = true;
    Version asked{step_, position_, now_, log_time_};
    BatchRequest request{view.definition->Planned(), position_, now_, log_time_};
    auto keep = recomputed->view;
    parts_.batch->Run(std::move(request), [this, recomputed, keep, asked, now](BatchResult result) {
      auto shared = std::make_shared<BatchResult>(std::move(result));
      Post([this, recomputed, keep, asked, now, shared] {
        recomputed->running = false;
        recomputed->finished = parts_.clock.Monotonic();
        recomputed->took = recomputed->finished - now;
        FinishRecompute(*recomputed, *shared, asked);
      });
    });
  }
}

void EngineImpl::FinishRecompute(Recomputed& recomputed, const BatchResult& result,
                                 const Version& asked) {
  LiveView& view = *recomputed.view;
  if (result.error) {
    try {
      std::rethrow_exception(result.error);
    } catch (...) {
      Error error = CurrentError();
      bool passing = error.code == ErrorCode::kTooManyRequests ||
                     error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kTimeout;
      if (!passing) Park(view, std::move(error), Parked::kForGood);
    }
    return;
  }
  std::unordered_map<std::string, int64_t> difference;
  RowCodec codec(view.types());
  for (auto& chunk : result.rows.chunks) {
    for (auto& row : codec.Encode(*chunk)) difference[std::string(row)]++;
  }
  view.content.ForEach(
      [&](std::string_view row, int64_t copies) { difference[std::string(row)] -= copies; });
  Version version{step_ + 1, asked.offset, asked.as_of, asked.log_time};
  ViewChangePtr change;
  try {
    change = view.Apply(version, asked.offset != view.standing.offset, [&](auto row) {
      for (auto& [key, weight] : difference) {
        if (weight != 0) row(key, weight);
      }
    });
  } catch (...) {
    return Park(view, CurrentError(), Parked::kForGood);
  }
  {
    // Readers of this view wait, so that its content and its position are seen together.
    std::lock_guard lock(view.mutex);
    Publish(false);
    view.standing = asked;
    view.status = ViewStatus::kLive;
    view.progress = 1;
    view.state_bytes = view.content.Bytes();
  }
  view.content.Reclaim(versions_.Oldest());
  if (!change) return;
  EngineInfo info = Info();
  Tell(info, {view.definition->name});
}

}  // namespace weir
