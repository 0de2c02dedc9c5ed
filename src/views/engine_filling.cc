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
    std::string save;
    {
      std::unique_lock lock(mutex_);
      filling_ = false;
      filler_wake_.wait(lock, [&] { return stopping_ || !to_fill_.empty() || !to_save_.empty(); });
      if (stopping_) return;
      if (!to_save_.empty()) {
        save = std::move(to_save_.back());
        to_save_.clear();
      }
      views.swap(to_fill_);
      filling_ = !views.empty();
    }
    try {
      if (!save.empty()) {
        WriteFileAtomically(parts_.disk, options_.checkpoint_directory + "/views", save);
      }
      if (!views.empty()) Fill(views);
    } catch (...) {
      Error error = CurrentError();
      for (auto& view : views) Park(*view, error);
    }
  }
}

void EngineImpl::Fill(const std::vector<LiveViewPtr>& views) {
  auto catalog = parts_.catalog.Current();
  Filling fresh, restored;
  for (auto* filling : {&fresh, &restored}) filling->circuit.UseMemory(&memory_);
  auto prepare = [&](Filling& filling, const LiveViewPtr& view) {
    auto session = std::make_shared<Session>(parts_.kernel, catalog->time_zone);
    session->SetClock(PublishedClock());
    auto built = BuildView(filling.circuit, *catalog, session, OutputName(*view->definition),
                           view->definition->query);
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
  for (Filling* filling : {&restored, &fresh}) {
    for (auto& [name, stream] : catalog->streams) {
      filling->streams[SourceName(stream->id)] = stream;
    }
    std::set<Operator*> outputs;
    for (auto& view : filling->views) outputs.insert(view->output);
    filling->circuit.KeepOnly(outputs);
  }
  if (!restored.views.empty()) {
    try {
      Restore(*saved_, restored.circuit, restored.views);
      restored.position = saved_->position;
    } catch (const Error&) {
      // A damaged checkpoint costs time only: fill from the beginning.
      auto again = std::move(restored.views);
      saved_.reset();
      restored = Filling();
      restored.circuit.UseMemory(&memory_);
      for (auto& view : again) prepare(fresh, view);
    }
  }
  saved_.reset();
  if (!restored.views.empty()) FillCircuit(std::move(restored));
  if (!fresh.views.empty()) FillCircuit(std::move(fresh));
}

void EngineImpl::FillCircuit(Filling filling) {
  constexpr uint64_t kCloseEnough = 20'000;
  filling.circuit.SetClock(PublishedClock());
  for (int round = 0; round < 10; round++) {
    Offset target = versions_.Current().offset;
    if (target.value - filling.position.value < kCloseEnough) break;
    FillUpTo(filling, parts_.history, target, [&](Offset reached) {
      for (auto& view : filling.views) {
        std::lock_guard lock(view->mutex);
        view->progress = static_cast<double>(reached.value) / static_cast<double>(target.value);
      }
      for (auto& view : filling.views) TakeGrowth(*view);
      memory_.Look();
      if (auto excess = memory_.Excess()) {
        auto stores = filling.circuit.RowStores();
        for (auto& view : filling.views) stores.push_back(&view->content.rows_kept());
        MoveToFile(std::move(stores), excess);
      }
      while (memory_.IsFull() && !filling.views.empty()) {
        GiveUpBiggest(filling,
                      static_cast<double>(reached.value) / static_cast<double>(target.value));
        memory_.LookAgain();
      }
      return !stopping_;
    });
    if (stopping_ || filling.views.empty()) return;
  }
  auto shared = std::make_shared<Filling>(std::move(filling));
  RunOnEngine([this, shared] { Attach(*shared); });
}

// Parks the view of a filling that takes the most memory, and frees it; the others go on.
void EngineImpl::GiveUpBiggest(Filling& filling, double progress) {
  auto bytes_of = [](const LiveViewPtr& view) {
    size_t bytes = 0;
    for (Operator* op : view->operators) bytes += op->StateBytes();
    return bytes + view->content.Bytes();
  };
  auto biggest =
      std::max_element(filling.views.begin(), filling.views.end(),
                       [&](auto& left, auto& right) { return bytes_of(left) < bytes_of(right); });
  auto view = *biggest;
  size_t bytes = bytes_of(view);
  Error error = memory_.Refusal(ErrorCode::kLimitExceeded, "not filled for want of memory");
  error.message += fmt::format(
      "; the view had {} MB at {:.0f} % of its history and would take some {} MB",
      bytes / 1'000'000, progress * 100,
      static_cast<uint64_t>(static_cast<double>(bytes) / std::max(progress, 0.01) / 1e6));
  error.hint += " Then make the view anew with CREATE OR REPLACE, or start again.";
  Park(*view, std::move(error));
  filling.views.erase(biggest);
  view->output = nullptr;
  view->operators.clear();
  view->content.Clear();
  std::set<Operator*> outputs;
  for (auto& other : filling.views) outputs.insert(other->output);
  filling.circuit.KeepOnly(outputs);
}

// Takes a filled circuit over, between two steps.
void EngineImpl::Attach(Filling& filling) {
  FillUpTo(filling, parts_.history, position_, [](Offset) { return true; });
  filling.circuit.SetClock(now_);
  filling.circuit.Flush();
  auto went = circuit_.Absorb(std::move(filling.circuit));
  Version version{step_ + 1, position_, now_};
  std::vector<LiveViewPtr> attached;
  for (auto& view : filling.views) {
    if (!IsWanted(view)) continue;  // replaced or dropped while it was filled
    view->output = static_cast<OutputOperator*>(went.at(view->output));
    view->operators = Circuit::Needs(view->output);
    if (!ParkIfFailed(*view)) {
      view->output->Take([&](std::string_view row, int64_t weight) {
        view->content.Change(row, weight, version.step);
      });
      view->changes.StartAt(version.step << 20, position_, !view->WantsClock());
    }
    live_.push_back(view);
    attached.push_back(view);
  }
  IndexSources();
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
  for (auto& callback : callbacks_) callback(info, {});
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

// Keeps what live views need of the circuit.
void EngineImpl::DropUnused() {
  std::set<Operator*> outputs;
  for (auto& other : live_) outputs.insert(other->output);
  circuit_.KeepOnly(outputs);
  for (auto& other : live_) other->operators = Circuit::Needs(other->output);
  IndexSources();
}

void EngineImpl::Reconcile() {
  std::lock_guard reconcile(reconcile_mutex_);
  auto catalog = parts_.catalog.Current();
  std::vector<LiveViewPtr> gone, fresh;
  {
    std::unique_lock lock(views_mutex_);
    auto wanted = [&](const std::string& name) -> std::shared_ptr<const View> {
      auto found = catalog->views.find(name);
      return found == catalog->views.end() || !found->second->materialized ? nullptr
                                                                           : found->second;
    };
    for (auto* map : {&views_, &next_}) {
      std::erase_if(*map, [&](auto& entry) {
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
      auto view = std::make_shared<LiveView>();
      view->definition = definition;
      view->content.UseMemory(&memory_);
      try {
        auto session = std::make_shared<Session>(parts_.kernel, catalog->time_zone);
        CatalogRelations relations(*catalog, *session);
        Plan plan = PlanQuery(*session, ExpandWindowFunctions(definition->query), relations);
        view->columns = ColumnsOf(plan);
        for (auto& key : plan.presentation) {
          auto column = AsColumn(key.by);
          if (!column || *column >= view->columns.size()) continue;
          view->order.push_back({*column, key.descending, key.nulls_first});
        }
        Circuit scratch;
        auto built = BuildView(scratch, *catalog, session, definition->name, definition->query);
        view->not_incremental = built.unsupported;
        view->hint = built.hint;
        fresh.push_back(view);
      } catch (...) {
        Park(*view, CurrentError());
      }
      bool beside = current != views_.end() && view->status != ViewStatus::kParked;
      (beside ? next_ : views_)[name] = view;
    }
  }
  for (auto& view : gone) {
    Post([this, view] { Detach(view); });
  }
  if (fresh.empty()) return;
  std::lock_guard lock(mutex_);
  to_fill_.insert(to_fill_.end(), fresh.begin(), fresh.end());
  filler_wake_.notify_one();
}

}  // namespace weir
