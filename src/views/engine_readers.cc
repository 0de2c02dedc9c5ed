#include "duckdb/common/string_util.hpp"
#include "views/engine_impl.h"
#include "views/explain.h"
#include "views/relations.h"

namespace weir {

LiveViewPtr EngineImpl::Find(const std::string& name) const {
  std::shared_lock lock(views_mutex_);
  auto found = views_.find(duckdb::StringUtil::Lower(name));
  return found == views_.end() ? nullptr : found->second;
}

LiveViewPtr EngineImpl::FindReadable(const std::string& name) const {
  auto view = Find(name);
  if (!view) {
    auto definition = parts_.catalog.Current()->GetView(name);  // throws with the nearest name
    throw Error(ErrorCode::kInvalidRequest, "view \"" + definition->name + "\" is not materialized",
                "Query it with SQL, or make it a MATERIALIZED VIEW.");
  }
  std::lock_guard lock(view->mutex);
  if (view->status == ViewStatus::kParked) throw *view->error;
  if (view->status == ViewStatus::kFilling) {
    throw Error(ErrorCode::kUnavailable,
                "view \"" + view->definition->name + "\" is being filled (" +
                    std::to_string(static_cast<int>(view->progress * 100)) + " %)",
                "Try again in a moment.");
  }
  return view;
}

// NAME_errors, where NAME is a view.
bool EngineImpl::OfErrors(const std::string& name) const {
  auto lower = duckdb::StringUtil::Lower(name);
  if (!lower.ends_with(kErrorsSuffix)) return false;
  return Find(lower.substr(0, lower.size() - kErrorsSuffix.size())) != nullptr;
}

// Nothing when the view answers as it is defined.
std::optional<Replacement> EngineImpl::ReplacementOf(const LiveView& view) const {
  auto name = duckdb::StringUtil::Lower(view.definition->name);
  LiveViewPtr other;
  {
    std::shared_lock lock(views_mutex_);
    auto next = next_.find(name), current = views_.find(name);
    if (next != next_.end()) {
      other = next->second;
    } else if (current != views_.end() && current->second.get() != &view) {
      other = current->second;  // it has come since the view was found
    }
  }
  if (!other) return std::nullopt;
  std::lock_guard lock(other->mutex);
  return Replacement{other->definition->id, other->progress};
}

std::vector<Snapshot> EngineImpl::Read(const std::vector<std::string>& names,
                                       const ReadOptions& given) {
  ReadOptions options = given;
  if (options.bytes_max == 0) options.bytes_max = options_.read_bytes_max;
  // A view is found after its first content is published, so the step is taken after finding.
  std::vector<LiveViewPtr> views;
  std::vector<bool> of_errors;
  views.reserve(names.size());
  for (auto& name : names) {
    of_errors.push_back(!Find(name) && OfErrors(name));
    views.push_back(
        FindReadable(of_errors.back() ? name.substr(0, name.size() - kErrorsSuffix.size()) : name));
  }
  auto version = versions_.Pin();
  std::vector<Snapshot> snapshots;
  for (size_t i = 0; i < views.size(); i++) {
    auto& view = views[i];
    if (of_errors[i]) {
      snapshots.push_back(ReadErrors(*view, *version, options));
      continue;
    }
    auto& snapshot = snapshots.emplace_back(ReadContent(*view, *version, options));
    snapshot.version = view->definition->id;
    snapshot.replaced_by = ReplacementOf(*view);
    if (view->not_incremental.empty()) continue;
    Version stood = view->StoodAt(version->step);
    snapshot.offset = stood.offset;
    snapshot.as_of = stood.as_of;
    snapshot.log_time = stood.log_time;
  }
  return snapshots;
}

std::optional<std::vector<ViewChangePtr>> EngineImpl::ChangesSince(const std::string& name,
                                                                   uint64_t sequence) {
  return FindReadable(name)->changes.Since(sequence);
}

std::optional<uint64_t> EngineImpl::SequenceAt(const std::string& name, Offset offset) {
  auto view = FindReadable(name);
  if (offset > versions_.Current().offset) return std::nullopt;  // of another life of the data
  return view->changes.SequenceAtOffset(offset);
}

void EngineImpl::WaitFor(Offset offset, Micros deadline, Executor& executor,
                         std::function<void(bool)> done) {
  waiters_.Add([this, offset] { return versions_.Current().offset >= offset; }, deadline, executor,
               std::move(done));
}

void EngineImpl::WaitForView(const std::string& name, Offset offset, Micros deadline,
                             Executor& executor, std::function<void(bool)> done) {
  waiters_.Add([this, name, offset] { return Shows(name, offset); }, deadline, executor,
               std::move(done));
  wake_.notify_one();  // a recomputed one is looked at more often while somebody waits
}

bool EngineImpl::Shows(const std::string& name, Offset offset) const {
  std::string lower = duckdb::StringUtil::Lower(name);
  LiveViewPtr view;
  {
    std::shared_lock lock(views_mutex_);
    if (next_.contains(lower)) return false;  // what answers is not what was asked for last
    auto found = views_.find(lower);
    if (found != views_.end()) view = found->second;
  }
  if (!view) return versions_.Current().offset >= offset;
  if (view->status == ViewStatus::kParked) return true;  // he gets its error
  if (view->status == ViewStatus::kFilling) return false;
  if (view->not_incremental.empty()) return versions_.Current().offset >= offset;
  std::lock_guard lock(view->mutex);
  return view->standing.offset >= offset;
}

std::vector<Column> EngineImpl::Bind(const CatalogState& state, const KernelSql& query) {
  if (parts_.trial && !WasTried(query)) parts_.trial->Try(state, query);
  return ColumnsOfQuery(state, query);
}

// While a project is applied, before the start, everything it says is bound; what the catalog has
// was tried when it was made.
bool EngineImpl::WasTried(const KernelSql& query) const {
  {
    std::lock_guard lock(mutex_);
    if (started_) return false;
  }
  auto catalog = parts_.catalog.Current();
  auto is_view = [&](auto& entry) { return entry.second->Planned() == query; };
  auto is_pump = [&](auto& entry) { return entry.second->kernel_sql == query; };
  return std::any_of(catalog->views.begin(), catalog->views.end(), is_view) ||
         std::any_of(catalog->pumps.begin(), catalog->pumps.end(), is_pump);
}

std::vector<Column> EngineImpl::ColumnsOfQuery(const CatalogState& state, const KernelSql& query) {
  std::vector<Column> columns;
  OnPlanningThread([&] {
    auto session = std::make_shared<Session>(parts_.kernel, state.time_zone);
    session->SetClock(PublishedClock());
    CatalogRelations relations(state, *session);
    columns = ColumnsOf(PlanQuery(*session, query.text, relations));
  });
  return columns;
}

void EngineImpl::CheckTimeZone(const std::string& zone) { Session(parts_.kernel, zone); }

EngineInfo EngineImpl::Info() const {
  EngineInfo info;
  {
    std::lock_guard lock(info_mutex_);
    info = info_;
  }
  info.backlog_bytes = backlog_bytes_;
  info.memory_in_use = memory_.InUse();
  info.memory_limit = memory_.limit();
  info.memory_full = memory_.IsFull();
  info.emitting_bytes = emitting_bytes_;
  if (busy_) {
    auto& slot = (*busy_)[BusyFile::kEngine];
    info.stalled_seconds = slot.stalled_ms / 1000;
    uint64_t work = slot.stalled;
    if (info.stalled_seconds > 0 && work != 0) {
      info.stalled_on = WorkInWords(BusyFile::kEngine, work);
    }
  }
  std::lock_guard lock(mutex_);
  Micros oldest = unpublished_since_;
  if (oldest == 0 && !queue_.empty()) oldest = queue_.front()->append_time;
  info.lag = oldest == 0 ? 0 : std::max<Micros>(0, parts_.clock.Now() - oldest);
  info.filling = filling_ || !to_fill_.empty() || !pumps_to_fill_.empty();
  return info;
}

std::vector<ViewInfo> EngineImpl::ViewInfos() const {
  auto version = versions_.Current();
  std::vector<ViewInfo> infos;
  std::shared_lock lock(views_mutex_);
  for (auto& [name, view] : views_) {
    if (view->definition->id == 0) continue;  // a subscription's
    ViewInfo info;
    info.name = view->definition->name;
    info.columns = view->columns;
    for (auto& by : view->order) {
      info.ordered_by.emplace_back(view->columns[by.column].name, by.descending);
    }
    info.rung = view->not_incremental.empty() ? Rung::kIncremental : Rung::kRecompute;
    info.rows = view->content.rows();
    info.error_rows = view->errors.rows();
    info.offset = version.offset;
    info.as_of = version.as_of;
    auto next = next_.find(name);
    double next_progress = 0;
    if (next != next_.end()) {
      std::lock_guard of_next(next->second->mutex);
      next_progress = next->second->progress;
    }
    std::lock_guard inner(view->mutex);
    info.version = info.answering = view->definition->id;
    if (view->status != ViewStatus::kLive) info.answering = 0;
    info.status = view->status;
    info.progress = view->progress;
    info.error = view->error;
    info.changes = view->changed_rows;
    info.state_bytes = view->state_bytes;
    info.shared_bytes = view->shared_bytes;
    info.file_bytes = view->file_bytes;
    info.content_bytes = view->content_bytes;
    info.operators = view->operator_ids;
    if (next != next_.end()) {
      // What is asked for is not what answers yet, and nobody is to take the one for the other.
      info.version = next->second->definition->id;
      info.status = ViewStatus::kFilling;
      info.progress = next_progress;
      info.columns = next->second->columns;
      // Of either: what is asked of a recomputed one is not read from its content.
      if (!next->second->not_incremental.empty()) info.rung = Rung::kRecompute;
    }
    if (!view->not_incremental.empty()) {
      info.offset = view->standing.offset;
      info.as_of = view->standing.as_of;
    }
    infos.push_back(std::move(info));
  }
  return infos;
}

std::vector<OperatorInfo> EngineImpl::OperatorInfos() const {
  std::lock_guard lock(info_mutex_);
  return operator_infos_;
}

void EngineImpl::CheckRoom(ErrorCode code, const std::string& what) const {
  if (memory_.IsFull()) throw memory_.Refusal(code, what);
}

std::string EngineImpl::ExplainView(const std::string& name, bool analyze) {
  auto view = Find(name);
  if (!view) return ExplainQuery(parts_.catalog.Current()->GetView(name)->Planned());
  if (!view->not_incremental.empty()) return ExplainRecomputed(view->not_incremental, view->hint);
  auto catalog = parts_.catalog.Current();
  auto text = std::make_shared<std::string>();
  AskEngine([this, text, view, catalog, analyze] {
    if (std::find(live_.begin(), live_.end(), view) != live_.end()) {
      *text = ExplainCircuit(*view->output, *catalog, analyze);
    }
  });
  return text->empty() ? ExplainQuery(view->definition->Planned()) : *text;
}

std::string EngineImpl::ExplainQuery(const KernelSql& query) {
  auto catalog = parts_.catalog.Current();
  if (parts_.trial) parts_.trial->Try(*catalog, query);
  std::string text;
  OnPlanningThread([&] {
    auto session = std::make_shared<Session>(parts_.kernel, catalog->time_zone);
    session->SetClock(PublishedClock());
    Circuit scratch;
    auto built = BuildView(scratch, *catalog, session, "query", query);
    text = built.output ? ExplainCircuit(*built.output, *catalog, false)
                        : ExplainRecomputed(built.unsupported, built.hint);
  });
  return text;
}

std::string EngineImpl::RungOf(const KernelSql& query) {
  auto catalog = parts_.catalog.Current();
  auto session = std::make_shared<Session>(parts_.kernel, catalog->time_zone);
  session->SetClock(PublishedClock());
  Circuit scratch;
  auto built = BuildView(scratch, *catalog, session, "query", query);
  Upkeep upkeep;
  if (!built.output) {
    upkeep.Add(Upkeep::Rung::kRecomputed, built.unsupported, built.hint);
  } else {
    for (Operator* op : Circuit::Needs(built.output)) upkeep.Add(op->upkeep);
  }
  return OneLine(upkeep);
}

}  // namespace weir
