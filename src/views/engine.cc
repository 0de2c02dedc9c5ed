#include "views/engine.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <shared_mutex>
#include <thread>

#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "formats/block.h"
#include "sql/window_functions.h"
#include "views/checkpoint.h"
#include "views/explain.h"
#include "views/filling.h"
#include "views/relations.h"

namespace weir {
namespace {

std::string Lower(std::string_view name) { return duckdb::StringUtil::Lower(std::string(name)); }

// Two definitions of one name, while one fills beside the other, have an output each.
std::string OutputName(const View& view) { return view.name + " " + std::to_string(view.id); }

// A view no operator can keep: asked again from scratch when something changed, at most so often.
struct Recomputed {
  LiveViewPtr view;
  bool uses_clock = false;
  bool running = false;
  Micros finished = 0;  // monotonic
  Micros took = 0;
};

class EngineImpl : public Engine {
 public:
  EngineImpl(Parts parts, EngineOptions options) : parts_(parts), options_(std::move(options)) {}
  ~EngineImpl() override { Stop(); }

  void Start() override;
  void Stop() override;
  bool Behind() const override { return backlog_bytes_ > options_.backlog_bytes_max; }
  void StepNow() override;

  void OnCommit(const CommittedRecords& group) override;
  std::vector<Snapshot> Read(const std::vector<std::string>& names,
                             const ReadOptions& options) override;
  std::optional<std::vector<ViewChangePtr>> ChangesSince(const std::string& view,
                                                         uint64_t sequence) override;
  std::optional<uint64_t> SequenceAt(const std::string& view, Offset offset) override;
  void OnStep(StepCallback callback) override { callbacks_.push_back(std::move(callback)); }
  void WaitFor(Offset offset, Micros deadline, std::function<void(bool)> done) override;
  std::vector<Column> Bind(const CatalogState& state, const std::string& query) override;
  void Reconcile() override;
  EngineInfo Info() const override;
  std::vector<ViewInfo> ViewInfos() const override;
  std::string ExplainView(const std::string& name, bool analyze) override;
  std::string ExplainQuery(const std::string& query) override;

 private:
  struct Waiter {
    Offset offset;
    Micros deadline;
    std::function<void(bool)> done;
  };
  using Task = std::function<void()>;

  // Engine thread.
  void Run();
  void Step(const std::deque<std::shared_ptr<const CommittedRecord>>& records);
  void Feed(const CommittedRecord& record);
  void Publish(bool moved);
  void Attach(Filling& filling);
  void Detach(const LiveViewPtr& view);
  bool IsWanted(const LiveViewPtr& view) const;
  void DropUnused();
  void Park(LiveView& view, Error error);
  bool ParkIfFailed(LiveView& view);
  void FinishWaiters();
  void MaybeRecompute();
  void FinishRecompute(Recomputed& recomputed, const BatchResult& result, const Version& asked);
  void MaybeCheckpoint();
  void Measure();
  void IndexSources();
  Micros Advance();

  // Filler thread.
  void RunFiller();
  void Fill(const std::vector<LiveViewPtr>& views);
  void FillCircuit(Filling filling);
  void Post(Task task);
  void RunOnEngine(Task task);  // waits

  // Any thread.
  LiveViewPtr Find(const std::string& name) const;
  LiveViewPtr FindReadable(const std::string& name) const;
  Micros PublishedClock() const;

  Parts parts_;
  EngineOptions options_;
  std::vector<StepCallback> callbacks_;
  Versions versions_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, filler_wake_;
  std::deque<std::shared_ptr<const CommittedRecord>> queue_;
  std::vector<Task> tasks_;
  std::vector<Waiter> waiters_;
  std::vector<LiveViewPtr> to_fill_;
  std::vector<std::string> to_save_;
  bool stopping_ = false, started_ = false, filling_ = false;
  std::atomic<uint64_t> backlog_bytes_{0};

  mutable std::shared_mutex views_mutex_;     // guards what follows
  std::map<std::string, LiveViewPtr> views_;  // what readers see, by lower-case name
  std::map<std::string, LiveViewPtr> next_;   // filling beside a view of the same name
  std::mutex reconcile_mutex_;

