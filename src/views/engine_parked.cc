// What failed is put aside: its error is shown from then on, its rows and its operators go as far
// as no other view needs them, and the next start knows why.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/error.h"
#include "duck/errors.h"
#include "views/engine_impl.h"

namespace weir {

void EngineImpl::Park(Kept& kept, Error error, Parked how_long) {
  {
    std::lock_guard lock(kept.mutex);
    kept.status = ViewStatus::kParked;
    kept.error = std::move(error);
    kept.stays_parked = how_long == Parked::kForGood;
  }
  parked_some_ = true;
}

// Also when there is no memory for a word about it.
void EngineImpl::ParkFailed(Kept& kept) noexcept {
  try {
    Error error = CurrentError();
    // No row is to blame for memory, and none for the disk.
    bool passing = error.code == ErrorCode::kLimitExceeded || error.code == ErrorCode::kUnavailable;
    Park(kept, std::move(error), passing ? Parked::kUntilRestart : Parked::kForGood);
  } catch (...) {
    std::lock_guard lock(kept.mutex);
    kept.status = ViewStatus::kParked;
    kept.error = Error(ErrorCode::kLimitExceeded, "out of memory");  // short enough to need none
    kept.stays_parked = false;
    parked_some_ = true;
  }
}

bool EngineImpl::ParkIfFailed(Kept& kept, const char* hint) {
  if (kept.status == ViewStatus::kParked) return true;
  for (Operator* op : kept.operators) {
    if (op->failure().empty()) continue;
    auto stores = op->RowStores();
    bool lost = std::any_of(stores.begin(), stores.end(),
                            [](RowStore* store) { return store->HasLostRows(); });
    Park(kept, Error(ErrorCode::kQueryFailed, op->failure(), hint),
         lost ? Parked::kUntilRestart : Parked::kForGood);
    return true;
  }
  return false;
}

// In place of a parked view comes one that has its error and nothing else.  Readers that are under
// way have a hold of the other; when the last of them is done, its memory is free.
void EngineImpl::Retire(const LiveViewPtr& view) {
  auto stone = std::make_shared<LiveView>();
  stone->columns = view->columns;
  stone->order = view->order;
  stone->not_incremental = view->not_incremental;
  stone->hint = view->hint;
  stone->is_retired = true;
  std::string why;
  {
    std::lock_guard lock(view->mutex);
    CHECK(view->status == ViewStatus::kParked && view->error && !view->is_retired);
    stone->status = ViewStatus::kParked;
    stone->progress = view->progress;
    stone->error = view->error;
    stone->stays_parked = view->stays_parked;
    stone->changed_rows = view->changed_rows;
    why = view->error->message;
  }
  {
    std::unique_lock lock(views_mutex_);
    stone->definition = view->definition.Get();  // here: names change under this lock
    for (auto& [name, shown] : views_) {
      if (shown == view) shown = stone;
    }
    // One that was to take another's place takes it with its error: nobody is to believe that what
    // the other answers is what was asked for last.
    for (auto next = next_.begin(); next != next_.end(); ++next) {
      if (next->second != view) continue;
      auto replaced = std::exchange(views_[next->first], stone);
      next_.erase(next);
      lock.unlock();
      if (replaced) {
        replaced->is_wanted = false;
        Detach(replaced);
      }
      break;
    }
  }
  spdlog::warn("view {} is parked: {}", stone->definition->name, why);
}

void EngineImpl::RetireParked() {
  if (!parked_some_.exchange(false)) return;
  try {
    RetireAllParked();
  } catch (...) {
    parked_some_ = true;  // it is tried again after the next step
    throw;
  }
}

void EngineImpl::RetireAllParked() {
  CHECK(IsEngineThread());
  auto is_parked = [](const auto& kept) { return kept->status == ViewStatus::kParked; };
  std::vector<LiveViewPtr> parked;
  {
    std::shared_lock lock(views_mutex_);
    for (auto* map : {&views_, &next_}) {
      for (auto& [name, view] : *map) {
        if (is_parked(view) && !view->is_retired) parked.push_back(view);
      }
    }
  }
  for (auto& view : parked) {
    Retire(view);
    view->is_wanted = false;
  }
  auto go = [&](const LiveViewPtr& view) {
    if (!is_parked(view)) return false;
    view->output = nullptr;
    view->operators.clear();
    return true;
  };
  std::erase_if(live_, go);
  std::erase_if(recomputed_,
                [&](auto& entry) { return !entry->running && is_parked(entry->view); });
  bool some_wait = false;
  std::erase_if(live_pumps_, [&](auto& pump) {
    if (!is_parked(pump)) return false;
    // What it had emitted before goes into the log, and then it is done.
    if (pump->outbox->Done() < pump->outbox->Added()) {
      some_wait = true;
      return false;
    }
    pump->emit = nullptr;
    pump->operators.clear();
    std::lock_guard lock(pump->mutex);
    pump->state_bytes = 0;
    spdlog::warn("pump {} is parked: {}", pump->definition->name, pump->error->message);
    return true;
  });
  DropUnused();
  parked.clear();
  memory_.LookAgain();  // what was theirs is given back, so that others are not refused for it
  if (some_wait) parked_some_ = true;
  {
    std::lock_guard lock(mutex_);
    parked_to_save_ = true;
  }
  filler_wake_.notify_one();
}

// Whether it was parked for good when the process ended; then it is again.
bool EngineImpl::ParkAsBefore(Kept& kept, uint32_t id, const std::string& query) {
  auto before = parked_before_.find(id);
  if (before == parked_before_.end() || before->second.query != query) return false;
  Park(kept, before->second.error, Parked::kForGood);
  return true;
}

// The filler's, and at the end of Stop.
void EngineImpl::SaveParked() {
  {
    std::lock_guard lock(mutex_);
    if (!parked_to_save_ && !stopping_) return;
    parked_to_save_ = false;
  }
  if (options_.parked_path.empty()) return;
  ParkedReasons reasons;
  auto add = [&](const Kept& kept, uint32_t id, const std::string& query) {
    std::lock_guard lock(kept.mutex);
    CHECK(!kept.stays_parked || (kept.status == ViewStatus::kParked && kept.error));
    if (id != 0 && kept.stays_parked) reasons.emplace(id, ParkedReason{query, *kept.error});
  };
  {
    std::shared_lock lock(views_mutex_);
    for (auto* map : {&views_, &next_}) {
      for (auto& [name, view] : *map) {
        auto definition = view->definition.Get();
        add(*view, definition->id, definition->Definition());
      }
    }
    for (auto& [id, pump] : pumps_) add(*pump, id, pump->definition->query);
  }
  try {
    std::string bytes = weir::SaveParked(reasons);
    bool nothing = reasons.empty() && parked_saved_.empty();
    if (nothing || bytes == parked_saved_) return;
    CHECK(weir::SaveParked(LoadParked(bytes)) == bytes);  // the next start reads what is meant
    WriteFileAtomically(parts_.disk, options_.parked_path, bytes);
    parked_saved_ = std::move(bytes);
  } catch (...) {
    // The next start fills what it should have known to be parked.
    spdlog::error("why views are parked cannot be kept: {}", WhatIsThrown());
  }
}

}  // namespace weir
