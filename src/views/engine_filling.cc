#include <fmt/format.h>

#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "sql/window_functions.h"
#include "views/engine_impl.h"
#include "views/relations.h"

namespace weir {

namespace {

// Two definitions of one name, while one fills beside the other, have an output each.
std::string OutputName(const View& view) { return view.name + " " + std::to_string(view.id); }

// What only grows goes to the content as it comes, so that it is not there twice at the end.  No
// reader looks at a content that is being filled.
void TakeGrowth(LiveView& view) {
  if (!view.output->inputs[0]->append_only()) return;
  view.output->Take(
      [&](std::string_view row, int64_t weight) { view.content.Change(row, weight, 0); });
  view.content.Reclaim(0);
}

}  // namespace

void EngineImpl::RunFiller() {
  while (true) {
    std::vector<LiveViewPtr> views;
    std::vector<LivePumpPtr> pumps;
    std::optional<Save> save;
    {
      std::unique_lock lock(mutex_);
      filling_ = false;
      filler_wake_.wait(lock, [&] {
        return stopping_ || !to_fill_.empty() || !pumps_to_fill_.empty() || !to_save_.empty() ||
               parked_to_save_;
      });
      if (stopping_) return;
      if (!to_save_.empty()) {
        save = std::move(to_save_.back());
        to_save_.clear();
      }
      views.swap(to_fill_);
      pumps.swap(pumps_to_fill_);
      filling_ = !views.empty() || !pumps.empty();
    }
    SaveParked();
    try {
      if (save) WriteCheckpoint(*save);
      if (!views.empty() || !pumps.empty()) Fill(views, pumps);
    } catch (...) {
      Error error = CurrentError();
      for (auto& view : views) Park(*view, error);
      for (auto& pump : pumps) Park(*pump, error);
    }
  }
}

void EngineImpl::Fill(const std::vector<LiveViewPtr>& views,
                      const std::vector<LivePumpPtr>& pumps) {
  auto catalog = parts_.catalog.Current();
  // From the beginning; from the checkpoint; pumps without state, from where they had come.
  Filling fresh, restored, resumed;
  for (auto* filling : {&fresh, &restored, &resumed}) filling->circuit.UseMemory(&memory_);
  auto prepare = [&](Filling& filling, const LiveViewPtr& view) {
    auto session = std::make_shared<Session>(parts_.kernel, catalog->time_zone);
    session->SetClock(PublishedClock());
    auto built = BuildView(filling.circuit, *catalog, session, OutputName(*view->definition.Get()),
                           view->definition->Planned());
    if (built.output) {
      view->output = built.output;
      view->operators = Circuit::Needs(built.output);
      filling.views.push_back(view);
    }
    return built;
  };
  for (auto& view : views) {
    try {
      // Built once to see whether the checkpoint covers it, then where it belongs.
      Filling probe;
      auto built = prepare(probe, view);
      if (!built.output) {
        auto recomputed = std::make_shared<Recomputed>();
        recomputed->view = view;
        recomputed->uses_clock = built.plan.uses_clock;
        if (!parts_.batch) {
          Park(*view, Error(ErrorCode::kQueryFailed, "cannot be maintained: " + built.unsupported));
          continue;
        }
        RunOnEngine([this, recomputed, view] {
          view->changes.StartAt((step_ + 1) << 20, position_, !recomputed->uses_clock);
          recomputed_.push_back(std::make_unique<Recomputed>(*recomputed));
          std::unique_lock lock(views_mutex_);
          auto next = next_.find(duckdb::StringUtil::Lower(view->definition->name));
          if (next == next_.end() || next->second != view) return;
          auto replaced = views_[next->first];
          views_[next->first] = view;
          next_.erase(next);
          lock.unlock();
          Detach(replaced);
        });
        continue;
      }
      prepare(saved_ && Covers(*saved_, *view) ? restored : fresh, view);
    } catch (...) {
      Park(*view, CurrentError());
    }
  }
  auto prepare_pump = [&](Filling& filling, const LivePumpPtr& pump) {
    auto session = std::make_shared<Session>(parts_.kernel, catalog->time_zone);
    session->SetClock(PublishedClock());
    auto built =
        BuildPump(filling.circuit, *catalog, session, *pump->definition.Get(), *pump->stream);
    if (!built.emit) {
      throw Error(ErrorCode::kQueryFailed, "the query cannot feed a stream: " + built.unsupported);
    }
    pump->emit = built.emit;
    pump->operators = Circuit::Needs(built.emit);
    filling.pumps.push_back(pump);
  };
  for (auto& pump : pumps) {
    try {
      Filling probe;
      prepare_pump(probe, pump);
      pump->emitted = EmittedBefore(*pump->definition.Get());
      bool has_state = std::any_of(pump->operators.begin(), pump->operators.end(),
                                   [](Operator* op) { return op->HasState(); });
      bool covered = saved_ && Covers(*saved_, *pump);
      prepare_pump(covered                                     ? restored
                   : has_state || pump->emitted == InputMark() ? fresh
                                                               : resumed,
                   pump);
    } catch (...) {
      Park(*pump, CurrentError());
    }
  }
  for (Filling* filling : {&restored, &resumed, &fresh}) {
    for (auto& [name, stream] : catalog->streams) {
      filling->streams[SourceName(stream->id)] = stream;
    }
    std::set<Operator*> outputs;
    for (auto& view : filling->views) outputs.insert(view->output);
    for (auto& pump : filling->pumps) outputs.insert(pump->emit);
    filling->circuit.KeepOnly(outputs);
  }
  if (!restored.empty()) {
    try {
      Restore(*saved_, restored.circuit, restored.views);
      restored.position = saved_->at.offset;
      for (auto& pump : restored.pumps) {
        pump->emitted = std::max(pump->emitted, saved_->at);
      }
      restored.reached = saved_->at;
    } catch (const Error&) {
      // A damaged checkpoint costs time only: fill from the beginning.
      auto again = std::move(restored.views);
      auto pumps_again = std::move(restored.pumps);
      saved_.reset();
      restored = Filling();
      restored.circuit.UseMemory(&memory_);
      for (auto& view : again) prepare(fresh, view);
      for (auto& pump : pumps_again) prepare_pump(fresh, pump);
    }
  }
  for (auto& pump : resumed.pumps) {
    bool first = pump == resumed.pumps.front();
    resumed.position =
        first ? pump->emitted.offset : std::min(resumed.position, pump->emitted.offset);
    resumed.reached = {resumed.position, 0};
  }
  saved_.reset();
  for (Filling* filling : {&restored, &resumed, &fresh}) {
    if (!filling->empty()) FillCircuit(std::move(*filling));
  }
}

void EngineImpl::FillCircuit(Filling filling) {
  constexpr uint64_t kCloseEnough = 20'000;
  if (filling.pumps.empty()) filling.circuit.SetClock(PublishedClock());
  for (int round = 0; round < 10; round++) {
    Version version = versions_.Current();
    Offset target = version.offset;
    if (target.value < filling.position.value + kCloseEnough) break;
    auto progress = [&](Offset reached) {
      double part = static_cast<double>(reached.value) / static_cast<double>(target.value);
      auto show = [&](Kept& kept) {
        std::lock_guard lock(kept.mutex);
        kept.progress = part;
      };
      for (auto& view : filling.views) show(*view);
      for (auto& pump : filling.pumps) show(*pump);
      KeepWithinMemory(filling, part);
      return !stopping_;
    };
    if (filling.pumps.empty()) {
      FillUpTo(filling, parts_.history, target, progress);
    } else {
      FillPumpsUpTo(filling, {target, version.as_of, version.log_time}, progress);
    }
    if (stopping_ || filling.empty()) return;
  }
  // A pump that begins at a position the engine has yet to reach is not stepped across it.
  for (auto& pump : filling.pumps) {
    while (!stopping_ && versions_.Current().offset < pump->emitted.offset) pump->outbox->Wait();
  }
  if (stopping_) return;
  auto shared = std::make_shared<Filling>(std::move(filling));
  RunOnEngine([this, shared] { Attach(*shared); });
}

void EngineImpl::KeepWithinMemory(Filling& filling, double progress) {
  for (auto& view : filling.views) TakeGrowth(*view);
  memory_.Look();
  if (auto excess = memory_.Excess()) {
    auto stores = filling.circuit.RowStores();
    for (auto& view : filling.views) stores.push_back(&view->content.rows_kept());
    MoveToFile(std::move(stores), excess);
  }
  while (memory_.IsFull() && !filling.empty()) {
    GiveUpBiggest(filling, progress);
    memory_.LookAgain();
  }
}

// Parks what takes the most memory of a filling, and frees it; the others go on.
void EngineImpl::GiveUpBiggest(Filling& filling, double progress) {
  auto state_of = [](const Kept& kept) {
    size_t bytes = 0;
    for (Operator* op : kept.operators) bytes += op->StateBytes();
    return bytes;
  };
  LiveViewPtr biggest;
  LivePumpPtr biggest_pump;
  size_t bytes = 0;
  for (auto& view : filling.views) {
    size_t its = state_of(*view) + view->content.Bytes();
    if (biggest && its <= bytes) continue;
    biggest = view;
    bytes = its;
  }
  for (auto& pump : filling.pumps) {
    size_t its = state_of(*pump);
    if ((biggest || biggest_pump) && its <= bytes) continue;
    biggest_pump = pump;
    bytes = its;
  }
  Error error = memory_.Refusal(ErrorCode::kLimitExceeded, "not filled for want of memory");
  error.message += fmt::format(
      "; it had {} MB at {:.0f} % of its history and would take some {} MB", bytes / 1'000'000,
      progress * 100,
      static_cast<uint64_t>(static_cast<double>(bytes) / std::max(progress, 0.01) / 1e6));
  if (biggest_pump) {
    // What it emitted is in the log: it goes on from there.
    error.hint += " Then start again: the pump goes on where it stands.";
    Park(*biggest_pump, std::move(error));
    std::erase(filling.pumps, biggest_pump);
    biggest_pump->emit = nullptr;
    biggest_pump->operators.clear();
  } else {
    error.hint += " Then make the view anew with CREATE OR REPLACE, or start again.";
    Park(*biggest, std::move(error));
    std::erase(filling.views, biggest);
    biggest->output = nullptr;
    biggest->operators.clear();
    biggest->content.Clear();
    biggest->errors.Clear();
  }
  std::set<Operator*> outputs;
  for (auto& other : filling.views) outputs.insert(other->output);
  for (auto& other : filling.pumps) outputs.insert(other->emit);
  filling.circuit.KeepOnly(outputs);
}

// Takes a filled circuit over, between two steps.
void EngineImpl::Attach(Filling& filling) {
  if (filling.pumps.empty()) {
    FillUpTo(filling, parts_.history, position_, [](Offset) { return true; });
    filling.circuit.SetClock(now_);
    filling.circuit.SetLogTime(log_time_);
    filling.circuit.Flush();
    filling.SettleErrors(position_);
  } else {
    FillPumpsUpTo(filling, {position_, now_, log_time_}, nullptr);
  }
  auto went = circuit_.Absorb(std::move(filling.circuit));
  Version version{step_ + 1, position_, now_, log_time_};
  std::vector<LiveViewPtr> attached;
  for (auto& view : filling.views) {
    if (!IsWanted(view)) continue;  // replaced or dropped while it was filled
    view->output = static_cast<OutputOperator*>(went.at(view->output));
    view->operators = Circuit::Needs(view->output);
    if (!ParkIfFailed(*view, kParkedViewHint)) {
      view->output->Take([&](std::string_view row, int64_t weight) {
        view->content.Change(row, weight, version.step);
      });
      for (Operator* op : view->operators) {
        if (!op->failed_rows()) continue;
        op->failed_rows()->ForEach([&](const FailedRow& row, Offset first, int64_t count) {
          view->AddErrors(row, first, count, version.step);
        });
      }
      view->changes.StartAt(version.step << 20, position_, !view->WantsClock());
    }
    live_.push_back(view);
    attached.push_back(view);
  }
  for (auto& pump : filling.pumps) {
    pump->emit = static_cast<EmitOperator*>(went.at(pump->emit));
    pump->operators = Circuit::Needs(pump->emit);
    {
      std::shared_lock lock(views_mutex_);
      auto wanted = pumps_.find(pump->definition->id);
      if (wanted == pumps_.end() || wanted->second != pump) continue;
    }
    live_pumps_.push_back(pump);
    std::lock_guard lock(pump->mutex);
    if (pump->status == ViewStatus::kFilling) pump->status = ViewStatus::kLive;
    pump->progress = 1;
  }
  IndexSources();
  NoteEventTime();
  Publish(true);
  // Only now do readers see the new ones, in place of the old.
  std::vector<LiveViewPtr> replaced;
  for (auto& view : attached) {
    std::lock_guard lock(view->mutex);
    if (view->status == ViewStatus::kFilling) view->status = ViewStatus::kLive;
    view->progress = 1;
  }
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
  for (auto& view : replaced) Detach(view);
  DropUnused();
  EngineInfo info = Info();
  std::vector<std::string> names;
  for (auto& view : attached) names.push_back(view->definition->name);
  for (auto& callback : callbacks_) callback(info, names);
}

void EngineImpl::Detach(const LivePumpPtr& pump) {
  std::erase(live_pumps_, pump);
  DropUnused();
}

void EngineImpl::Detach(const LiveViewPtr& view) {
  std::erase(live_, view);
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
  std::set<Operator*> outputs;
  for (auto& other : live_) outputs.insert(other->output);
  for (auto& pump : live_pumps_) outputs.insert(pump->emit);
  circuit_.KeepOnly(outputs);
  for (auto& other : live_) other->operators = Circuit::Needs(other->output);
  for (auto& pump : live_pumps_) pump->operators = Circuit::Needs(pump->emit);
  IndexSources();
}

// A view that is yet to be filled; parked when its query cannot be planned.
LiveViewPtr EngineImpl::MakeLiveView(const CatalogState& catalog,
                                     const std::shared_ptr<const View>& definition) {
  auto view = std::make_shared<LiveView>();
  view->definition = definition;
  view->content.UseMemory(&memory_);
  try {
    auto session = std::make_shared<Session>(parts_.kernel, catalog.time_zone);
    CatalogRelations relations(catalog, *session);
    Plan plan = PlanQuery(*session, ExpandWindowFunctions(definition->Planned()), relations);
    view->columns = ColumnsOf(plan);
    for (auto& key : plan.presentation) {
      auto column = AsColumn(key.by);
      if (!column || *column >= view->columns.size()) continue;
      view->order.push_back({*column, key.descending, key.nulls_first});
    }
    Circuit scratch;
    auto built = BuildView(scratch, catalog, session, definition->name, definition->Planned());
    view->not_incremental = built.unsupported;
    view->hint = built.hint;
    ParkAsBefore(*view, definition->id, definition->Planned());
  } catch (...) {
    Park(*view, CurrentError());
  }
  return view;
}

// What is kept under another name now stays as it is.
void EngineImpl::FollowNames(const CatalogState& catalog) {
  std::map<uint32_t, std::pair<std::string, std::shared_ptr<const View>>> by_id;
  for (auto& [name, view] : catalog.views) by_id[view->id] = {name, view};
  for (auto* map : {&views_, &next_}) {
    std::map<std::string, LiveViewPtr> followed;
    for (auto& [name, view] : *map) {
      auto found = by_id.find(view->definition->id);
      if (found != by_id.end()) view->definition = found->second.second;
      followed[found == by_id.end() ? name : found->second.first] = view;
    }
    *map = std::move(followed);
  }
}

void EngineImpl::Reconcile() {
  std::lock_guard reconcile(reconcile_mutex_);
  auto catalog = parts_.catalog.Current();
  std::vector<LiveViewPtr> gone, fresh;
  std::vector<LivePumpPtr> pumps_gone, pumps_fresh;
  {
    std::unique_lock lock(views_mutex_);
    std::set<uint32_t> pumps;
    for (auto& [name, definition] : catalog->pumps) {
      pumps.insert(definition->id);
      auto& pump = pumps_[definition->id];
      if (pump) {
        pump->definition = definition;
        continue;
      }
      pump = std::make_shared<LivePump>();
      pump->definition = definition;
      pump->stream = catalog->FindStream(definition->stream);
      pump->outbox = std::make_shared<Outbox>(parts_.log, definition->id, definition->stream,
                                              pump->stream->Types(), [this] { Post([] {}); });
      if (!ParkAsBefore(*pump, definition->id, definition->query)) pumps_fresh.push_back(pump);
    }
    std::erase_if(pumps_, [&](auto& entry) {
      if (pumps.contains(entry.first)) return false;
      pumps_gone.push_back(entry.second);
      return true;
    });
    auto wanted = [&](const std::string& name) -> std::shared_ptr<const View> {
      auto found = catalog->views.find(name);
      return found == catalog->views.end() || !found->second->materialized ? nullptr
                                                                           : found->second;
    };
    FollowNames(*catalog);
    EndSubscriptions(*catalog);
    for (auto* map : {&views_, &next_}) {
      std::erase_if(*map, [&](auto& entry) {
        if (entry.second->definition->id == 0) return false;  // a subscription's
        auto definition = wanted(entry.first);
        bool replaced_later = definition && map == &views_;
        if (definition && (definition->id == entry.second->definition->id || replaced_later)) {
          return false;
        }
        gone.push_back(entry.second);
        return true;
      });
    }
    for (auto& [name, definition] : catalog->views) {
      if (!definition->materialized) continue;
      auto current = views_.find(name);
      auto next = next_.find(name);
      bool there = (current != views_.end() && current->second->definition->id == definition->id) ||
                   next != next_.end();
      if (there) continue;
      auto view = MakeLiveView(*catalog, definition);
      if (view->status != ViewStatus::kParked) fresh.push_back(view);
      bool beside = current != views_.end() && view->status != ViewStatus::kParked;
      (beside ? next_ : views_)[name] = view;
    }
  }
  for (auto& view : gone) {
    Post([this, view] { Detach(view); });
  }
  for (auto& pump : pumps_gone) {
    pump->outbox->Close();
    Post([this, pump] { Detach(pump); });
  }
  if (fresh.empty() && pumps_fresh.empty()) return;
  std::lock_guard lock(mutex_);
  to_fill_.insert(to_fill_.end(), fresh.begin(), fresh.end());
  pumps_to_fill_.insert(pumps_to_fill_.end(), pumps_fresh.begin(), pumps_fresh.end());
  filler_wake_.notify_one();
}

}  // namespace weir