  // The engine thread's own.
  Circuit circuit_;
  std::vector<LiveViewPtr> live_;
  std::vector<std::unique_ptr<Recomputed>> recomputed_;
  std::map<uint32_t, std::vector<SourceOperator*>> sources_;  // by stream
  Offset position_;
  uint64_t step_ = 0;
  Micros measured_ = 0, checkpointed_ = 0, checkpoint_took_ = 0;
  Offset checkpoint_position_;
  std::optional<Checkpoint> saved_;  // until the first filling has taken it

  Micros now_ = 0;  // the clock of the current step

  mutable std::mutex info_mutex_;
  EngineInfo info_;

  std::thread engine_, filler_;
};

// ---- life -------------------------------------------------------------------------------------

void EngineImpl::Start() {
  if (!options_.checkpoint_directory.empty()) {
    parts_.disk.MakeDirectories(options_.checkpoint_directory);
    auto bytes = ReadWholeFile(parts_.disk, options_.checkpoint_directory + "/views");
    saved_ = LoadCheckpoint(bytes);
    if (saved_ && saved_->position > parts_.log.End()) saved_.reset();
    if (saved_) now_ = saved_->clock;
  }
  position_ = parts_.log.End();
  step_ = 1;
  versions_.Publish({step_, position_, Advance()});
  {
    std::lock_guard lock(info_mutex_);
    info_.offset = position_;
    info_.as_of = versions_.Current().as_of;
  }
  {
    std::lock_guard lock(mutex_);
    started_ = true;
  }
  engine_ = std::thread([this] { Run(); });
  filler_ = std::thread([this] { RunFiller(); });
  Reconcile();
}

void EngineImpl::Stop() {
  {
    std::lock_guard lock(mutex_);
    if (!started_ || stopping_) return;
    stopping_ = true;
  }
  wake_.notify_all();
  filler_wake_.notify_all();
  engine_.join();
  filler_.join();
  if (!options_.checkpoint_directory.empty() && position_ > checkpoint_position_ && !filling_) {
    WriteFileAtomically(parts_.disk, options_.checkpoint_directory + "/views",
                        SaveCheckpoint(circuit_, live_, position_, now_));
  }
}

Micros EngineImpl::Advance() {
  now_ = std::max(now_, parts_.clock.Now());
  return now_;
}

// The clock of the last step.  Nothing else may be ahead of it: a circuit filled with a later clock
// would have what its twins in the engine have yet to say.
Micros EngineImpl::PublishedClock() const {
  Micros published = versions_.Current().as_of;
  return published ? published : parts_.clock.Now();
}

void EngineImpl::Post(Task task) {
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void EngineImpl::RunOnEngine(Task task) {
  {
    std::lock_guard lock(mutex_);
    if (!started_ || stopping_) return;
  }
  auto finished = std::make_shared<std::promise<void>>();
  auto future = finished->get_future();
  Post([task = std::move(task), finished] {
    try {
      task();
      finished->set_value();
    } catch (...) {
      finished->set_exception(std::current_exception());
    }
  });
  future.get();
}

// ---- the engine thread ------------------------------------------------------------------------

void EngineImpl::OnCommit(const CommittedRecords& group) {
  {
    std::lock_guard lock(mutex_);
    for (auto& record : group) {
      backlog_bytes_ += record->record.payload.size();
      queue_.push_back(record);
    }
  }
  wake_.notify_one();
}

void EngineImpl::Run() {
  while (true) {
    std::deque<std::shared_ptr<const CommittedRecord>> records;
    std::vector<Task> tasks;
    {
      std::unique_lock lock(mutex_);
      bool hurried = circuit_.WantsClock() || !waiters_.empty();
      auto timeout = std::chrono::microseconds(hurried ? options_.tick : 10 * options_.tick);
      wake_.wait_for(lock, timeout,
                     [&] { return stopping_ || !queue_.empty() || !tasks_.empty(); });
      tasks.swap(tasks_);
      uint64_t rows = 0;
      while (!queue_.empty() && (rows == 0 || rows < options_.step_rows_max)) {
        rows += queue_.front()->record.count;
        records.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
      if (stopping_ && records.empty() && tasks.empty()) return;
    }
    // Tasks first: whoever handed in a filled circuit did so for the position before these records.
    for (auto& task : tasks) task();
    Step(records);
    FinishWaiters();
    MaybeRecompute();
    Measure();
    MaybeCheckpoint();
  }
}

void EngineImpl::StepNow() {
  std::deque<std::shared_ptr<const CommittedRecord>> records;
  std::vector<Task> tasks;
  {
    std::lock_guard lock(mutex_);
    records.swap(queue_);
    tasks.swap(tasks_);
  }
  for (auto& task : tasks) task();
  Step(records);
  FinishWaiters();
}

void EngineImpl::Step(const std::deque<std::shared_ptr<const CommittedRecord>>& records) {
  Micros started = parts_.clock.Monotonic();
  Micros now = Advance();
  circuit_.SetClock(now);
  uint64_t rows = 0, bytes = 0;
  Micros committed = 0;
  bool moved = !records.empty();
  for (auto& record : records) {
    Feed(*record);
    rows += record->record.count;
    bytes += record->record.payload.size();
    position_ = std::max(position_, record->last());
    committed = record->append_time;
  }
  circuit_.Flush();
  Publish(moved);
  backlog_bytes_ -= bytes;
  std::lock_guard lock(info_mutex_);
  if (moved) {
    info_.steps++;
    info_.rows += rows;
    info_.last_step_took = parts_.clock.Monotonic() - started;
    info_.lag = std::max<Micros>(0, parts_.clock.Now() - committed);
  }
}

void EngineImpl::Feed(const CommittedRecord& record) {
  auto found = sources_.find(record.record.stream.value);
  if (found == sources_.end() || record.record.count == 0) return;
  std::shared_ptr<const Columns> columns =
      std::static_pointer_cast<const Columns>(record.record.decoded);
  if (!columns) {
    auto stream = parts_.catalog.Current()->FindStream(record.record.stream);
    if (!stream) return;
    std::vector<size_t> all(stream->columns.size());
    for (size_t i = 0; i < all.size(); i++) all[i] = i;
    columns = std::make_shared<Columns>(DecodeBlock(record.record.payload, stream->Types(), all));
  }
  for (SourceOperator* source : found->second) {
    uint64_t offset = record.first.value;
    for (auto& chunk : columns->chunks) {
      source->Feed(*chunk, offset, record.append_time);
      offset += chunk->size();
    }
  }
}

// Makes the step visible: all views at once.
void EngineImpl::Publish(bool moved) {
  Version version{step_ + 1, position_, now_};
  uint64_t oldest = versions_.Oldest();
  std::vector<std::string> changed;
  for (auto& view : live_) {
    view->content.Reclaim(oldest);
    if (ParkIfFailed(*view) || !view->output->HasChanges()) continue;
    try {
      auto change = view->Apply(version, [&](auto row) { view->output->Take(row); });
      if (change) changed.push_back(view->definition->name);
    } catch (...) {
      Park(*view, CurrentError());
    }
  }
  step_ = version.step;
  versions_.Publish(version);
  EngineInfo info;
  {
    std::lock_guard lock(info_mutex_);
    info_.offset = version.offset;
    info_.as_of = version.as_of;
    info = info_;
  }
  info.backlog_bytes = backlog_bytes_;
  if (!moved && changed.empty()) return;
  for (auto& callback : callbacks_) callback(info, changed);
}

void EngineImpl::Park(LiveView& view, Error error) {
  std::lock_guard lock(view.mutex);
  view.status = ViewStatus::kParked;
  view.error = std::move(error);
}

bool EngineImpl::ParkIfFailed(LiveView& view) {
  if (view.status == ViewStatus::kParked) return true;
  for (Operator* op : view.operators) {
    if (op->failure().empty()) continue;
    Park(view, Error(ErrorCode::kQueryFailed, op->failure(),
                     "The view stands still since; drop it or replace it by one that does not "
                     "fail on such a row, for example with TRY_CAST or TRY."));
    return true;
  }
  return false;
}

void EngineImpl::FinishWaiters() {
  std::vector<std::pair<std::function<void(bool)>, bool>> finished;
  Micros now = parts_.clock.Monotonic();
  {
    std::lock_guard lock(mutex_);
    std::erase_if(waiters_, [&](Waiter& waiter) {
      bool reached = waiter.offset <= position_;
      if (!reached && now < waiter.deadline) return false;
      finished.emplace_back(std::move(waiter.done), reached);
      return true;
    });
  }
  for (auto& [done, reached] : finished) done(reached);
}

void EngineImpl::IndexSources() {
  sources_.clear();
  for (auto* source : circuit_.Sources()) {
    sources_[static_cast<uint32_t>(std::stoul(source->stream()))].push_back(source);
  }
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
      view->changes.StartAt(version.step << 20, position_);
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
      std::string name = Lower(view->definition->name);
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

void EngineImpl::Measure() {
  Micros now = parts_.clock.Monotonic();
  if (now - measured_ < 1'000'000) return;
  measured_ = now;
  for (auto& view : live_) {
    size_t bytes = view->content.Bytes();
    for (Operator* op : view->operators) bytes += op->StateBytes();
    std::lock_guard lock(view->mutex);
    view->state_bytes = bytes;
  }
}

void EngineImpl::MaybeCheckpoint() {
  if (options_.checkpoint_directory.empty() || position_ == checkpoint_position_) return;
  Micros now = parts_.clock.Monotonic();
  // Never more than a fiftieth of the time, however big the state.
  if (now - checkpointed_ < std::max(options_.checkpoint_interval, 50 * checkpoint_took_)) return;
  {
    std::lock_guard lock(mutex_);
    if (filling_ || !to_fill_.empty() || stopping_) return;
    if (!to_save_.empty()) return;
  }
  auto bytes = SaveCheckpoint(circuit_, live_, position_, now_);
  checkpoint_position_ = position_;
  checkpointed_ = parts_.clock.Monotonic();
  checkpoint_took_ = checkpointed_ - now;
  std::lock_guard lock(mutex_);
  to_save_.push_back(std::move(bytes));
  filler_wake_.notify_one();
}

// ---- views that are recomputed ------------------------------------------------------------------

void EngineImpl::MaybeRecompute() {
  if (!parts_.batch) return;
  Micros now = parts_.clock.Monotonic();
  for (auto& entry : recomputed_) {
    Recomputed* recomputed = entry.get();
    LiveView& view = *recomputed->view;
    bool due =
        now - recomputed->finished >= std::max(options_.recompute_interval, 10 * recomputed->took);
    bool stale =
        view.standing.offset != position_ || recomputed->uses_clock || view.standing.step == 0;
    if (!stale && !recomputed->running) {
      std::lock_guard lock(view.mutex);
      view.standing.as_of = now_;  // nothing it reads has changed
    }
    if (recomputed->running || !due || !stale || view.status == ViewStatus::kParked) continue;
    recomputed->running = true;
    Version asked{step_, position_, now_};
    BatchRequest request{view.definition->query, position_, now_};
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
      if (!passing) Park(view, std::move(error));
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
  Version version{step_ + 1, asked.offset, asked.as_of};
  ViewChangePtr change;
  try {
    change = view.Apply(version, [&](auto row) {
      for (auto& [key, weight] : difference) {
        if (weight != 0) row(key, weight);
      }
    });
  } catch (...) {
    return Park(view, CurrentError());
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
  for (auto& callback : callbacks_) callback(info, {view.definition->name});
}

// ---- filling ------------------------------------------------------------------------------------

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
          view->changes.StartAt((step_ + 1) << 20, position_);
          recomputed_.push_back(std::make_unique<Recomputed>(*recomputed));
          std::unique_lock lock(views_mutex_);
          auto next = next_.find(Lower(view->definition->name));
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
      return !stopping_;
    });
    if (stopping_) return;
  }
  auto shared = std::make_shared<Filling>(std::move(filling));
  RunOnEngine([this, shared] { Attach(*shared); });
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
        view->not_incremental =
            BuildView(scratch, *catalog, session, definition->name, definition->query).unsupported;
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

// ---- readers ------------------------------------------------------------------------------------

LiveViewPtr EngineImpl::Find(const std::string& name) const {
  std::shared_lock lock(views_mutex_);
  auto found = views_.find(Lower(name));
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

std::vector<Snapshot> EngineImpl::Read(const std::vector<std::string>& names,
                                       const ReadOptions& options) {
  // A view is found after its first content is published, so the step is taken after finding.
  std::vector<LiveViewPtr> views;
  views.reserve(names.size());
  for (auto& name : names) views.push_back(FindReadable(name));
  auto version = versions_.Pin();
  std::vector<Snapshot> snapshots;
  for (auto& view : views) {
    if (view->not_incremental.empty()) {
      snapshots.push_back(ReadContent(*view, *version, options));
      continue;
    }
    std::lock_guard lock(view->mutex);
    auto& snapshot = snapshots.emplace_back(ReadContent(*view, *versions_.Pin(), options));
    snapshot.offset = view->standing.offset;
    snapshot.as_of = view->standing.as_of;
  }
  return snapshots;
}

std::optional<std::vector<ViewChangePtr>> EngineImpl::ChangesSince(const std::string& name,
                                                                   uint64_t sequence) {
  return FindReadable(name)->changes.Since(sequence);
}

std::optional<uint64_t> EngineImpl::SequenceAt(const std::string& name, Offset offset) {
  return FindReadable(name)->changes.SequenceAtOffset(offset);
}

void EngineImpl::WaitFor(Offset offset, Micros deadline, std::function<void(bool)> done) {
  if (versions_.Current().offset >= offset) return done(true);
  {
    std::lock_guard lock(mutex_);
    waiters_.push_back({offset, deadline, std::move(done)});
  }
  wake_.notify_one();
  // The step may have come between the two looks; the engine looks again at its next turn.
  Post([] {});
}

std::vector<Column> EngineImpl::Bind(const CatalogState& state, const std::string& query) {
  auto session = std::make_shared<Session>(parts_.kernel, state.time_zone);
  session->SetClock(PublishedClock());
  CatalogRelations relations(state, *session);
  return ColumnsOf(PlanQuery(*session, ExpandWindowFunctions(query), relations));
}

EngineInfo EngineImpl::Info() const {
  EngineInfo info;
  {
    std::lock_guard lock(info_mutex_);
    info = info_;
  }
  info.backlog_bytes = backlog_bytes_;
  std::lock_guard lock(mutex_);
  info.filling = filling_ || !to_fill_.empty();
  return info;
}

std::vector<ViewInfo> EngineImpl::ViewInfos() const {
  auto version = versions_.Current();
  std::vector<ViewInfo> infos;
  std::shared_lock lock(views_mutex_);
  for (auto& [name, view] : views_) {
    ViewInfo info;
    info.name = view->definition->name;
    info.columns = view->columns;
    for (auto& by : view->order) {
      info.ordered_by.emplace_back(view->columns[by.column].name, by.descending);
    }
    info.rung = view->not_incremental.empty() ? Rung::kIncremental : Rung::kRecompute;
    info.rows = view->content.rows();
    info.offset = version.offset;
    info.as_of = version.as_of;
    std::lock_guard inner(view->mutex);
    info.status = view->status;
    info.progress = view->progress;
    info.error = view->error;
    info.changes = view->changed_rows;
    info.state_bytes = view->state_bytes;
    if (info.rung == Rung::kRecompute) {
      info.offset = view->standing.offset;
      info.as_of = view->standing.as_of;
    }
    infos.push_back(std::move(info));
  }
  return infos;
}

std::string EngineImpl::ExplainView(const std::string& name, bool analyze) {
  auto view = Find(name);
  if (!view) return ExplainQuery(parts_.catalog.Current()->GetView(name)->query);
  if (!view->not_incremental.empty()) {
    return "recomputed: asked again from scratch when something changed, at most once a second\n"
           "because of " +
           view->not_incremental + "\n";
  }
  auto catalog = parts_.catalog.Current();
  std::string text;
  RunOnEngine([&] {
    if (std::find(live_.begin(), live_.end(), view) != live_.end()) {
      text = ExplainCircuit(*view->output, *catalog, analyze);
    }
  });
  return text.empty() ? ExplainQuery(view->definition->query) : text;
}

std::string EngineImpl::ExplainQuery(const std::string& query) {
  auto catalog = parts_.catalog.Current();
  auto session = std::make_shared<Session>(parts_.kernel, catalog->time_zone);
  session->SetClock(PublishedClock());
  Circuit scratch;
  auto built = BuildView(scratch, *catalog, session, "query", query);
  if (!built.output) {
    return "recomputed: asked again from scratch when something changed, at most once a second\n"
           "because of " +
           built.unsupported + "\n";
  }
  return ExplainCircuit(*built.output, *catalog, false);
}

}  // namespace

std::unique_ptr<Engine> Engine::Make(Parts parts, EngineOptions options) {
  return std::make_unique<EngineImpl>(parts, std::move(options));
}

}  // namespace weir
