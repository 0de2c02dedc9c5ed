#include "views/engine_impl.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>

#include "base/error.h"
#include "base/memory_budget.h"
#include "duck/errors.h"
#include "flow/state/row_store.h"
#include "formats/block.h"
#include "io/process/loop_thread.h"
#include "log/known_offsets.h"
#include "views/explain.h"

namespace weir {

std::unique_ptr<Engine> Engine::Make(Parts parts, EngineOptions options) {
  return std::make_unique<EngineImpl>(parts, std::move(options));
}

void EngineImpl::Start() {
  if (!options_.checkpoint_directory.empty()) {
    parts_.disk.MakeDirectories(options_.checkpoint_directory);
    std::string path = options_.checkpoint_directory + "/views";
    saved_ = Checkpoint::Open(parts_.disk, path);
    if (saved_) CheckLogReaches(parts_.log.End(), "log", {{path, saved_->at().offset}});
    if (saved_) now_ = saved_->at().clock;
  }
  if (!options_.parked_path.empty()) {
    parked_saved_ = ReadWholeFile(parts_.disk, options_.parked_path);
    parked_before_ = LoadParked(parked_saved_);
  }
  ReadWhatEndedTheLast();
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
  watch_ = StartLoop("engine watch", [this] { Watch(); });
  waiters_.Start();
  engine_ = DeepThread([this] {
    BusyThread busy((*busy_)[BusyFile::kEngine]);
    runs_on_[BusyFile::kEngine] = std::this_thread::get_id();
    Run();
  });
  filler_ = DeepThread([this] {
    BusyThread busy((*busy_)[BusyFile::kFiller]);
    runs_on_[BusyFile::kFiller] = std::this_thread::get_id();
    try {
      RunFiller();
    } catch (...) {
      options_.on_failure("views cannot be filled any more: " + WhatIsThrown());
    }
  });
  Reconcile();
}

bool EngineImpl::Stop() {
  constexpr auto kPatience = std::chrono::seconds(20);  // twice what pumps get for their last rows
  {
    std::lock_guard lock(mutex_);
    if (!started_ || stopping_) return engine_ended_ || !started_;
    stopping_ = true;
  }
  wake_.notify_all();
  filler_wake_.notify_all();
  {
    std::unique_lock lock(mutex_);
    if (!ended_.wait_for(lock, kPatience, [&] { return engine_ended_; })) return false;
  }
  engine_.join();
  filler_.join();
  waiters_.Stop();
  {
    std::lock_guard lock(watch_mutex_);
    watch_ends_ = true;
  }
  watch_wake_.notify_all();
  watch_.join();
  SaveParked();
  LastCheckpoint();
  std::shared_lock lock(views_mutex_);
  for (auto& [id, pump] : pumps_) pump->outbox->Close();
  return true;
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

// An id may be another thread's once the engine's has ended, and then it is joined.
bool EngineImpl::IsEngineThread() const {
  bool there_is_none = runs_on_[BusyFile::kEngine].load() == std::thread::id();
  return there_is_none || RunsOn(BusyFile::kEngine) || !engine_.joinable();
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
  CHECK(!RunsOn(BusyFile::kEngine));
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

void EngineImpl::AskEngine(Task task) {
  constexpr auto kPatience = std::chrono::seconds(10);
  auto finished = std::make_shared<std::promise<void>>();
  auto future = finished->get_future();
  {
    std::lock_guard lock(mutex_);
    if (!started_ || engine_ended_) return;
  }
  CHECK(!RunsOn(BusyFile::kEngine));
  Post([task = std::move(task), finished = std::move(finished)] {
    try {
      task();
      finished->set_value();
    } catch (...) {
      finished->set_exception(std::current_exception());
    }
  });
  if (future.wait_for(kPatience) != std::future_status::ready) {
    throw Error(ErrorCode::kTimeout, "the engine is in a long step", "Try again in a moment.");
  }
  try {
    future.get();
  } catch (const std::future_error&) {
    // The engine has ended.
  }
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
      std::string what = WhatIsThrown();
      if (failures++ == 0) spdlog::error("engine: {}; going on", what);
      if (failures == kFailuresMax) options_.on_failure("the engine cannot go on: " + what);
      std::this_thread::sleep_for(kPause);
    }
  }
  EndTasks();
}

// From now on nobody comes to a task: whoever waits for one that is left is told.
void EngineImpl::EndTasks() {
  std::vector<Task> dropped;
  {
    std::lock_guard lock(mutex_);
    engine_ended_ = true;
    dropped.swap(tasks_);
  }
  ended_.notify_all();
}

// False when the engine is to end.
bool EngineImpl::Turn() {
  constexpr uint64_t kEmittingMax = 64 << 20;       // no step adds to more than this
  constexpr Micros kLastEmissionsMax = 10'000'000;  // how long a stop waits for the log
  constexpr Micros kBetweenPieces = 1'000;          // of a checkpoint, while nothing else is to do
  std::vector<Task> tasks;
  bool takes = true;
  {
    std::unique_lock lock(mutex_);
    bool closes_soon = next_close_ && *next_close_ - parts_.clock.Now() < 10 * options_.tick;
    bool hurried =
        circuit_.WantsClock() || waiters_.count() > 0 || emitting_bytes_ > 0 || closes_soon;
    auto timeout =
        std::chrono::microseconds(WritesCheckpoint() ? std::min(kBetweenPieces, options_.tick)
                                  : hurried          ? options_.tick
                                                     : 10 * options_.tick);
    auto has_room = [&] { return emitting_bytes_ < kEmittingMax; };
    wake_.wait_for(lock, timeout, [&] {
      bool waits = !pending_.empty() || !queue_.empty();
      return (stopping_ && !IsEmitting()) || (waits && has_room()) || !tasks_.empty();
    });
    tasks.swap(tasks_);
    if (pending_.empty()) {
      pending_.swap(queue_);
      if (!pending_.empty()) unpublished_since_ = pending_.front()->append_time;
    }
    takes = has_room();
    if (stopping_ && pending_.empty() && tasks.empty()) {
      // What pumps have said goes into the log first, so that the next start need not repeat it.
      Micros now = parts_.clock.Monotonic();
      if (give_up_at_ == 0) give_up_at_ = now + kLastEmissionsMax;
      if (!IsEmitting() || now > give_up_at_) return false;
    }
  }
  // Tasks first: whoever handed in a filled circuit did so for the position before these records.
  RunTasks(tasks);
  Step(takes ? std::min(step_size_.Rows(), step_rows_max_) : 0);
  SendAll();
  RetireParked();
  waiters_.Look();
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
      spdlog::error("engine: {}", WhatIsThrown());
    }
  }
}

