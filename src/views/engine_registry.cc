// Which views and pumps there are, as the catalog says: what is new is planned first, beside
// everything that runs, and then put into its place.
#include "base/error.h"
#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "views/engine_impl.h"
#include "views/relations.h"

namespace weir {

// A view that is yet to be filled; parked when its query cannot be planned.
LiveViewPtr EngineImpl::MakeLiveView(const CatalogState& catalog,
                                     const std::shared_ptr<const View>& definition) {
  auto view = std::make_shared<LiveView>();
  view->definition = definition;
  view->content.UseMemory(&memory_);
  if (ParkIfPlanningEnded(*view, definition->id, definition->Definition())) return view;
  try {
    OnPlanningThread([&] {
      // Of a subscription nothing is kept that a start could meet again.
      std::optional<BusyThread> busy;
      if (busy_ && definition->id != 0) busy.emplace((*busy_)[BusyFile::kPlanner]);
      BusyWork work(definition->id);
      PlanLiveView(catalog, *view);
    });
    ParkAsBefore(*view, definition->id, definition->Definition());
  } catch (...) {
    Park(*view, CurrentError());
  }
  return view;
}

void EngineImpl::PlanLiveView(const CatalogState& catalog, LiveView& view) {
  auto session = std::make_shared<Session>(parts_.kernel, catalog.time_zone);
  CatalogRelations relations(catalog, *session);
  Plan plan = PlanQuery(*session, view.definition->Planned().text, relations);
  view.columns = ColumnsOf(plan);
  for (auto& key : plan.presentation) {
    auto column = AsColumn(key.by);
    if (!column || *column >= view.columns.size()) continue;
    view.order.push_back({*column, key.descending, key.nulls_first});
  }
  Circuit scratch;
  auto built = BuildView(scratch, catalog, session, view.definition->name, std::move(plan));
  view.not_incremental = built.unsupported;
  view.hint = built.hint;
  if (auto died = built.output ? DiedOf(Circuit::Needs(built.output)) : std::nullopt) {
    Park(view, *died, Parked::kForGood);
  }
}

// What is kept under another name now stays as it is.  What answers until another has its place is
// renamed with it.
void EngineImpl::FollowNames(const CatalogState& catalog) {
  std::map<uint32_t, std::shared_ptr<const View>> by_id;
  for (auto& [name, view] : catalog.views) by_id[view->id] = view;
  auto definition_of = [&](const LiveViewPtr& view) {
    auto found = by_id.find(view->definition->id);
    return found == by_id.end() ? nullptr : found->second;
  };
  std::map<std::string, LiveViewPtr> views, next;
  for (auto& [name, view] : views_) {
    auto definition = definition_of(view);
    auto replaced_by = next_.find(name);
    if (!definition && replaced_by != next_.end()) {
      if (auto follows = definition_of(replaced_by->second)) {
        auto renamed = std::make_shared<View>(*view->definition.Get());
        renamed->name = follows->name;
        definition = std::move(renamed);
      }
    }
    if (definition) view->definition = definition;
    views[definition ? duckdb::StringUtil::Lower(definition->name) : name] = view;
  }
  for (auto& [name, view] : next_) {
    auto definition = definition_of(view);
    if (definition) view->definition = definition;
    next[definition ? duckdb::StringUtil::Lower(definition->name) : name] = view;
  }
  views_ = std::move(views);
  next_ = std::move(next);
}

// What is in the catalog and not yet here, planned.  Takes as long as it takes: nobody waits for a
// lock meanwhile but who changes the catalog, too.
EngineImpl::Planned EngineImpl::PlanNew(const CatalogState& catalog) {
  std::set<uint32_t> here;
  {
    std::shared_lock lock(views_mutex_);
    for (auto* map : {&views_, &next_}) {
      for (auto& [name, view] : *map) here.insert(view->definition->id);
    }
  }
  Planned planned;
  for (auto& [name, definition] : catalog.views) {
    if (!definition->materialized || here.contains(definition->id)) continue;
    planned[definition->id] = MakeLiveView(catalog, definition);
  }
  return planned;
}

void EngineImpl::Reconcile() {
  std::lock_guard reconcile(reconcile_mutex_);
  auto catalog = parts_.catalog.Current();
  Planned planned = PlanNew(*catalog);
  std::map<std::string, bool> ended;  // subscriptions looked at, by query
  Turnover turnover;
  while (!Install(catalog, planned, ended, turnover)) {
    for (auto& [key, query_and_reads] : SubscribedNow()) {
      auto& [query, reads] = query_and_reads;
      if (!ended.contains(key)) ended[key] = ReadsOf(*catalog, query) != reads;
    }
  }
  Abandon(turnover);
  for (auto& view : turnover.gone) {
    view->is_wanted = false;
    Post([this, view] { Detach(view); });
  }
  for (auto& pump : turnover.pumps_gone) {
    pump->is_wanted = false;
    pump->outbox->Close();
    Post([this, pump] { Detach(pump); });
  }
  if (turnover.fresh.empty() && turnover.pumps_fresh.empty()) return;
  std::lock_guard lock(mutex_);
  to_fill_.insert(to_fill_.end(), turnover.fresh.begin(), turnover.fresh.end());
  pumps_to_fill_.insert(pumps_to_fill_.end(), turnover.pumps_fresh.begin(),
                        turnover.pumps_fresh.end());
  filler_wake_.notify_one();
}

// What only those need that are gone is given up in the middle, should a thread be at it.
void EngineImpl::Abandon(const Turnover& turnover) {
  if (turnover.gone.empty() && turnover.pumps_gone.empty()) return;
  std::set<uint64_t> works;
  auto each_work = [](const Kept& kept, auto take) {
    std::lock_guard lock(kept.mutex);
    for (uint64_t work : kept.works) take(work);
  };
  auto add = [&](uint64_t work) { works.insert(work); };
  auto leave = [&](uint64_t work) { works.erase(work); };
  std::lock_guard lock(abandoned_mutex_);
  for (auto& view : turnover.gone) each_work(*view, add);
  for (auto& pump : turnover.pumps_gone) each_work(*pump, add);
  std::shared_lock views_lock(views_mutex_);
  for (auto* map : {&views_, &next_}) {
    for (auto& [name, view] : *map) each_work(*view, leave);
  }
  for (auto& [id, pump] : pumps_) each_work(*pump, leave);
  abandoned_.insert(works.begin(), works.end());
}

// Once the operators are known; what another view has left behind is wanted again.
void EngineImpl::NoteWorks(Kept& kept) {
  std::vector<uint64_t> works;
  for (Operator* op : kept.operators) {
    if (op->busy_as != 0) works.push_back(op->busy_as);
  }
  std::lock_guard lock(abandoned_mutex_);
  if (kept.is_wanted) {
    for (uint64_t work : works) abandoned_.erase(work);
  }
  std::lock_guard kept_lock(kept.mutex);
  kept.works = std::move(works);
}

bool EngineImpl::IsAbandoned(uint64_t work) const {
  std::lock_guard lock(abandoned_mutex_);
  return abandoned_.contains(work);
}

// Puts everything into its place at once.  False, and nothing has changed, when a subscription is
// there that `ended` says nothing of.
bool EngineImpl::Install(const CatalogPtr& catalog, const Planned& planned,
                         const std::map<std::string, bool>& ended, Turnover& turnover) {
  std::unique_lock lock(views_mutex_);
  for (auto& [key, subscribed] : subscribed_) {
    if (!ended.contains(key)) return false;
  }
  installed_ = catalog;
  InstallPumps(*catalog, turnover);
  FollowNames(*catalog);
  std::erase_if(subscribed_, [&](auto& entry) {
    if (!ended.at(entry.first)) return false;
    Park(*views_.at(entry.second.name),
         Error(ErrorCode::kConflict, "what the query reads has been replaced or dropped",
               "Subscribe again."));
    return true;
  });
  RemoveGone(*catalog, turnover);
  for (auto& [name, definition] : catalog->views) {
    auto made = planned.find(definition->id);
    if (made == planned.end() || next_.contains(name)) continue;
    auto& view = made->second;
    auto current = views_.find(name);
    bool parked = view->status == ViewStatus::kParked;
    if (!parked) turnover.fresh.push_back(view);
    if (current != views_.end() && !parked) {
      next_[name] = view;  // filled beside the one that is there
      continue;
    }
    if (current != views_.end()) turnover.gone.push_back(current->second);
    views_[name] = view;
  }
  return true;
}

void EngineImpl::InstallPumps(const CatalogState& catalog, Turnover& turnover) {
  std::set<uint32_t> pumps;
  for (auto& [name, definition] : catalog.pumps) {
    pumps.insert(definition->id);
    auto& pump = pumps_[definition->id];
    if (pump) {
      pump->definition = definition;
      continue;
    }
    pump = std::make_shared<LivePump>();
    pump->definition = definition;
    pump->stream = catalog.FindStream(definition->stream);
    CHECK(pump->stream);  // the catalog has no pump without
    pump->outbox =
        std::make_shared<Outbox>(parts_.log, parts_.clock, definition->id, definition->stream,
                                 pump->stream->Types(), [this] { Post([] {}); });
    if (!ParkAsBefore(*pump, definition->id, definition->query)) {
      turnover.pumps_fresh.push_back(pump);
    }
  }
  std::erase_if(pumps_, [&](auto& entry) {
    if (pumps.contains(entry.first)) return false;
    turnover.pumps_gone.push_back(entry.second);
    return true;
  });
}

// Views of no name any more, and what was to replace a view and has been replaced itself.
void EngineImpl::RemoveGone(const CatalogState& catalog, Turnover& turnover) {
  for (auto* map : {&views_, &next_}) {
    std::erase_if(*map, [&](auto& entry) {
      if (entry.second->definition->id == 0) return false;  // a subscription's
      auto found = catalog.views.find(entry.first);
      bool named = found != catalog.views.end() && found->second->materialized;
      bool replaced_later = named && map == &views_;
      if (named && (found->second->id == entry.second->definition->id || replaced_later)) {
        return false;
      }
      turnover.gone.push_back(entry.second);
      return true;
    });
  }
}

}  // namespace weir
