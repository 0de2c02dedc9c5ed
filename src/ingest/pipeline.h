// The way of rows into the log, whoever sends them: their keys are claimed, they are encoded and
// appended, and the answer is given once, when they are durable or refused.
//
// Whatever fails, and wherever, the keys of rows that did not become durable are free again before
// the answer is given: they go with the submission that holds them.  Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ingest/dedup_keys.h"
#include "ingest/idempotency.h"
#include "ingest/ingest.h"
#include "ingest/table_gate.h"

namespace weir {

// The rows of one body or statement.
struct Submission {
  std::shared_ptr<const Stream> stream;
  std::shared_ptr<Columns> rows;
  IngestAnswer answer;       // what is said about rows that are not among `rows`
  size_t bytes = 0;          // as they came, or about
  bool is_body = false;      // of a request, not of a statement
  bool holds_table = false;  // the caller holds the table
  std::function<void(IngestAnswer)> done;
  std::shared_ptr<RowMemory::Hold> memory;  // of a body: what it takes, until it is answered

  // With an Idempotency-Key only.
  IdempotencyWindow::Ticket ticket;
  std::string key;
  uint64_t use = 0;

  // The pipeline's own.
  KeyClaims::Ticket claim;
  bool in_gate = false;
  std::vector<LogRecord> records;
};

class RowPipeline {
 public:
  // Of rows that wait for those of others to become durable, or for the keys of a window.
  static constexpr size_t kWaitingBytesMax = 64 << 20;

  RowPipeline(Log& log, Clock& clock, DedupKeys& keys) : log_(log), clock_(clock), keys_(keys) {}

  // Throws, having kept nothing, or calls `done` once, later or at once, on any thread.
  // REQUIRES: it was not submitted before.
  void Submit(std::shared_ptr<Submission> work);

  std::unique_ptr<TableHold> HoldTable(const Stream& table) {
    return GateOf(table).Hold(Ingest::kHoldWait);
  }
  uint64_t TableChanges(const Stream& table) { return GateOf(table).Changes(); }

  // Everything up to here is answered, so that its keys are known: answers are in the log's order.
  Offset Answered() const { return Offset{answered_}; }
  void StartAt(Offset end) { answered_ = end.value; }

  struct Counts {
    uint64_t rows = 0, rejected = 0, duplicates = 0, bodies = 0, bytes = 0;
  };
  Counts Info() const { return {rows_, rejected_, duplicates_, bodies_, bytes_}; }

 private:
  using Work = std::shared_ptr<Submission>;
  using Step = void (RowPipeline::*)(const Work&);
  // Whether the rows wait.  `await` leaves a task to be done later, which goes on with `step`, or
  // says that there is nothing to wait for.
  bool Waits(const Work& work, Step step, const char* what,
             const std::function<bool(TaskThread::Task&)>& await);
  void ClaimAndGoOn(const Work& work);
  void Claim(Submission& work);
  void Encode(Submission& work);
  void EnterAndAppend(const Work& work);
  void Append(const Work& work);
  // From a thread that has nobody to throw to.
  void GoOn(const Work& work, Step step) noexcept;
  void Ended(Submission& work, const AppendResult& result) noexcept;
  void Fail(Submission& work, const std::exception_ptr& error) noexcept;
  TableGate& GateOf(const Stream& table);

  Log& log_;
  Clock& clock_;
  DedupKeys& keys_;
  std::mutex mutex_;  // guards gates_
  std::map<uint32_t, std::unique_ptr<TableGate>> gates_;
  std::atomic<size_t> waiting_bytes_{0};
  std::atomic<uint64_t> answered_{0};
  std::atomic<uint64_t> rows_{0}, rejected_{0}, duplicates_{0}, bodies_{0}, bytes_{0};
};

// Call inside a catch block: what is being thrown, as it is told to who sent the rows.  Allocates
// nothing when there is no memory.
Error RowsRefused() noexcept;
// Gives an answer; what the receiver throws is its own affair.
void Give(std::function<void(IngestAnswer)>& done, IngestAnswer answer) noexcept;

}  // namespace weir