void EngineImpl::StepNow() {
  std::vector<Task> tasks;
  {
    std::lock_guard lock(mutex_);
    std::move(queue_.begin(), queue_.end(), std::back_inserter(pending_));
    queue_.clear();
    tasks.swap(tasks_);
  }
  RunTasks(tasks);
  Step(UINT64_MAX);
  SendAll();
  RetireParked();
  waiters_.Look();
}

// One step, of at most so many rows (but a vector, when there are any); less when they take long.
// Whatever fails in it parks the views it concerns: a step comes to its end.
void EngineImpl::Step(uint64_t rows_max) {
  CHECK(IsEngineThread());
  Micros started = parts_.clock.Monotonic();
  KeepWithinMemory();
  if (!sources_are_current_) IndexSources();  // there was no memory for it when they changed
  NotePosition(BusyFile::kEngine, position_);
  circuit_.SetClock(Advance());
  bool moved = !pending_.empty() && rows_max > 0;
  uint64_t rows = 0;
  if (moved)
    rows =
        FeedPending(rows_max, rows_max == UINT64_MAX ? INT64_MAX : started + options_.step_target);
  circuit_.SetLogTime(log_time_);
  circuit_.Flush();
  circuit_.FailWhereRowsAreLost();
  EmitStep();
  NoteEventTime();
  Publish(moved);
  Micros took = parts_.clock.Monotonic() - started;
  step_size_.Note(rows, took);
  if (checkpoint_) NotePause(Operator::TakeTimeForSnapshots());
  {
    std::lock_guard lock(mutex_);
    unpublished_since_ = pending_.empty() ? 0 : pending_.front()->append_time;
  }
  if (!moved) return;
  std::lock_guard lock(info_mutex_);
  info_.steps++;
  info_.rows += rows;
  info_.last_step_took = took;
}

