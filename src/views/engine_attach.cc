// What the filler has filled becomes the engine's, and what is dropped goes, between two steps.
#include <spdlog/spdlog.h>

#include "base/error.h"
#include "base/make_room.h"
#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "views/engine_impl.h"

namespace weir {

// Takes a filled circuit over.  False, and nothing has changed, when the last rows cannot be read
// just now, or there is no memory to take it over with: the filler tries again, for the engine
// waits for nothing.
bool EngineImpl::Attach(Filling& filling) {
  CHECK(IsEngineThread() && !filling.attached);
  CHECK(filling.position <= position_);
  OnFillTrouble no_waiting = [](const FillTrouble& trouble) -> bool { throw Error(trouble.error); };
  // Where the filling stands, and not the engine: that has come to another place when the same row
  // is met again after a restart.
  NotePosition(BusyFile::kEngine, filling.position);
  auto all = [&](Offset reached) {
    NotePosition(BusyFile::kEngine, reached);
    return true;
  };
  try {
    if (filling.pumps.empty()) {
      FillUpTo(filling, parts_.history, position_, all, no_waiting);
      filling.circuit.SetClock(now_);
      filling.circuit.SetLogTime(log_time_);
      filling.circuit.Flush();
      filling.SettleErrors(position_);
    } else {
      FillPumpsUpTo(filling, {position_, now_, log_time_}, nullptr, no_waiting);
    }
  } catch (...) {
    spdlog::warn("filling views: {}; trying again", WhatIsThrown());
    return false;
  }
  filling.circuit.FailWhereRowsAreLost();
  CHECK(filling.position == position_ && filling.ahead.empty());
  std::map<Operator*, Operator*> went;
  try {
    MakeRoom(live_, filling.views.size());
    MakeRoom(live_pumps_, filling.pumps.size());
    went = circuit_.Absorb(filling.circuit);
  } catch (const std::bad_alloc&) {
    return false;
  }
  filling.attached = true;
  sources_are_current_ = false;
  // No view and no pump stands on what has gone from now on, whatever fails.
  for (auto& view : filling.views) {
    view->output = static_cast<OutputOperator*>(went.at(view->output));
    view->operators.clear();
  }
  for (auto& pump : filling.pumps) {
    pump->emit = static_cast<EmitOperator*>(went.at(pump->emit));
    pump->operators.clear();
  }
  TakeOver(filling);
  return true;
}

// REQUIRES: its circuit is part of ours.
void EngineImpl::TakeOver(Filling& filling) {
  Version version{step_ + 1, position_, now_, log_time_};
  std::vector<LiveViewPtr> attached;
  for (auto& view : filling.views) {
    if (!IsWanted(view)) continue;  // replaced or dropped while it was filled
    live_.push_back(view);
    attached.push_back(view);
    try {
      view->operators = Circuit::Needs(view->output);
      if (!ParkIfFailed(*view, kParkedViewHint)) TakeOver(*view, version);
    } catch (...) {
      Park(*view, CurrentError());
    }
  }
  for (auto& pump : filling.pumps) {
    {
      std::shared_lock lock(views_mutex_);
      auto wanted = pumps_.find(pump->definition->id);
      if (wanted == pumps_.end() || wanted->second != pump) continue;
    }
    live_pumps_.push_back(pump);
    pump->operators = Circuit::Needs(pump->emit);
    pump->BecomeLive();
  }
  checkpoint_lacks_ = true;
  IndexSources();
  NoteEventTime();
  Publish(true);
  CHECK(step_ == version.step);  // as of which the new ones have their rows
  // Only now do readers see the new ones, in place of the old.
  for (auto& view : attached) view->BecomeLive();
  ShowInPlace(attached);
  DropUnused();
  EngineInfo info = Info();
  std::vector<std::string> names;
  for (auto& view : attached) names.push_back(view->definition->name);
  Tell(info, names);
}

void EngineImpl::TakeOver(LiveView& view, const Version& version) {
  CHECK(view.status != ViewStatus::kLive);
  view.output->Take([&](std::string_view row, int64_t weight) {
    view.content.Change(row, weight, version.step);
  });
  for (Operator* op : view.operators) {
    if (!op->failed_rows()) continue;
    op->failed_rows()->ForEach([&](const FailedRow& row, Offset first, int64_t count) {
      view.AddErrors(row, first, count, version.step);
    });
  }
  view.changes.StartAt(version.step << 20, position_, !view.WantsClock());
}

// Views that were filled beside others of the same names take their places.
void EngineImpl::ShowInPlace(const std::vector<LiveViewPtr>& attached) {
  CHECK(IsEngineThread());
  std::vector<LiveViewPtr> replaced;
  {
    std::unique_lock lock(views_mutex_);
    for (auto& view : attached) {
      std::string name = duckdb::StringUtil::Lower(view->definition->name);
      auto next = next_.find(name);
      if (next == next_.end() || next->second != view) continue;
      replaced.push_back(views_[name]);
      views_[name] = view;
      next_.erase(next);
    }
  }
  for (auto& view : replaced) {
    if (!view) continue;
    view->is_wanted = false;
    Detach(view);
  }
}

void EngineImpl::Detach(const LivePumpPtr& pump) {
  std::erase(live_pumps_, pump);
  DropUnused();
}

void EngineImpl::Detach(const LiveViewPtr& view) {
  std::erase(live_, view);
  for (auto& recomputed : recomputed_) {
    if (recomputed->view == view && recomputed->cancel) recomputed->cancel();
  }
  std::erase_if(recomputed_,
                [&](auto& recomputed) { return recomputed->view == view && !recomputed->running; });
  DropUnused();
}

bool EngineImpl::IsWanted(const LiveViewPtr& view) const {
  std::shared_lock lock(views_mutex_);
  auto is = [&](auto& entry) { return entry.second == view; };
  return std::any_of(views_.begin(), views_.end(), is) ||
         std::any_of(next_.begin(), next_.end(), is);
}

// Keeps what live views and pumps need of the circuit.
void EngineImpl::DropUnused() {
  CHECK(IsEngineThread());
  std::set<Operator*> outputs;
  for (auto& other : live_) outputs.insert(other->output);
  for (auto& pump : live_pumps_) outputs.insert(pump->emit);
  sources_are_current_ = false;
  circuit_.KeepOnly(outputs);
  for (auto& other : live_) other->operators = Circuit::Needs(other->output);
  for (auto& pump : live_pumps_) pump->operators = Circuit::Needs(pump->emit);
  IndexSources();
}

}  // namespace weir
