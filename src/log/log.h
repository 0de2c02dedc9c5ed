// Every event, in one order, durable.  One log for all streams.
//
// A record is a block of bytes with a row count; the log never looks inside.  Append collects all
// records that wait, writes them, syncs once, gives them their offsets, hands them to the commit
// listeners and only then completes the producers (group commit).  Acknowledged means synced;
// nothing is visible to a reader or a listener before it is.
//
// Owned by main.  Append, End, Read, Segments and Trim may be called from any thread; completions
// and listeners run on the log's own thread and must not block.
// Layout on disk: docs/internals/log-format.md.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "io/clock.h"
#include "io/disk/disk.h"

namespace weir {

struct LogRecord {
  StreamId stream;
  uint32_t count =
      0;  // rows, hence offsets it takes; 0 is allowed for a record that only carries meta
  std::string meta;     // small, e.g. the producer's idempotency key and answer
  std::string payload;  // the rows as bytes
  // The same rows as they were decoded, handed through to the listeners untouched; may be null.
  std::shared_ptr<const void> decoded;
};

struct CommittedRecord {
  Offset first;            // of its first row; last() is first + count - 1
  Micros append_time = 0;  // when it was committed; never goes back over the log's life
  LogRecord record;
  Offset last() const { return {first.value + record.count - 1}; }
};
using CommittedRecords = std::vector<std::shared_ptr<const CommittedRecord>>;

struct AppendResult {
  Offset last;  // everything up to here is durable and holds these records
  Micros append_time = 0;
  std::exception_ptr error;  // set: none of the records is kept
};
using AppendDone = std::function<void(const AppendResult&)>;

class CommitListener {
 public:
  virtual ~CommitListener() = default;
  // Called in log order, once for each group.
  virtual void OnCommit(const CommittedRecords& group) = 0;
};

class Random;

struct LogOptions {
  std::string directory;
  uint64_t segment_bytes = 64 << 20;
  uint64_t group_bytes_max = 32 << 20;   // one group commit takes at most this much
  uint64_t queue_bytes_max = 256 << 20;  // waiting appends; above it Append throws kTooManyRequests
  // So much of the disk stays free: appends are refused as on a full disk before it is taken.  Who
  // makes room by trimming the log needs some to do so.
  uint64_t keep_free = 0;
  // So long after a group with nothing to follow, the log notes on the disk that all is durable.
  Micros mark_after = 100'000;
  // Called once, on the log's thread, when a write or sync failed for any reason but a full disk:
  // what is on the disk is then unknown, and only a restart (recovery) finds out.
  std::function<void(const std::string& message)> on_failure;
  // The folder held a log before: one without segments is refused, not made a new log.
  bool must_exist = false;
  Random* random = nullptr;  // for the log's identity; the system's when null
};

// One segment file as another process may read it: whole frames of offsets [first, last].
struct SegmentInfo {
  std::string path;
  Offset first, last;
  uint64_t bytes = 0;  // valid bytes: a reader stops here
};

// What recovery found, for the start-up message and the metrics.
struct RecoveryReport {
  uint64_t segments = 0, records = 0;
  uint64_t torn_bytes = 0;  // dropped from the tail: never acknowledged
  Micros took = 0;
};

// Reads committed records in order.  One thread at a time; outlived by nothing it returns.
class LogReader {
 public:
  virtual ~LogReader() = default;
  // The next record, or nothing once everything up to the limit was returned.
  virtual std::shared_ptr<const CommittedRecord> Next() = 0;
};

class Log {
 public:
  // Recovers what is on the disk; throws Error(kCorruption) naming the damaged range.
  static std::unique_ptr<Log> Open(Disk& disk, Clock& clock, LogOptions options);
  virtual ~Log() = default;

  // Listeners are added before the first Append.
  virtual void AddListener(CommitListener& listener) = 0;
  // Once it returns, the listener is called no more.  Not from a listener.
  virtual void RemoveListener(CommitListener&) {}

  // Which log it is: a number made of its secret id that does not give it away.  The same for life.
  virtual uint64_t Identity() const { return 0; }

  // Takes the records of one producer as one unit: all become durable or none.  With no records
  // it is a barrier: completes once everything queued before it is durable.
  //
  // Throws, and keeps nothing, for a record of 1 GiB or more (kTooLarge), when too much waits
  // already (kTooManyRequests), and when the log is closed or failed (kUnavailable).  A full disk
  // is told to `done` as kUnavailable; appends succeed again by themselves when there is space.
  virtual void Append(std::vector<LogRecord> records, AppendDone done) = 0;

  // True from the first failed write or sync until the process ends: nothing more is accepted, and
  // whether the appends that failed with it were kept is only known after a restart.
  virtual bool Failed() const = 0;

  virtual Offset Begin() const = 0;  // the first offset still held, or End() + 1
  virtual Offset End() const = 0;    // the last durable offset
  // When the last durable record was committed: none that is still to come is earlier, not even
  // after a crash.  0 in an empty log.
  virtual Micros LastTime() const = 0;
  virtual const RecoveryReport& Recovery() const = 0;

  // Records that hold offsets in (after, up_to]; the first may begin before.  up_to defaults to
  // End(). A record without rows stands between two offsets and is returned with either end.
  // With `only`, the records of other streams are passed over unread.
  virtual std::unique_ptr<LogReader> Read(Offset after, std::optional<Offset> up_to = {},
                                          std::optional<StreamId> only = {}) = 0;

  // As Read of everything from `after` on, with payloads left out: what stands beside the rows, for
  // little more than the cost of passing over them.
  virtual std::unique_ptr<LogReader> ReadNotes(Offset after) { return Read(after); }

  // The files that hold (after, up_to], pinned until the returned handle is gone.
  struct PinnedSegments {
    std::vector<SegmentInfo> segments;
    std::shared_ptr<void> pin;
  };
  virtual PinnedSegments Segments(Offset after, Offset up_to) = 0;

  // Forgets whole segments (never the one being written) that hold nothing above `up_to` and are
  // not pinned.
  virtual void Trim(Offset up_to) = 0;

  // Stops the thread after everything queued is durable.  Idempotent.
  virtual void Close() = 0;
};

// Reads one segment file from outside the process that owns the log (query workers): frames with
// offsets in (after, up_to].
std::unique_ptr<LogReader> ReadSegmentFile(const SegmentInfo& segment, Offset after, Offset up_to);

}  // namespace weir
