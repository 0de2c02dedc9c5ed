// Views no operator can keep: their query is asked again from scratch when something changed, by a
// worker, and the engine publishes what differs.
#include "base/error.h"
#include "duck/errors.h"
#include "views/engine_impl.h"

namespace weir {

// At most one at a time: the other workers are for those who ask now.  The one that has waited
// longest comes first.
void EngineImpl::MaybeRecompute() {
  if (!parts_.batch) return;
  Micros now = parts_.clock.Monotonic();
  // One that was dropped while it ran.
  std::erase_if(recomputed_,
                [&](auto& entry) { return !entry->running && !entry->view->is_wanted; });
  Recomputed* next = nullptr;
  bool one_runs = false;
  for (auto& entry : recomputed_) {
    one_runs = one_runs || entry->running;
    LiveView& view = *entry->view;
    bool stale = view.standing.offset != position_ || entry->uses_clock ||
                 view.standing.step == 0 ||
                 (view.standing.log_time != log_time_ && view.definition->HasEventTime());
    if (!stale && !entry->running) {
      // Nothing it reads has changed.
      std::lock_guard lock(view.mutex);
      view.standing.as_of = now_;
      if (!view.stood.empty()) view.stood.back().second.as_of = now_;
    }
    bool due = now - entry->finished >= std::max(options_.recompute_interval, 10 * entry->took);
    if (entry->running || !stale || !due || view.status == ViewStatus::kParked) continue;
    if (!next || entry->finished < next->finished) next = entry.get();
  }
  if (next && !one_runs) Ask(*next);
}

// How many more copies of each row there are in an answer than in a view's content; no zeros.
EngineImpl::Difference EngineImpl::Compare(const LiveView& view, const BatchResult& result) {
  auto version = versions_.Pin();
  Difference difference;
  RowCodec codec(view.types());
  for (auto& chunk : result.rows.chunks) {
    for (auto& row : codec.Encode(*chunk)) difference[std::string(row)]++;
  }
  view.content.Scan(version->step, [&](std::string_view row, int64_t copies) {
    auto entry = difference.try_emplace(std::string(row), 0).first;
    entry->second -= copies;
    if (entry->second == 0) difference.erase(entry);
    return true;
  });
  return difference;
}

void EngineImpl::Ask(Recomputed& recomputed) {
  CHECK(IsEngineThread() && !recomputed.running);
  auto view = recomputed.view;
  recomputed.running = true;
  Version asked{step_, position_, now_, log_time_};
  Micros began = parts_.clock.Monotonic();
  BatchRequest request{view->definition->Planned(), position_, now_, log_time_};
  request.cancellable = [&recomputed](std::function<void()> cancel) {
    recomputed.cancel = std::move(cancel);
  };
  // On the worker's side of things: the engine is told what differs, and no more.
  auto done = [this, &recomputed, view, asked, began](const BatchResult& result) {
    auto answer = std::make_shared<Answer>();
    answer->asked = asked;
    answer->took = result.took ? result.took : parts_.clock.Monotonic() - began;
    try {
      if (result.error) std::rethrow_exception(result.error);
      answer->difference = Compare(*view, result);
    } catch (...) {
      answer->error = CurrentError();
    }
    Post([this, &recomputed, answer] { FinishRecompute(recomputed, *answer); });
  };
  try {
    parts_.batch->Run(std::move(request), done);
  } catch (...) {
    Park(*view, CurrentError());
    recomputed.running = false;
  }
}

void EngineImpl::FinishRecompute(Recomputed& recomputed, const Answer& answer) {
  CHECK(IsEngineThread() && recomputed.running);
  LiveView& view = *recomputed.view;
  recomputed.running = false;
  recomputed.cancel = nullptr;
  recomputed.finished = parts_.clock.Monotonic();
  recomputed.took = answer.took;
  if (!view.is_wanted || view.status == ViewStatus::kParked) return;
  if (answer.error) {
    auto code = answer.error->code;
    bool passing = code == ErrorCode::kTooManyRequests || code == ErrorCode::kUnavailable ||
                   code == ErrorCode::kTimeout;
    if (!passing) Park(view, *answer.error, Parked::kForGood);
    return;
  }
  CHECK(answer.asked.step >= view.standing.step && answer.asked.offset >= view.standing.offset);
  Version version{step_ + 1, answer.asked.offset, answer.asked.as_of, answer.asked.log_time};
  ViewChangePtr change;
  try {
    bool by_events = answer.asked.offset != view.standing.offset;
    change = view.Apply(version, by_events, [&](auto row) {
      for (auto& [key, weight] : answer.difference) row(key, weight);
    });
  } catch (...) {
    return ParkFailed(view);
  }
  {
    std::lock_guard lock(view.mutex);
    CHECK(view.stood.empty() || view.stood.back().first <= version.step);
    view.stood.emplace_back(version.step, answer.asked);  // seen from the next published step on
    uint64_t oldest = versions_.Oldest();
    while (view.stood.size() > 1 && view.stood[1].first <= oldest) view.stood.pop_front();
    view.state_bytes = view.content.Bytes();
  }
  Publish(false);
  {
    std::lock_guard lock(view.mutex);
    view.standing = answer.asked;
  }
  view.BecomeLive();
  view.content.Reclaim(versions_.Oldest());
  if (!change) return;
  Tell(Info(), {view.definition->name});
}

}  // namespace weir
