// All operators of a circuit.  One file each; what each does, keeps and costs stands there.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "duck/plan/plan_node.h"
#include "duck/session.h"
#include "flow/operator.h"
#include "formats/columns.h"

namespace weir {

using SessionPtr = std::shared_ptr<Session>;

// Where rows of a stream enter: all its columns, then _offset and _arrival_time.  Views that read
// different columns of a stream share one source, and so the filters above it.
//
// Of a stream with a WATERMARK, _watermark follows: where the watermark stood just before the row.
// The watermark W is decided row by row, in the order of the log, by what every row brings:
//
//   before a row   W += max(0, its arrival - the arrival of the row before - idle_timeout)
//   after it       W = max(W, its time - delay)
//
// so that history, the log and a restart say the same.  Between rows it goes on with the time of
// the log (SetLogTime) by the first rule.  State: W and the last arrival, when somebody asks.
struct WatermarkSpec {
  size_t column = 0;  // of the stream
  Micros delay = 0;
  std::optional<Micros> idle_timeout;
};
class SourceOperator : public Operator {
 public:
  SourceOperator(std::string stream, RowTypes stream_types, std::vector<std::string> names,
                 std::optional<WatermarkSpec> watermark = {});
  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override;
  // `stream_rows` has the stream's columns; those that nobody reads() may be anything.
  void Feed(duckdb::DataChunk& stream_rows, uint64_t first_offset, Micros arrival_time);
  // The same, of rows that bring their own hidden columns.
  void FeedHistory(duckdb::DataChunk& rows) { Receive(0, rows, nullptr); }

  // No row that has not come yet arrived before.
  void SetLogTime(Micros log_time) { log_time_ = std::max(log_time_, log_time); }
  // Now, at the time of the log; nothing before the first row with a time.
  std::optional<Micros> watermark() const;
  // The time of the log at which the watermark will be there by itself, if it ever will.
  std::optional<Micros> LogTimeFor(Micros watermark) const;
  // From the first row on: somebody above asks for the watermark.  A source without such keeps
  // nothing and looks at no row.
  void KeepTime();
  bool keeps_time() const { return keeps_time_; }
  // Of a twin at the same position: reads what it reads, too, and knows what it does of the
  // watermark.
  void LearnFrom(const SourceOperator& twin);
  bool has_watermark() const { return watermark_.has_value(); }

  bool HasState() const override { return keeps_time_; }
  void Save(StateWriter& writer) const override;
  void Load(StateReader& reader) override;

  const std::string& stream() const { return stream_; }
  // Which columns (hidden ones last) some operator above uses.
  std::vector<bool>& reads() { return reads_; }
  const std::vector<bool>& reads() const { return reads_; }
  // Names and values of the columns that are read; the others may hold anything.
  std::string TextOf(duckdb::DataChunk& rows, duckdb::idx_t row) const override;

 private:
  void MoveWatermark(duckdb::DataChunk& rows);
  void Arrive(Micros arrived);
  void Reach(Micros time);
  Micros Idle(Micros until) const;

