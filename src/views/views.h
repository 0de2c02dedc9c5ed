// Kept answers: every materialized view, maintained by the change.
//
// One engine thread takes the blocks the log committed, reads the clock once, runs the circuit once
// (a step) and publishes all views at once: at any moment all of them stand at one log position.
// Readers on other threads see the last published step and never stop the engine.
//
// Owned by main.  All public methods are thread-safe.  What somebody waits for is done by the
// executor he brings along; the engine thread calls nobody but those who registered with OnStep,
// and they must only take a note.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/kernel_sql.h"
#include "catalog/catalog.h"
#include "flow/upkeep.h"
#include "formats/columns.h"
#include "formats/pump_mark.h"
#include "io/clock.h"
#include "log/log.h"

namespace weir {

// Reads a stream's past: lake, then log.  Implemented above by main's wiring (lake/).
class History {
 public:
  virtual ~History() = default;
  // Calls `sink` with rows of offsets (after, up_to], in order.  `projection` holds indexes into
  // stream.columns; kOffsetColumn and kArrivalTimeColumn name the two hidden columns.
  // `last` is the offset reached so far (it moves even when other streams' rows fill the gap).
  // Stops early when `sink` returns false.
  virtual void Scan(const Stream& stream, const std::vector<size_t>& projection, Offset after,
                    Offset up_to,
                    const std::function<bool(const Columns& rows, Offset last)>& sink) = 0;
};
inline constexpr size_t kOffsetColumn = static_cast<size_t>(-1);       // _offset UBIGINT
inline constexpr size_t kArrivalTimeColumn = static_cast<size_t>(-2);  // _arrival_time TIMESTAMPTZ

// A file that a query reads under a name.  Whoever asks has checked where it is.
struct FileRelation {
  std::string name;  // lower-case
  std::string path;
  std::string format;  // csv, parquet, json
  bool header = true;  // csv
  std::string delimiter = ",";
};

// Runs a query from scratch at one position, for views no operator can keep (implemented by
// query/).
struct BatchRequest {
  KernelSql sql;
  Offset at;
  Micros as_of = 0;                     // what now() says
  std::optional<Micros> log_time = {};  // the time of the log there; default: as_of
  std::string params_json = "";         // a JSON array of values for $1, $2, ..., or ""
  std::vector<FileRelation> files = {};
  uint64_t bytes_max = UINT64_MAX;  // of the answer
  // Is given what ends the query wherever it is; that may be called at any time, by any thread.
  std::function<void(std::function<void()> cancel)> cancellable = nullptr;
  // Whose turn it takes: one kind never waits for another.
  enum class Work { kView, kVerify, kValues, kWrite };
  Work work = Work::kView;
  Micros timeout = 0;  // of its run; 0: the longest there is
  // Asked when its turn comes: false drops it.
  std::function<bool()> start = nullptr;
};
struct BatchResult {
  std::vector<Column> columns;
  Columns rows;
  std::exception_ptr error;
  Micros took = 0;  // the computation alone, without the time it waited for its turn; 0: not known
};
class BatchEngine {
 public:
  virtual ~BatchEngine() = default;
  virtual void Run(BatchRequest request, std::function<void(BatchResult)> done) = 0;
};

// The definition that is being filled to take the place of one that answers until then.
struct Replacement {
  uint32_t version = 0;
  double progress = 0;  // 0 to 1
};

// The content of one view at one step.
struct Snapshot {
  std::string view;
  uint32_t version = 0;  // of its definition (View::id): larger with each CREATE OR REPLACE
  std::optional<Replacement> replaced_by;
  Offset offset;
  Micros as_of = 0;       // the engine's clock at that step
  Micros log_time = 0;    // the time of the log at that step, which watermarks go on with
  uint64_t sequence = 0;  // number of the last change in it; changes after it have higher ones
  std::vector<Column> columns;
  Columns rows;  // in the view's ORDER BY when it has one
  std::vector<int64_t>
      copies;               // of each row, where that was asked for and some stand several times
  uint64_t total_rows = 0;  // before any filter and limit
  uint64_t error_rows = 0;  // left out because an expression failed on them; when asked for
};

// The error rows of view NAME are read under the name NAME_errors: offset (where the row had come
// in by), row, reason, operator and count.
inline constexpr std::string_view kErrorsSuffix = "_errors";

// What one step changed in one view.
struct ViewChange {
  uint64_t sequence = 0;  // counts this view's changes from 1
  Offset offset;
  Micros as_of = 0;
  Columns added, removed;
};
using ViewChangePtr = std::shared_ptr<const ViewChange>;

struct ReadOptions {
  std::vector<std::pair<std::string, std::string>>
      equals;  // column = value as text; "" is the empty string
  std::optional<uint64_t> limit;
  uint64_t rows_max = UINT64_MAX;  // more is kLimitExceeded
  bool count_errors = false;       // fills Snapshot::error_rows
  // Rows may take so many bytes as they are kept, each copy for itself; more is kLimitExceeded.
  // 0: what the engine allows anybody.
  uint64_t bytes_max = 0;
  // For who goes on with the rows himself.  Columns by lower-case name: others are left out, of
  // each view one is there at least.  With `collapse` a row that stands several times is there
  // once, and Snapshot::copies says how often; it takes room once.
  std::optional<std::set<std::string>> columns = {};
  bool collapse = false;
};

enum class ViewStatus { kFilling, kLive, kParked };
enum class Rung { kIncremental, kRecompute };

// For the catalog page, metrics and `weir top`.
struct ViewInfo {
  std::string name;
  // Of its definition, and of the one that answers: an older one while that is filled, 0 when none
  // does.  Status, progress and columns are those of the definition.
  uint32_t version = 0, answering = 0;
  ViewStatus status = ViewStatus::kFilling;
  Rung rung = Rung::kIncremental;
  double progress = 0;         // of filling, 0 to 1
  std::optional<Error> error;  // why it is parked
  std::vector<Column> columns;
  std::vector<std::pair<std::string, bool>> ordered_by;  // column, descending
  uint64_t rows = 0;
  uint64_t error_rows = 0;
  // Bytes of content, recent changes and all operators it needs; of these, what other views need as
  // well, what stands in the file for rows that do not fit, and what its rows take.
  uint64_t state_bytes = 0, shared_bytes = 0, file_bytes = 0, content_bytes = 0;
  std::vector<std::string> operators;  // ids of those it needs, inputs first
  uint64_t changes = 0;                // rows changed since the start
  Offset offset;
  Micros as_of = 0;
};

// One operator; those that several views need are there once.
struct OperatorInfo {
  std::string id;  // the same as long as it computes the same from the same
  std::string name, detail;
  std::vector<std::string> views;  // who needs it; pumps, too
  Upkeep upkeep;
  uint64_t rows_in = 0, rows_out = 0, nanos = 0;  // since the start
  uint64_t state_bytes = 0, file_bytes = 0;
  std::string failure;
};

// A pump, for the same.
struct PumpInfo {
  uint32_t id = 0;
  ViewStatus status = ViewStatus::kFilling;
  double progress = 0;
  std::optional<Error> error;  // why it is parked, or why the log does not take its rows
  InputMark emitted;           // all its query says up to here is in the log
  uint64_t rows = 0;           // emitted since the start
  uint64_t waiting_bytes = 0;  // rows on their way into the log
  size_t state_bytes = 0;      // of all it needs, also what it shares, and of the rows that wait
};

// How far pumps are in what the log holds up to an offset.
struct EmittedMarks {
  Offset at;
  std::map<uint32_t, InputMark> by_pump;
};

// A view made for a reader: read and followed by its name while `hold` lives.
struct Subscription {
  std::string view;
  std::shared_ptr<void> hold;
};

// How the engine's state is saved.
struct CheckpointInfo {
  bool is_under_way = false;
  std::optional<Offset> offset;  // of the last one written by this process
  Micros written_at = 0;         // by the clock
  Micros took = 0;               // from its beginning to its end
  uint64_t bytes = 0;
  uint64_t written = 0, failed = 0;  // how many
  std::string failure;               // of the last one that failed; "" once one was written since
  Micros longest_pause = 0;          // of a step, for pieces of it, since the start
};

struct EngineInfo {
  Offset offset;               // all live views stand here
  Micros as_of = 0;            // the engine's clock
  uint64_t backlog_bytes = 0;  // committed blocks not stepped yet
  uint64_t steps = 0, rows = 0;
  Micros last_step_took = 0;
  Micros lag = 0;  // how long ago the oldest event was committed that no view shows yet; 0: none
  bool filling = false;
  uint64_t state_bytes = 0, file_bytes = 0;      // of all views, each operator once
  uint64_t memory_in_use = 0, memory_limit = 0;  // of the process; limit 0: none
  bool memory_full = false;
  uint64_t emitting_bytes = 0;  // rows of pumps on their way into the log
  CheckpointInfo checkpoint;
  std::string stalled_on;  // what the engine has been at for long; "" as a rule
  uint64_t stalled_seconds = 0;
  bool closing = false;  // the clock has passed the end of windows that a tick is about to close
};

// Of a stream that some view keeps event time of.
struct StreamTime {
  StreamId stream;
  std::optional<Micros> watermark;  // nothing before the first row with a time
};

class Views : public CommitListener {
 public:
  // Wakes readers: called on the engine thread after each step that changed something.
  // `changed` lists the views with a new change; empty for a step that only moved the position.
  using StepCallback =
      std::function<void(const EngineInfo&, const std::vector<std::string>& changed)>;