// Returns how many rows it fed.
uint64_t EngineImpl::FeedPending(uint64_t rows_max, Micros until) {
  uint64_t rows = 0;
  while (!pending_.empty() && (rows == 0 || rows < rows_max)) {
    auto& record = *pending_.front();
    // No row of the log is left out, and none is fed twice.
    CHECK(record.first.value + pending_row_ == position_.value + 1);
    rows += FeedRecord(record, rows_max - std::min(rows, rows_max), until);
    log_time_ = std::max(log_time_, record.append_time);
    bool whole = pending_row_ >= record.record.count;
    // A record without rows stands between two offsets.
    Offset reached = whole ? record.last() : Offset{record.first.value + pending_row_ - 1};
    position_ = std::max(position_, reached);
    if (whole) {
      CHECK(record.record.payload.size() <= backlog_bytes_);
      backlog_bytes_ -= record.record.payload.size();
      pending_.pop_front();
      pending_row_ = 0;
      pending_rows_.reset();
    }
    if (parts_.clock.Monotonic() >= until) break;
  }
  CHECK(!pending_.empty() || pending_row_ == 0);
  return rows;
}

ColumnsPtr EngineImpl::RowsOf(const CommittedRecord& record) const {
  auto columns = std::static_pointer_cast<const Columns>(record.record.decoded);
  if (columns) return columns;
  auto stream = parts_.catalog.Current()->FindStream(record.record.stream);
  if (!stream) return nullptr;
  std::vector<size_t> all(stream->columns.size());
  for (size_t i = 0; i < all.size(); i++) all[i] = i;
  return std::make_shared<Columns>(DecodeBlock(record.record.payload, stream->Types(), all));
}

// Changes of a table come whole: half of an UPDATE is nothing anybody is to see.
bool EngineImpl::IsDivisible(const CommittedRecord& record) const {
  auto stream = parts_.catalog.Current()->FindStream(record.record.stream);
  return stream && !stream->IsTable();
}

// Feeds the record on from `pending_row_`: all of it, or vectors of it until it is enough.
uint64_t EngineImpl::FeedRecord(const CommittedRecord& record, uint64_t rows_max, Micros until) {
  uint64_t before = pending_row_;
  auto found = sources_.find(record.record.stream.value);
  if (found == sources_.end() || record.record.count == 0) {
    pending_row_ = record.record.count;
    return pending_row_ - before;
  }
  auto& sources = found->second;
  try {
    if (!pending_rows_) pending_rows_ = RowsOf(record);
    CHECK(!pending_rows_ || pending_rows_->rows == record.record.count);
  } catch (...) {
    for (SourceOperator* source : sources) source->FailForWhatIsThrown();
  }
  uint64_t row = 0;
  if (pending_rows_) {
    for (auto& chunk : pending_rows_->chunks) {
      uint64_t first = row;
      row += chunk->size();
      if (first < pending_row_) continue;
      FeedChunk(sources, *chunk, record.first.value + first, record.append_time);
      pending_row_ = row;
      bool enough = pending_row_ - before >= rows_max || parts_.clock.Monotonic() >= until;
      if (enough && row < record.record.count && IsDivisible(record)) return pending_row_ - before;
    }
  }
  pending_row_ = record.record.count;
  return pending_row_ - before;
}

