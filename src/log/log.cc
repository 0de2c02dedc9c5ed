// The log: a queue, one thread that commits what waits in it, and the list of segments.
#include "log/log.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <thread>

#include "base/crc32c.h"
#include "log/append_queue.h"
#include "log/log_reader.h"
#include "log/recovery.h"

namespace weir {

namespace {

class DiskLog : public Log {
 public:
  using Locks = std::vector<std::shared_ptr<void>>;
  DiskLog(Disk& disk, Clock& clock, LogOptions options, Locks locks, Recovered recovered);
  ~DiskLog() override { Close(); }

  void AddListener(CommitListener& listener) override;
  void RemoveListener(CommitListener& listener) override;
  uint64_t Identity() const override { return identity_; }
  void Append(std::vector<LogRecord> records, AppendDone done) override;
  bool Failed() const override { return failed_; }
  Offset Begin() const override;
  Offset End() const override { return {end_.load()}; }
  Micros LastTime() const override { return last_time_; }
  const RecoveryReport& Recovery() const override { return report_; }
  std::unique_ptr<LogReader> Read(Offset after, std::optional<Offset> up_to,
                                  std::optional<StreamId> only) override {
    return Read({after, up_to, only});
  }
  std::unique_ptr<LogReader> ReadNotes(Offset after) override {
    return Read({.after = after, .without_payloads = true});
  }
  PinnedSegments Segments(Offset after, Offset up_to) override;
  void Trim(Offset up_to) override;
  void Close() override;

 private:
  struct Range {
    Offset after;
    std::optional<Offset> up_to = {};
    std::optional<StreamId> only = {};
    bool without_payloads = false;
  };
  std::unique_ptr<LogReader> Read(const Range& range);
  void Run();
  bool Ran();
  void Commit(std::vector<AppendUnit>& units);
  std::vector<SegmentWriter::Entry> Number(std::vector<AppendUnit>& units);
  void Publish(Offset group_first, uint64_t group_end);
  void WriteMark();
  void Complete(std::vector<AppendUnit>& units);
  static void Tell(AppendUnit& unit, const AppendResult& result);
  static void Refuse(std::vector<AppendUnit>& units, const Error& error);
  void Fail(const Error& error);
  void CheckInvariants() const;  // under mutex_

  Disk& disk_;
  Clock& clock_;
  const LogOptions options_;
  const Locks locks_;
  const RecoveryReport report_;
  const uint64_t identity_;
  std::mutex listeners_mutex_;  // held while they are called
  std::vector<CommitListener*> listeners_;

  mutable std::mutex mutex_;                       // guards segments_ and what they say
  std::deque<std::shared_ptr<Segment>> segments_;  // oldest first; the last is written
  std::mutex trim_mutex_;                          // one Trim at a time; taken before mutex_
  bool removal_unsynced_ = false;                  // of a segment; Trim's
  std::atomic<uint64_t> end_;
  std::atomic<Micros> last_time_;
  std::atomic<bool> failed_ = false;