  virtual ~Views() = default;

  // All views (or error rows) named, at one step.  Throws kUnknownView; a parked view throws its
  // error.
  virtual std::vector<Snapshot> Read(const std::vector<std::string>& names,
                                     const ReadOptions& options = {}) = 0;

  // Changes of a view after `sequence`, oldest first; nothing when that is too long ago (take a
  // new snapshot).  Bounded memory: a ring for each view, shared by all readers.
  virtual std::optional<std::vector<ViewChangePtr>> ChangesSince(const std::string& view,
                                                                 uint64_t sequence) = 0;
  // The sequence a reader stands at who last saw `offset` (Last-Event-ID), when that can be told:
  // not when it is too long ago, nor when the view has changed by time alone at that offset.
  virtual std::optional<uint64_t> SequenceAt(const std::string& view, Offset offset) = 0;

  // Registered before Start; there may be several.
  virtual void OnStep(StepCallback callback) = 0;

  // Has `executor` call `done(true)` once everything up to `offset` is published, `done(false)` at
  // the deadline (monotonic micros) or when the engine stops.
  virtual void WaitFor(Offset offset, Micros deadline, Executor& executor,
                       std::function<void(bool)> done) = 0;

  // The same, for one view: it may be filled yet, another may be filled that is to replace it, or
  // it may be recomputed and behind the others.  One that is parked or not there is waited for no
  // more.
  virtual void WaitForView(const std::string& view, Offset offset, Micros deadline,
                           Executor& executor, std::function<void(bool)> done) {
    (void)view;
    WaitFor(offset, deadline, executor, std::move(done));
  }
  // The same, waiting here; `view`: "" for none.
  bool Await(const std::string& view, Offset offset, Micros deadline);

