#include "views/engine_impl.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>

#include "duck/errors.h"
#include "flow/row_store.h"
#include "formats/block.h"
#include "views/explain.h"

namespace weir {

std::unique_ptr<Engine> Engine::Make(Parts parts, EngineOptions options) {
  return std::make_unique<EngineImpl>(parts, std::move(options));
}

void EngineImpl::Start() {
  if (!options_.checkpoint_directory.empty()) {
    parts_.disk.MakeDirectories(options_.checkpoint_directory);
    saved_ = Checkpoint::Open(parts_.disk, options_.checkpoint_directory + "/views");
    if (saved_ && saved_->at().offset > parts_.log.End()) saved_.reset();
    if (saved_) now_ = saved_->at().clock;
  }
  if (!options_.parked_path.empty()) {
    parked_saved_ = ReadWholeFile(parts_.disk, options_.parked_path);
    parked_before_ = LoadParked(parked_saved_);
  }
  RecoverMarks();
  position_ = parts_.log.End();
  log_time_ = parts_.log.LastTime();
  step_ = 1;
  step_rows_max_ = options_.step_rows_max;
  versions_.Publish({step_, position_, Advance(), log_time_});
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
  SaveParked();
  LastCheckpoint();
  std::shared_lock lock(views_mutex_);
  for (auto& [id, pump] : pumps_) pump->outbox->Close();
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

// After the engine's thread has ended nobody would come to a task: it is dropped.
void EngineImpl::Post(Task task) {
  {
    std::lock_guard lock(mutex_);
    if (engine_ended_) return;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

bool EngineImpl::RunOnEngine(Task task) {
  {
    std::lock_guard lock(mutex_);
    if (!started_ || engine_ended_) return false;
  }
  auto finished = std::make_shared<std::promise<void>>();
  auto future = finished->get_future();
  Post([task = std::move(task), finished = std::move(finished)] {
    try {
      task();
      finished->set_value();
    } catch (...) {
      finished->set_exception(std::current_exception());
    }
  });
  try {
    future.get();
  } catch (const std::future_error&) {
    return false;  // the task was dropped, and its promise with it
  }
  return true;
}

void EngineImpl::OnCommit(const CommittedRecords& group) {
  {
    std::lock_guard lock(mutex_);
    for (auto& record : group) {
      backlog_bytes_ += record->record.payload.size();
      queue_.push_back(record);
    }
  }
  wake_.notify_one();
  std::lock_guard lock(marks_mutex_);
  for (auto& record : group) {
    if (auto mark = DecodePumpMark(record->record.meta)) {
      auto& input = marks_.by_pump[mark->pump];
      input = std::max(input, mark->input);
    }
    marks_.at = std::max(marks_.at, record->last());
  }
}

void EngineImpl::Run() {
  constexpr int kFailuresMax = 1'000;
  constexpr auto kPause = std::chrono::milliseconds(10);
  int failures = 0;  // in a row
  for (bool go_on = true; go_on;) {
    try {
      go_on = Turn();
      failures = 0;
    } catch (...) {
      // Whatever concerns one view has parked it before it could come up to here.
      Error error = CurrentError();
      if (failures++ == 0) spdlog::error("engine: {}; going on", error.message);
      if (failures == kFailuresMax)
        options_.on_failure("the engine cannot go on: " + error.message);
      std::this_thread::sleep_for(kPause);
    }
  }
  std::vector<Task> dropped;
  {
    std::lock_guard lock(mutex_);
    engine_ended_ = true;
    dropped.swap(tasks_);
  }
}

// False when the engine is to end.
bool EngineImpl::Turn() {
  constexpr uint64_t kEmittingMax = 64 << 20;       // no step adds to more than this
  constexpr Micros kLastEmissionsMax = 10'000'000;  // how long a stop waits for the log
  constexpr Micros kBetweenPieces = 1'000;          // of a checkpoint, while nothing else is to do
  std::deque<std::shared_ptr<const CommittedRecord>> records;
  std::vector<Task> tasks;
  {
    std::unique_lock lock(mutex_);
    bool closes_soon = next_close_ && *next_close_ - parts_.clock.Now() < 10 * options_.tick;
    bool hurried = circuit_.WantsClock() || !waiters_.empty() || emitting_bytes_ > 0 || closes_soon;
    auto timeout =
        std::chrono::microseconds(WritesCheckpoint() ? std::min(kBetweenPieces, options_.tick)
                                  : hurried          ? options_.tick
                                                     : 10 * options_.tick);
    auto has_room = [&] { return emitting_bytes_ < kEmittingMax; };
    wake_.wait_for(lock, timeout, [&] {
      return (stopping_ && !IsEmitting()) || (!queue_.empty() && has_room()) || !tasks_.empty();
    });
    tasks.swap(tasks_);
    uint64_t rows = 0;
    while (!queue_.empty() && has_room() && (rows == 0 || rows < step_rows_max_)) {
      rows += queue_.front()->record.count;
      records.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    if (stopping_ && records.empty() && tasks.empty()) {
      // What pumps have said goes into the log first, so that the next start need not repeat it.
      Micros now = parts_.clock.Monotonic();
      if (give_up_at_ == 0) give_up_at_ = now + kLastEmissionsMax;
      if (!IsEmitting() || now > give_up_at_) return false;
    }
  }
  // Tasks first: whoever handed in a filled circuit did so for the position before these records.
  RunTasks(tasks);
  Step(records);
  SendAll();
  RetireParked();
  FinishWaiters();
  MaybeTick();
  MaybeRecompute();
  Measure();
  MaybeCheckpoint();
  return true;
}

void EngineImpl::RunTasks(const std::vector<Task>& tasks) {
  for (auto& task : tasks) {
    try {
      task();
    } catch (...) {
      spdlog::error("engine: {}", CurrentError().message);
    }
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
  RunTasks(tasks);
  Step(records);
  SendAll();
  RetireParked();
  FinishWaiters();
}

void EngineImpl::Step(const std::deque<std::shared_ptr<const CommittedRecord>>& records) {
  Micros started = parts_.clock.Monotonic();
  KeepWithinMemory();
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
    log_time_ = std::max(log_time_, record->append_time);
  }
  circuit_.SetLogTime(log_time_);
  circuit_.Flush();
  EmitStep();
  NoteEventTime();
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
  Version version{step_ + 1, position_, now_, log_time_};
  uint64_t oldest = versions_.Oldest();
  std::vector<std::string> changed;
  PublishErrors(version);
  for (auto& view : live_) {
    view->content.Reclaim(oldest);
    view->errors.Reclaim(oldest);
    if (ParkIfFailed(*view, kParkedViewHint) || !view->output->HasChanges()) continue;
    try {
      auto change = view->Apply(version, moved, [&](auto row) { view->output->Take(row); });
      if (change) changed.push_back(view->definition->name);
    } catch (...) {
      Park(*view, CurrentError(), Parked::kForGood);
    }
  }
  step_ = version.step;
  versions_.Publish(version);
  EngineInfo info;
  {
    std::lock_guard lock(info_mutex_);
    info_.offset = version.offset;
    info_.as_of = version.as_of;
    info_.closing = next_close_ && *next_close_ > log_time_ && *next_close_ <= now_;
    info = info_;
  }
  info.backlog_bytes = backlog_bytes_;
  if (!moved && changed.empty()) return;
  Tell(info, changed);
}

void EngineImpl::Tell(const EngineInfo& info, const std::vector<std::string>& changed) {
  for (auto& callback : callbacks_) {
    try {
      callback(info, changed);
    } catch (...) {
      // Whoever follows a view looks at it once a second without being told.
      spdlog::error("engine: {}", CurrentError().message);
    }
  }
}

// Rows that expressions failed on, or no longer do, in every view that needs the operator.
void EngineImpl::PublishErrors(const Version& version) {
  for (auto& op : circuit_.operators()) {
    auto* failed = op->failed_rows();
    if (!failed || !failed->HasChanges()) continue;
    std::vector<LiveView*> views;
    for (auto& view : live_) {
      bool needs = std::find(view->operators.begin(), view->operators.end(), op.get()) !=
                   view->operators.end();
      if (needs && view->status != ViewStatus::kParked) views.push_back(view.get());
    }
    failed->TakeChanges(version.offset, [&](const FailedRow& row, Offset first, int64_t count) {
      for (LiveView* view : views) view->AddErrors(row, first, count, version.step);
    });
  }
}

// A recomputed view may be behind the others; one that is parked shows its error at once.
bool EngineImpl::Shows(const LiveViewPtr& view, Offset offset) {
  if (!view) return true;
  std::lock_guard lock(view->mutex);
  return view->status == ViewStatus::kParked || view->standing.offset >= offset;
}

void EngineImpl::FinishWaiters() {
  std::vector<std::pair<std::function<void(bool)>, bool>> finished;
  Micros now = parts_.clock.Monotonic();
  {
    std::lock_guard lock(mutex_);
    std::erase_if(waiters_, [&](Waiter& waiter) {
      bool reached = waiter.offset <= position_ && Shows(waiter.view, waiter.offset);
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

// Moves what is over the share of memory to the file; never so much that the step is late.
void EngineImpl::KeepWithinMemory() {
  constexpr uint64_t kAtOnce = 32 << 20;
  memory_.Look();
  auto excess = memory_.Excess();
  if (!excess) return;
  auto stores = circuit_.RowStores();
  for (auto& view : live_) stores.push_back(&view->content.rows_kept());
  MoveToFile(std::move(stores), std::min(excess, kAtOnce));
}

// What the catalog, /metrics and `weir top` show.
void EngineImpl::Measure() {
  Micros now = parts_.clock.Monotonic();
  if (now - measured_ < 1'000'000) return;
  measured_ = now;
  std::vector<OperatorInfo> infos;
  std::map<const Operator*, size_t> place;
  uint64_t total = 0, in_file = 0;
  for (auto& op : circuit_.operators()) {
    place[op.get()] = infos.size();
    infos.push_back(Describe(*op));
    total += infos.back().state_bytes;
    in_file += infos.back().file_bytes;
  }
  for (auto& view : live_) {
    for (Operator* op : view->operators) {
      infos[place.at(op)].views.push_back(view->definition->name);
    }
  }
  for (auto& pump : live_pumps_) {
    for (Operator* op : pump->operators) {
      infos[place.at(op)].views.push_back(pump->definition->name);
    }
  }
  for (auto& pump : live_pumps_) {
    size_t bytes = pump->outbox->Bytes();
    for (Operator* op : pump->operators) bytes += infos[place.at(op)].state_bytes;
    total += pump->outbox->Bytes();
    std::lock_guard lock(pump->mutex);
    pump->state_bytes = bytes;
  }
  for (auto& view : live_) {
    size_t content = view->content.Bytes() + view->errors.Bytes() + view->changes.Bytes();
    total += content;
    size_t bytes = content, shared = 0, file = view->content.rows_kept().BytesInFile();
    in_file += file;
    std::vector<std::string> ids;
    for (Operator* op : view->operators) {
      auto& info = infos[place.at(op)];
      bytes += info.state_bytes;
      file += info.file_bytes;
      if (info.views.size() > 1) shared += info.state_bytes;
      ids.push_back(info.id);
    }
    view->changes.SetRoom(view->content.Bytes());
    std::lock_guard lock(view->mutex);
    view->state_bytes = bytes;
    view->shared_bytes = shared;
    view->file_bytes = file;
    view->content_bytes = content;
    view->operator_ids = std::move(ids);
  }
  for (auto& recomputed : recomputed_) {
    auto& view = *recomputed->view;
    view.changes.SetRoom(view.content.Bytes());
    std::lock_guard lock(view.mutex);
    view.state_bytes = view.content_bytes = view.content.Bytes() + view.changes.Bytes();
    total += view.state_bytes;
  }
  std::lock_guard lock(info_mutex_);
  info_.state_bytes = total;
  info_.file_bytes = in_file;
  operator_infos_ = std::move(infos);
}

}  // namespace weir