  AppendQueue queue_;
  SegmentWriter writer_;  // the log's thread only
  std::mutex close_mutex_;
  std::thread thread_;
};

// Of 128 random bits 64 that tell nothing of the half that frames are signed with.
uint64_t IdentityOf(const LogId& id) {
  auto mix = [](uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  };
  return mix(id.low) ^ mix(id.high + 0x9e3779b97f4a7c15);
}

DiskLog::DiskLog(Disk& disk, Clock& clock, LogOptions options, Locks locks, Recovered recovered)
    : disk_(disk),
      clock_(clock),
      options_(std::move(options)),
      locks_(std::move(locks)),
      report_(recovered.report),
      identity_(IdentityOf(recovered.start.log_id)),
      segments_(recovered.segments.begin(), recovered.segments.end()),
      end_(recovered.start.tail.next.value - 1),
      last_time_(recovered.start.tail.append_time),
      queue_(options_.queue_bytes_max),
      writer_(disk, options_.directory, {options_.segment_bytes, options_.keep_free},
              std::move(recovered.start)) {
  ASSERT(!segments_.empty() && segments_.back() == writer_.segment());
  if (kDebugChecks) CheckInvariants();
  thread_ = std::thread([this] {
    while (!Ran()) {  // what is left in the queue is refused
    }
  });
}

// False: something was thrown where nothing may be, for want of memory; the log has failed then.
bool DiskLog::Ran() {
  try {
    Run();
    return true;
  } catch (const std::exception& error) {
    if (!failed_) Fail(Error(ErrorCode::kUnavailable, error.what()));
    return false;
  }
}

// The segments hold all offsets from the first to the end, each once.
void DiskLog::CheckInvariants() const {
  for (size_t i = 1; i < segments_.size(); i++) {
    ASSERT(segments_[i]->number == segments_[i - 1]->number + 1);
    ASSERT(segments_[i]->first.value == segments_[i - 1]->last.value + 1);
  }
  ASSERT(segments_.back()->last.value == end_);
  segments_.back()->CheckInvariants();
}

void DiskLog::Append(std::vector<LogRecord> records, AppendDone done) {
  AppendUnit unit;
  unit.done = std::move(done);
  unit.records.reserve(records.size());
  for (LogRecord& record : records) {
    if (record.meta.size() > kFrameBodyMax || record.payload.size() > kFrameBodyMax) {
      throw Error(ErrorCode::kTooLarge, "a record is larger than 1 GiB",
                  "Send the rows in several requests.");
    }
    auto committed = std::make_shared<CommittedRecord>();
    committed->record = std::move(record);
    const LogRecord& kept = committed->record;
    unit.bytes += kFrameHeaderBytes + kept.meta.size() + kept.payload.size() + 8;
    // Checked from where the bytes enter, on the producer's thread, to whoever reads them.
    unit.records.push_back({std::move(committed), Crc32c(kept.meta), Crc32c(kept.payload)});
  }
  queue_.Add(std::move(unit));
}

void DiskLog::AddListener(CommitListener& listener) {
  std::lock_guard lock(listeners_mutex_);
  listeners_.push_back(&listener);
}

void DiskLog::RemoveListener(CommitListener& listener) {
  std::lock_guard lock(listeners_mutex_);
  std::erase(listeners_, &listener);
}

Offset DiskLog::Begin() const {
  std::lock_guard lock(mutex_);
  return segments_.front()->first;
}

std::unique_ptr<LogReader> DiskLog::Read(const Range& range) {
  Offset after = range.after;
  auto pinned = std::make_shared<std::vector<std::shared_ptr<Segment>>>();
  std::vector<Stretch> stretches;
  Offset limit;
  {
    std::lock_guard lock(mutex_);
    limit = std::min(range.up_to.value_or(End()), End());
    for (const std::shared_ptr<Segment>& segment : segments_) {
      bool is_wanted = segment->last >= after && segment->first.value <= limit.value + 1;
      if (is_wanted && segment->end > kSegmentHeaderBytes) {
        pinned->push_back(segment);
        stretches.push_back({segment->path, segment->PlaceFor(after), segment->end});
      }
    }
  }
  auto reader = std::make_unique<SegmentsReader>(disk_, std::move(stretches), after, limit,
                                                 range.only, std::move(pinned));
  if (range.without_payloads) {
    reader->LeaveOutPayloads();
  }
  return reader;
}

Log::PinnedSegments DiskLog::Segments(Offset after, Offset up_to) {
  PinnedSegments result;
  auto pinned = std::make_shared<std::vector<std::shared_ptr<Segment>>>();
  std::lock_guard lock(mutex_);
  for (const std::shared_ptr<Segment>& segment : segments_) {
    if (segment->last > after && segment->first <= up_to && segment->last >= segment->first) {
      pinned->push_back(segment);
      result.segments.push_back(
          {disk_.NativePath(segment->path), segment->first, segment->last, segment->end});
    }
  }
  result.pin = std::move(pinned);
  return result;
}

// Durably one by one: a hole in the middle would look like a lost segment.  So nothing more is
// removed before what was removed last is known to be gone for good.
void DiskLog::Trim(Offset up_to) {
  std::lock_guard trimming(trim_mutex_);
  while (true) {
    if (removal_unsynced_) {
      disk_.SyncDirectory(options_.directory);
      removal_unsynced_ = false;
    }
    std::shared_ptr<Segment> oldest;
    {
      std::lock_guard lock(mutex_);
      // A pin is a shared pointer made under this mutex, so a count of one cannot grow meanwhile.
      if (segments_.size() < 2 || segments_.front()->last > up_to ||
          segments_.front().use_count() > 1) {
        return;
      }
      oldest = std::move(segments_.front());
      segments_.pop_front();
      ASSERT(segments_.front()->number == oldest->number + 1);
    }
    try {
      if (disk_.Exists(oldest->path)) {
        removal_unsynced_ = true;
        disk_.Remove(oldest->path);
      }
    } catch (...) {  // it may still be there
      std::lock_guard lock(mutex_);
      segments_.push_front(std::move(oldest));
      if (kDebugChecks) CheckInvariants();
      throw;
    }
  }
}

void DiskLog::Close() {
  std::lock_guard closing(close_mutex_);
  queue_.Close(Error(ErrorCode::kUnavailable, "the log is closed", "The server is stopping."));
  if (thread_.joinable()) {
    thread_.join();
  }
}

void DiskLog::Run() {
  bool quiet = true;  // nothing was written since the last mark
  while (!queue_.ClosedAndEmpty()) {
    std::optional<std::chrono::microseconds> patience;
    if (!quiet && !failed_) {
      patience.emplace(options_.mark_after);
    }
    std::vector<AppendUnit> units = queue_.Take(options_.group_bytes_max, patience);
    if (!units.empty()) {
      Commit(units);
      quiet = false;
    } else if (!quiet) {
      WriteMark();
      quiet = true;
    }
  }
  if (!quiet) {
    WriteMark();
  }
}

void DiskLog::Commit(std::vector<AppendUnit>& units) {
  if (failed_) {
    Refuse(units, Error(ErrorCode::kUnavailable, "the log has failed",
                        "The server must be started again."));
    return;
  }
  try {
    std::vector<SegmentWriter::Entry> group = Number(units);
    if (!group.empty()) {
      Offset first = writer_.tail().next;
      writer_.Write(group);
      Publish(first, writer_.end());
    }
  } catch (const DiskFailure& failure) {
    Fail(failure);
    Refuse(units, failure);
    return;
  } catch (const Error& error) {  // the disk is full
    Publish(writer_.tail().next, 0);
    Refuse(units, error);
    return;
  }
  Complete(units);
}

std::vector<SegmentWriter::Entry> DiskLog::Number(std::vector<AppendUnit>& units) {
  std::vector<SegmentWriter::Entry> group;
  Offset next = writer_.tail().next;
  Micros now = std::max(clock_.Now(), writer_.tail().append_time);
  for (AppendUnit& unit : units) {
    for (AppendUnit::Record& entry : unit.records) {
      entry.record->first = next;
      entry.record->append_time = now;
      next.value += entry.record->record.count;
      group.push_back({entry.record.get(), entry.meta_crc, entry.payload_crc});
    }
  }
  return group;
}

// Readers see the group, and the segment it began, from here on.  group_end is 0 when only a new
// segment may have come.
void DiskLog::Publish(Offset group_first, uint64_t group_end) {
  const std::shared_ptr<Segment>& segment = writer_.segment();
  std::lock_guard lock(mutex_);
  if (segments_.back() != segment) {
    ASSERT(segment->number == segments_.back()->number + 1);
    segments_.push_back(segment);
  }
  if (group_end > 0) {
    ASSERT(group_first.value == end_ + 1 && group_end > segment->end);
    ASSERT(writer_.tail().next >= group_first && writer_.tail().append_time >= last_time_);
    segment->NotePlace(group_first, segment->end);
    segment->end = group_end;
    segment->last = {writer_.tail().next.value - 1};
    last_time_ = writer_.tail().append_time;
    end_ = segment->last.value;
  }
  if (kDebugChecks) CheckInvariants();
}

void DiskLog::WriteMark() {
  if (failed_) {
    return;
  }
  try {
    writer_.WriteMark();
  } catch (const DiskFailure& failure) {
    Fail(failure);
  } catch (const Error&) {
    // A full disk: the mark only sharpens what a recovery can tell, so it may be missing.
  }
}

void DiskLog::Complete(std::vector<AppendUnit>& units) {
  CommittedRecords group;
  for (AppendUnit& unit : units) {
    for (AppendUnit::Record& entry : unit.records) {
      group.push_back(entry.record);
    }
  }
  if (!group.empty()) {
    std::lock_guard lock(listeners_mutex_);
    for (CommitListener* listener : listeners_) {
      try {
        listener->OnCommit(group);
      } catch (const std::exception& error) {
        // It has missed events: what it would say from now on would be wrong.  They are durable.
        Error failure(ErrorCode::kInternal,
                      std::string("a listener of the log failed: ") + error.what());
        Fail(failure);
        return Refuse(units, failure);
      }
    }
  }
  for (AppendUnit& unit : units) {
    AppendResult result;
    result.append_time = writer_.tail().append_time;
    result.last = unit.records.empty() ? End() : unit.records.back().record->last();
    ASSERT(result.last <= End());  // nobody is told of what is not durable
    Tell(unit, result);
  }
}

// One producer's answer is nothing to the others.
void DiskLog::Tell(AppendUnit& unit, const AppendResult& result) {
  try {
    unit.done(result);
  } catch (const std::exception& error) {
    spdlog::error("log: an answer could not be given: {}", error.what());
  }
}

void DiskLog::Refuse(std::vector<AppendUnit>& units, const Error& error) {
  for (AppendUnit& unit : units) {
    AppendResult result;
    result.error = std::make_exception_ptr(error);
    Tell(unit, result);
  }
}

void DiskLog::Fail(const Error& error) {
  ASSERT(!failed_);
  failed_ = true;
  queue_.Close(Error(ErrorCode::kUnavailable, "the log has failed: " + error.message,
                     "The server must be started again."));
  if (options_.on_failure) {
    options_.on_failure(error.message);
  }
}

}  // namespace

std::unique_ptr<Log> Log::Open(Disk& disk, Clock& clock, LogOptions options) {
  Micros begin = clock.Monotonic();
  disk.MakeDirectories(options.directory);
  // The folder itself, too: who removes the file does not get in.
  std::vector<std::shared_ptr<void>> locks = {disk.LockFolder(options.directory),
                                              disk.Lock(options.directory + "/LOCK")};
  Recovered recovered = Recover(disk, options.directory, options.must_exist,
                                options.random ? *options.random : SystemRandom());
  recovered.report.took = clock.Monotonic() - begin;
  return std::make_unique<DiskLog>(disk, clock, std::move(options), std::move(locks),
                                   std::move(recovered));
}

}  // namespace weir