  std::string stream_;
  std::vector<std::string> names_;
  std::optional<WatermarkSpec> watermark_;
  bool keeps_time_ = false;
  std::optional<Micros> reached_;       // W after the last row
  std::optional<Micros> last_arrival_;  // of any row
  Micros log_time_ = 0;
  std::vector<bool> reads_;
  duckdb::DataChunk out_;
};

// Stands on the sources of one or more streams and says how far all of them are: the least of their
// watermarks.  Gives no rows; other operators ask it in Flush, as the input after their rows.
class WatermarkOperator : public Operator {
 public:
  WatermarkOperator() : Operator("watermark", {}, true) {}
  void Push(size_t, duckdb::DataChunk&, const int64_t*) override {}
  std::optional<Micros> Current() const;
  bool HasPassed(std::optional<Micros> time) const;  // false for no time
  std::optional<Micros> LogTimeFor(Micros watermark) const;
};

// What is over by the watermark: a value `end` of some expression comes no more, and nothing that
// came with it goes, once `end` + `lateness` is not above it.
struct Expiry {
  ExpressionPtr end;  // microseconds
  Micros lateness = 0;
};
// `end` + `lateness`, within what there is of time.
inline Micros OverAt(Micros end, Micros lateness) {
  return lateness > 0 && end > INT64_MAX - lateness   ? INT64_MAX
         : lateness < 0 && end < INT64_MIN - lateness ? INT64_MIN
                                                      : end + lateness;
}

// Rows once their window is closed.  The second input is the watermark.  `settled`: of windows that
// are over no row comes or goes any more.
std::unique_ptr<Operator> MakeWindowClose(SessionPtr session, Expiry expiry, RowTypes types,
                                          bool settled);

std::unique_ptr<Operator> MakeFilter(SessionPtr session, std::vector<ExpressionPtr> predicates,
                                     RowTypes types, bool append_only);
std::unique_ptr<Operator> MakeProject(SessionPtr session, std::vector<ExpressionPtr> expressions,
                                      bool append_only);
std::unique_ptr<Operator> MakeUnnest(SessionPtr session, std::vector<ExpressionPtr> lists,
                                     RowTypes types, bool append_only);
std::unique_ptr<Operator> MakeRowFunction(SessionPtr session,
                                          std::shared_ptr<const RowFunction> function,
                                          RowTypes types, bool append_only);
std::unique_ptr<Operator> MakeConsolidate(RowTypes types);
std::unique_ptr<Operator> MakeUnionAll(RowTypes types, bool append_only);
std::unique_ptr<Operator> MakeConstant(RowTypes types,
                                       std::vector<std::vector<duckdb::Value>> rows);

// Adds one column: a rounding of a time (see ClockPredicate::bucket).  A chunk whose earliest and
// latest time fall into one bucket costs two evaluations instead of one a row.
std::unique_ptr<Operator> MakeBucket(SessionPtr session, ExpressionPtr bucket, RowTypes input,
                                     bool coarse, bool append_only);

// Rows for which `row` COMPARISON `clock` holds, as time goes by.  Null `row`: the last column.
// `drop_last`: the last column is not part of the output.
struct ClockFilterSpec {
  ClockPredicate predicate;
  bool by_last_column = false;
  bool drop_last = false;
};
std::unique_ptr<Operator> MakeClockFilter(SessionPtr session, ClockFilterSpec spec, RowTypes input,
                                          bool append_only);

// GROUP BY `groups`; output: groups, then aggregates.  Without groups there is always one row.
struct AggregateSpec {
  std::vector<ExpressionPtr> groups;
  std::vector<AggregateCall> aggregates;
  bool global = false;  // no GROUP BY at all: one row even of nothing
  // Over the groups; then the second input is the watermark.  The state of a group that is over is
  // freed; with `on_close` its row comes then, once, and before it none.
  std::optional<Expiry> expiry;
  bool on_close = false;
};
std::unique_ptr<Operator> MakeAggregate(SessionPtr session, AggregateSpec spec, bool append_only);

// ORDER BY with LIMIT and OFFSET; ties are broken by the whole row.
std::unique_ptr<Operator> MakeTop(SessionPtr session, std::vector<SortKey> order,
                                  std::optional<uint64_t> limit, uint64_t offset, RowTypes types,
                                  bool append_only);

// Rows of two sides that belong together (JoinKind in duck/plan_node.h); made by joins.h.
struct JoinSpec {
  using Kind = JoinKind;
  Kind kind = Kind::kInner;
  RowTypes left, right;
  // Pairwise equal; where null_is_value, NULL equals NULL.
  std::vector<ExpressionPtr> left_keys, right_keys;
  std::vector<bool> null_is_value;
  std::vector<ExpressionPtr> condition;  // none, or one more: over the left columns, then the right
  bool append_only[2] = {false, false};
};

// The first rows of each group (GroupTopCall in duck/plan_node.h).
std::unique_ptr<Operator> MakeGroupTop(const SessionPtr& session, const GroupTopCall& call,
                                       const RowTypes& input, bool append_only);

// Adds the start and the last time of each row's session (SessionCall in duck/plan_node.h).  With
// `lateness` a second input is the watermark: a row comes no more once it has passed the row's time
// by so much.
std::unique_ptr<Operator> MakeSession(const SessionPtr& session, const SessionCall& call,
                                      const RowTypes& input, bool append_only,
                                      std::optional<Micros> lateness = {});

// INTERSECT or EXCEPT; `keeps_copies`: ALL.
std::unique_ptr<Operator> MakeSetOperation(RowTypes types, bool is_except, bool keeps_copies);

// What is computed again for touched keys (BatchCall in duck/plan_node.h).
struct BatchSpec {
  std::shared_ptr<const BatchPattern> pattern;
  std::vector<std::vector<ExpressionPtr>> keys;  // by input
  std::vector<ExpressionPtr> output_keys;
  std::vector<bool> append_only;  // by input
};
std::unique_ptr<Operator> MakeBatch(const SessionPtr& session, BatchSpec spec);

// Window functions over partitions in order (WindowCall in duck/plan_node.h): running ones, and
// those with frames of a known reach.
std::unique_ptr<Operator> MakeRunningWindow(const SessionPtr& session, const WindowCall& call,
                                            const RowTypes& input);
std::unique_ptr<Operator> MakeFramedWindow(const SessionPtr& session, const WindowCall& call,
                                           const RowTypes& input);

// WITH RECURSIVE: the recursive term as a circuit over sources.
class Circuit;
class OutputOperator;
struct RecursionTerm {
  std::unique_ptr<Circuit> circuit;
  std::vector<SourceOperator*> inputs;  // of the operator's ports 1, 2, ...
  SourceOperator* recursion = nullptr;
  OutputOperator* output = nullptr;
};
struct RecursionSpec {
  RowTypes types;
  std::vector<RowTypes> inputs;  // the base, then what the term reads besides the recursion
  bool keeps_copies = false;     // UNION ALL
  bool inputs_only_grow = true, term_only_grows = true;
  std::function<RecursionTerm()> make_term;
};
std::unique_ptr<Operator> MakeRecursion(RecursionSpec spec);

// The end of a view: collects the net change of each step, as encoded rows with weights.
class OutputOperator : public Operator {
 public:
  explicit OutputOperator(RowTypes types);
  ~OutputOperator() override;
  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override;
  // Calls `row` for each row whose weight changed since the last call, with the net change.
  void Take(const std::function<void(std::string_view key, int64_t weight)>& row);
  bool HasChanges() const;
  size_t StateBytes() const override;  // of the changes not taken yet: of a filling, all its rows

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The end of a pump: the rows that came, in the order in which they did.  A row that goes is a
// failure: what was emitted cannot be taken back.
class EmitOperator : public Operator {
 public:
  // `not_null`: columns in which a NULL is a failure.
  EmitOperator(RowTypes types, std::vector<std::string> not_null_names);
  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override;
  // The rows since the last call.
  Columns Take();

 private:
  void Append(duckdb::DataChunk& rows);
  std::vector<std::string> not_null_;  // by column; "" where NULL is fine
  Columns rows_;
};

}  // namespace weir
