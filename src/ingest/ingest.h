// The one door in: finds the stream, turns bytes into columns, refuses bad rows, drops duplicates,
// appends to the log and answers once the rows are durable.  Every protocol goes through here.
// Thread-safe.  Owned by main, which closes the log before it lets this go.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "catalog/catalog.h"
#include "formats/rows.h"
#include "ingest/keys_file.h"
#include "io/disk/disk.h"
#include "log/log.h"

namespace weir {

struct IngestRequest {
  std::string stream;
  RowFormat format = RowFormat::kNdjson;
  bool atomic = false;          // all rows or none
  bool deletes = false;         // of a table: each row is a key, whose row goes
  std::string idempotency_key;  // "" when there is none
  std::string_view body;        // decompressed; must live until Post returns, not until done
  // Keeps `body` alive, for a request that has to wait for another; without it the body is copied.
  std::shared_ptr<const void> body_owner;
  // What the body takes already (Ingest::Memory), to be counted until it is answered; may be null.
  std::shared_ptr<RowMemory::Hold> memory;
};

struct IngestAnswer {
  uint64_t accepted = 0;
  uint64_t duplicates = 0;
  Offset offset;  // views that stand here or later hold these rows
  std::vector<RowError> rejected;
  uint64_t rejected_total = 0;  // `rejected` holds the first 1,000, or 100 of a body with a key
  std::vector<std::string> unknown_fields;  // that were ignored; the first ten
  std::optional<Error> error;               // set: nothing was kept
};

struct IngestOptions {
  // What the rows of one body, and of all at once, may take in memory until they are answered.
  size_t body_memory_max = size_t{1} << 30;
  size_t memory_max = size_t{2} << 30;
  // So long after Start the keys of dedup windows are not read back yet, unless rows come that want
  // them: what else a start has to do goes on first.
  Micros keys_rest = 0;
};

// Says when the engine is behind or has no memory left, or the lake is behind; implemented by main
// over both.
class Backpressure {
 public:
  virtual ~Backpressure() = default;
  // Why producers are to come again later; "": they are not.
  virtual std::string Behind() const = 0;
  // Throws Error(kUnavailable) when the views have no memory for more rows.
  virtual void CheckRoom() const {}
};

// Reads a column of a stream's rows that arrived since a time, in the order in which they did, so
// that a restart knows the keys of the window; of very many rows at least the last `rows`.
// Implemented by main over lake and log.  Called by a thread of Ingest.
class KeyHistory {
 public:
  virtual ~KeyHistory() = default;
  virtual void Scan(const Stream& stream, size_t column, Micros since, uint64_t rows,
                    const std::function<void(duckdb::Vector& keys, duckdb::Vector& arrival_times,
                                             duckdb::idx_t count)>& sink) = 0;
};

// A table is held until this goes.
class TableHold {
 public:
  virtual ~TableHold() = default;
};

class Ingest {
 public:
  // Reads back which idempotency keys are known, from the log and the file SaveKeys wrote.
  static std::unique_ptr<Ingest> Open(Disk& disk, const KeysPlace& keys, Catalog& catalog, Log& log,
                                      Clock& clock, const Backpressure& backpressure,
                                      KeyHistory& history, IngestOptions options = {});
  virtual ~Ingest() = default;

  // Begins to take rows, and to read back the keys of dedup windows, by a thread; until it has
  // those of a stream, its rows wait or are refused (kUnavailable).  Called once, when streams have
  // the dedup_key that they are to have: each is read back by that one.
  virtual void Start() = 0;

  // Parses on the caller's thread; `done` runs once durable, mostly on the log's thread (or at
  // once, for a body that is refused whole).  Or throws, having kept nothing.
  //
  // An idempotency key seen before answers what it answered then; the same key with another body,
  // format or operation is kConflict.  A body waits for one on its way that has the same key, or
  // rows with the same dedup_key: it is a duplicate when that one is durable, and takes its place
  // when that one is refused.
  virtual void Post(const IngestRequest& request, std::function<void(IngestAnswer)> done) = 0;

  // Rows that are columns of the stream already, as one record: all become durable or none.  Those
  // of a table are appended by whoever holds it (HoldTable).  Returns once durable.
  virtual IngestAnswer Append(const Stream& stream, std::shared_ptr<Columns> rows) = 0;

  // Keeps everybody else from writing a table, so that what is read of it now (at the log's end) is
  // still true when rows are appended.  Waits for whoever holds it and for rows on their way to the
  // disk; bodies that come to Post meanwhile wait for their turn without a thread.  Not from the
  // log's thread.  Throws kTooManyRequests when somebody else holds it for longer than kHoldWait.
  virtual std::unique_ptr<TableHold> HoldTable(const Stream& table) = 0;
  static constexpr std::chrono::seconds kHoldWait{10};

  // A number that is the same before a time and while the table is held after it only when the
  // table has not changed in between.
  virtual uint64_t TableChanges(const Stream& table) = 0;

  // Makes the idempotency keys durable apart from the log.  Returns the offset up to which the log
  // may now forget.  One thread at a time.
  virtual Offset SaveKeys() = 0;

  // Gives back the memory of dedup windows that are over; to be called now and then.
  virtual void ForgetExpired() = 0;

  // After Start: returns once the keys of all dedup windows are read back, or after `most` (of real
  // time); whether they are.  Rows of streams whose keys are not wait until then, and are refused
  // after it (kUnavailable).
  virtual bool AwaitKeys(Micros most) = 0;

  // Where the memory of bodies is counted.
  virtual RowMemory& Memory() = 0;

  struct Counts {
    uint64_t rows = 0, rejected = 0, duplicates = 0, bodies = 0, bytes = 0;
    // Memory of both kinds of keys; how often some were forgotten before their time, for want of
    // room; and the streams whose keys are still being read back.
    uint64_t dedup_bytes = 0, dedup_shortened = 0, streams_recovering = 0;
    uint64_t idempotency_keys = 0, idempotency_bytes = 0, idempotency_shortened = 0;
    uint64_t memory = 0;  // of bodies that are not answered yet
  };
  virtual Counts Info() const = 0;
};

}  // namespace weir
