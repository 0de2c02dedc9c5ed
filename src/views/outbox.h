// The rows of one pump on their way into the log.
//
// One append is under way at a time: were a second one sent before the first is known to be
// durable, the first could fail (a full disk) and the second not, and the log would say that all
// up to the second is there.  What comes meanwhile waits, and goes together.  An append that failed
// is tried again.  Thread-safe; appends end on the log's thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/ranked_mutex.h"
#include "flow/operator.h"
#include "formats/columns.h"
#include "formats/pump_mark.h"
#include "log/log.h"

namespace weir {

class Outbox : public std::enable_shared_from_this<Outbox> {
 public:
  // `ended` is called on the log's thread after each append, however it ended.
  Outbox(Log& log, Clock& clock, uint32_t pump, StreamId stream, RowTypes types,
         std::function<void()> ended);

  // All rows that the query says up to `input` and did not say before.
  // REQUIRES: there are some, and `input` is above that of the last call.
  void Add(Columns rows, InputMark input);
  // Begins the next append unless one is under way.  `now`: monotonic.  Throws what will never
  // become better (a record too large).
  void Send(Micros now);
  // Nothing more is sent: the pump is gone.
  void Close();

  size_t Bytes() const { return bytes_; }    // waiting and under way
  uint64_t Rows() const { return rows_; }    // durable since the start of the process
  uint64_t Added() const { return added_; }  // how many batches were added ...
  uint64_t Done() const { return done_; }    // ... and how many of them need no more waiting
  // Returns after a short while, or when an append has ended.
  void Wait();
  // Why the last append failed, when it did.
  std::optional<Error> Trouble() const;

 private:
  struct Batch {
    std::vector<LogRecord> records;
    uint64_t bytes = 0, rows = 0;
  };
  bool NoteFailure(Micros now);
  void CheckCounts() const;  // under mutex_
  void End(size_t batches, const AppendResult& result);

  static constexpr uint64_t kAppendBytes = 8 << 20;  // waiting batches that go in one append
  static constexpr size_t kRecordChunks = 32;        // vectors of rows in one record
  static constexpr Micros kRetry = 200'000;

  Log& log_;
  Clock& clock_;
  const uint32_t pump_;
  const StreamId stream_;
  const RowTypes types_;
  const std::function<void()> ended_;

  mutable Ranked<std::mutex> mutex_{LockRank::kOutbox};
  std::condition_variable_any changed_;
  std::deque<Batch> waiting_;  // those under way are still in front
  InputMark last_;             // that was added
  bool under_way_ = false, closed_ = false, failed_ = false;
  Micros failed_at_ = 0;  // monotonic, when failed_
  std::optional<Error> trouble_;
  std::atomic<uint64_t> bytes_{0}, rows_{0}, added_{0}, done_{0};
};

}  // namespace weir