void EngineImpl::FeedChunk(const std::vector<SourceOperator*>& sources, duckdb::DataChunk& chunk,
                           uint64_t offset, Micros arrived) {
  for (SourceOperator* source : sources) {
    try {
      source->Feed(chunk, offset, arrived);
    } catch (...) {
      // Some of its readers may have these rows and others not: all of them are parked.
      source->FailForWhatIsThrown();
    }
  }
}

// Makes the step visible: all views at once.  What fails here concerns one view, and parks it.
void EngineImpl::Publish(bool moved) {
  Version version{step_ + 1, position_, now_, log_time_};
  uint64_t oldest = versions_.Oldest();
  bool any_changed = false;
  std::vector<std::string> changed;
  PublishErrors(version);
  for (auto& view : live_) {
    view->content.Reclaim(oldest);
    view->errors.Reclaim(oldest);
    try {
      WatchedMemory watched;
      view->content.rows_kept().ThrowIfRowsAreLost();
      if (ParkIfFailed(*view, kParkedViewHint) || !view->output->HasChanges()) continue;
      if (!view->Apply(version, moved, [&](auto row) { view->output->Take(row); })) continue;
    } catch (...) {
      ParkFailed(*view);
      continue;
    }
    any_changed = true;
    try {
      changed.push_back(view->definition->name);
    } catch (const std::bad_alloc&) {
      // Its followers look once a second without being told.
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
  if (moved || any_changed) Tell(info, changed);
}

void EngineImpl::Tell(const EngineInfo& info, const std::vector<std::string>& changed) {
  for (auto& callback : callbacks_) {
    try {
      callback(info, changed);
    } catch (...) {
      // Whoever follows a view looks at it once a second without being told.
      spdlog::error("engine: {}", WhatIsThrown());
    }
  }
}

// Rows that expressions failed on, or no longer do, in every view that needs the operator.
void EngineImpl::PublishErrors(const Version& version) {
  for (auto& op : circuit_.operators()) {
    auto* failed = op->failed_rows();
    if (!failed || !failed->HasChanges()) continue;
    auto show = [&](const FailedRow& row, Offset first, int64_t count) {
      for (auto& view : live_) {
        bool needs = std::find(view->operators.begin(), view->operators.end(), op.get()) !=
                     view->operators.end();
        if (!needs || view->status == ViewStatus::kParked) continue;
        try {
          view->AddErrors(row, first, count, version.step);
        } catch (...) {
          ParkFailed(*view);
        }
      }
    };
    try {
      failed->TakeChanges(version.offset, show);
    } catch (...) {
      op->FailForWhatIsThrown();  // which rows it has counted is not known any more
    }
  }
}

void EngineImpl::CheckInvariants() const {
  CHECK(IsEngineThread());
  circuit_.CheckInvariants();
  std::set<const Operator*> there;
  for (auto& op : circuit_.operators()) there.insert(op.get());
  auto check = [&](const Kept& kept, const Operator* end) {
    CHECK(!kept.operators.empty() && kept.operators.back() == end);
    bool failed = false;
    for (Operator* op : kept.operators) {
      CHECK(there.contains(op));
      failed = failed || !op->failure().empty();
    }
    for (Operator* op : kept.operators) {
      if (!failed) op->CheckInvariants();
    }
  };
  for (auto& view : live_) {
    check(*view, view->output);
    if (view->status == ViewStatus::kParked) continue;  // in the middle of a change, perhaps
    view->changes.CheckInvariants();
    view->content.CheckInvariants();
    view->errors.CheckInvariants();
  }
  for (auto& pump : live_pumps_) check(*pump, pump->emit);
  for (auto& recomputed : recomputed_) {
    if (recomputed->view->status != ViewStatus::kParked) {
      recomputed->view->content.CheckInvariants();
    }
  }
  CHECK(versions_.Current().step == step_);
}

void EngineImpl::IndexSources() {
  sources_are_current_ = false;
  sources_.clear();
  for (auto* source : circuit_.Sources()) {
    sources_[static_cast<uint32_t>(std::stoul(source->stream()))].push_back(source);
  }
  sources_are_current_ = true;
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