  // Binds a query against a catalog state that may not be current yet; returns its columns.
  // Throws kInvalidSql with line, column and caret, as `weir check` shows it.
  virtual std::vector<Column> Bind(const CatalogState& state, const KernelSql& query) = 0;
  // Throws kInvalidSql when there is no such time zone.
  virtual void CheckTimeZone(const std::string& zone) {}
  // The catalog changed: creates, refills and drops views so that they match it.  Returns once the
  // engine took note; filling goes on in the background.
  virtual void Reconcile() = 0;

  // Throws unless the pump's query can feed its stream: it binds, and its rows never go again.
  virtual void CheckPump(const CatalogState& state, const Pump& pump) = 0;
  // Whether what the pump emits may depend on the time zone; true when its query does not bind.
  virtual bool GoesByZone(const CatalogState& state, const Pump& pump) = 0;
  virtual std::vector<PumpInfo> PumpInfos() const = 0;
  virtual EmittedMarks Emitted() = 0;
  // A view of a query, filled from history, shared by equal queries; in no catalog.  Throws what is
  // wrong with the query, and kTooManyRequests.
  virtual Subscription Subscribe(const KernelSql& query) = 0;
  // The last durable offset, with a clock that no step was ahead of.
  virtual InputMark Now() const = 0;

  virtual EngineInfo Info() const = 0;
  virtual std::vector<ViewInfo> ViewInfos() const = 0;
  // As of the last second.
  virtual std::vector<OperatorInfo> OperatorInfos() const { return {}; }
  // Throws Error(`code`) when the process is near its memory limit; `what` is what is refused.
  virtual void CheckRoom(ErrorCode code, const std::string& what) const {}
  virtual std::vector<StreamTime> StreamTimes() const { return {}; }
  virtual std::string ExplainView(const std::string& name, bool analyze) = 0;
  // Plans a query as if it were a view.
  virtual std::string ExplainQuery(const KernelSql& query) = 0;
  virtual std::string ExplainPump(const Pump& pump, bool analyze) = 0;
  // One line: by which rung the query would be kept, and why by no better one.
  virtual std::string RungOf(const KernelSql& query) { return ""; }
};

}  // namespace weir
