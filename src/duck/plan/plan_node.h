// A bound, optimized query in our own terms: what flow/ builds circuits from, so that no other
// folder walks DuckDB's plans.  Expressions stay DuckDB's and are opaque above this folder.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "duckdb/common/types.hpp"
#include "duckdb/common/types/value.hpp"

namespace duckdb {
class Expression;
}

namespace weir {

// Column references in an expression are positions in the rows of the node's input.
using ExpressionPtr = std::shared_ptr<const duckdb::Expression>;

// The source a scan reads; `columns` are indexes into the source's columns, or one of the
// constants below, in the order of the scan's output.
struct SourceScan {
  std::string name;
  std::vector<size_t> columns;
};
inline constexpr size_t kScanOffset = static_cast<size_t>(-1);
inline constexpr size_t kScanArrivalTime = static_cast<size_t>(-2);
inline constexpr size_t kScanNothing = static_cast<size_t>(-3);  // only the number of rows counts
inline constexpr size_t kScanWatermark = static_cast<size_t>(-4);

enum class Comparison { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

// `row` COMPARISON `clock`: an expression of the row against one of the clock alone.
struct ClockPredicate {
  ExpressionPtr row;
  Comparison comparison;
  ExpressionPtr clock;
  duckdb::LogicalType type;  // of both sides
  // By how much `clock` may go back as time goes on; null: nobody knows.
  std::optional<Micros> goes_back;
  // Set when the predicate may be decided on a rounding of `row` that has few values (the month of
  // a time), so that partial aggregates can stand for the rows.
  ExpressionPtr bucket;
  bool coarse = false;  // the bucket is a month or longer
};

struct AggregateOrder {
  bool descending = false;
  bool nulls_first = false;
};

struct AggregateCall {
  std::string function;
  std::vector<ExpressionPtr> arguments;
  std::vector<duckdb::LogicalType> argument_types;
  ExpressionPtr filter;  // null: none
  bool distinct = false;
  std::vector<AggregateOrder> order;  // ORDER BY inside: by as many arguments at the end
  duckdb::LogicalType type;
  ExpressionPtr call;  // the bound call, for DuckDB's own state
};

struct BatchPattern;  // duck/batch_plan.h

struct SortKey {
  ExpressionPtr by;
  bool descending = false;
  bool nulls_first = false;
};

// Which rows a join gives; kMark: the left rows and whether each has a partner (true, false, or
// NULL when that is unknown); kSingle: as kLeft, but a second partner is an error.
enum class JoinKind { kInner, kLeft, kRight, kFull, kSemi, kAnti, kMark, kSingle };

// An inner join of which nobody reads the columns of one side (`side`), which has one row a key at
// most: rows of the other side are there where `rows` is above `threshold`, or below it.
struct JoinThreshold {
  size_t side = 1;
  ExpressionPtr rows, threshold;  // each over its own side's columns
  bool below = false, or_equal = false;
};

struct JoinCall {
  JoinKind kind = JoinKind::kInner;
  // Pairwise equal; where null_is_value, NULL equals NULL.
  std::vector<ExpressionPtr> left_keys, right_keys;
  std::vector<bool> null_is_value;
  ExpressionPtr condition;      // null, or one more: over the left columns, then the right
  std::vector<size_t> columns;  // of the output, by position among left, right and mark
  std::optional<JoinThreshold> threshold;
};

// The first rows of each group in an order, as many as `limit` says by one of the counts.
enum class RowNumbering { kRowNumber, kRank, kDenseRank };
struct GroupTopCall {
  std::vector<ExpressionPtr> groups;
  std::vector<SortKey> order;
  uint64_t limit = 0;
  RowNumbering numbering = RowNumbering::kRowNumber;
  bool with_number = false;  // a BIGINT column with it follows the input's
};

// Rows of a group that come at most `gap` after one another belong to one session.
struct SessionCall {
  std::vector<ExpressionPtr> groups;
  ExpressionPtr time;  // microseconds; not NULL
  Micros gap = 0;
};

// Rows whose window is closed: `end` + `lateness` is not above any of the streams' watermarks.
struct WindowCloseCall {
  ExpressionPtr end;  // microseconds
  Micros lateness = 0;
  std::vector<std::string> streams;
};

// What is computed again, by DuckDB's batch operators, for the keys that were touched.
struct BatchCall {
  std::shared_ptr<const BatchPattern> pattern;
  std::vector<std::vector<ExpressionPtr>> keys;  // by input; none: everything belongs together
  std::vector<ExpressionPtr> output_keys;        // the same of the rows that come out
};

// A running aggregate or number: over all rows up to the one at hand.
struct RunningCall {
  enum class Kind { kRowNumber, kRank, kDenseRank, kAggregate };
  Kind kind = Kind::kAggregate;
  AggregateCall aggregate;
};

// How far the frames of window functions reach: a row that comes or goes changes what is said of
// rows within this of it.
struct FrameReach {
  uint64_t rows_before = 0, rows_after = 0;
  bool peers = false;                            // and all peers of those
  uint64_t groups_before = 0, groups_after = 0;  // of peers
  // Frames by values: those of the only sort key from the first to the second; null: the row's own.
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> ranges;
};

// Window functions over partitions that are kept in order; their results follow the input's
// columns.
struct WindowCall {
  std::vector<ExpressionPtr> partitions;
  std::vector<SortKey> order;
  std::string name;                  // for EXPLAIN
  std::vector<RunningCall> running;  // either these,
  bool peers_share = false;          // (with the row's peers, or without)
  FrameReach reach;                  // or a pattern over the input, a number for each row, and one
  std::shared_ptr<const BatchPattern> pattern;  // for each stretch of rows to compute
};

// WITH RECURSIVE with a term that is linear in the recursion.  The inputs are the base, then what
// the term reads besides the recursion.
struct PlanNode;
struct RecursionCall {
  std::string name;
  bool keeps_copies = false;  // UNION ALL
  // Over sources named "1", "2", ... as the inputs, and kRecursionSource.
  std::shared_ptr<PlanNode> term;
};
inline constexpr const char* kRecursionSource = "recursion";
struct RowFunction;  // duck/row_function.h

struct PlanNode {
  enum class Kind {
    kSource,
    kFilter,
    kClockFilter,
    kProject,
    kUnnest,
    kRowFunction,
    kUnionAll,
    kAggregate,
    kDistinct,
    kJoin,
    kTop,
    kGroupTop,
    kSession,
    kWindowClose,
    kSetOperation,
    kBatch,
    kWindow,
    kRecursion,
    kConstant,
    kUnsupported,
  };
  Kind kind;
  std::vector<duckdb::LogicalType> types;         // of the rows it gives
  std::vector<std::shared_ptr<PlanNode>> inputs;  // a node may be the input of several

  SourceScan scan;                         // kSource
  std::vector<ExpressionPtr> expressions;  // kFilter (all must hold), kProject, kUnnest
  std::vector<bool> is_unnest;             // kUnnest: which expressions are lists to unnest
  std::shared_ptr<const RowFunction> row_function;  // kRowFunction
  std::optional<ClockPredicate> clock;              // kClockFilter
  std::vector<ExpressionPtr> groups;                // kAggregate
  std::vector<std::vector<size_t>>
      grouping_sets;  // kAggregate: indexes into groups; empty: one, all
  std::vector<std::vector<size_t>> grouping_calls;  // kAggregate: GROUPING(...) arguments
  std::vector<AggregateCall> aggregates;            // kAggregate
  JoinCall join;                                    // kJoin
  GroupTopCall group_top;                           // kGroupTop
  SessionCall session;                           // kSession; start and last time follow the input
  WindowCloseCall window_close;                  // kWindowClose
  BatchCall batch;                               // kBatch
  WindowCall window;                             // kWindow
  RecursionCall recursion;                       // kRecursion
  bool is_except = false, keeps_copies = false;  // kSetOperation: EXCEPT, ALL
  std::vector<SortKey> order;                    // kTop
  std::optional<uint64_t> limit;                 // kTop
  uint64_t offset = 0;                           // kTop
  std::vector<std::vector<duckdb::Value>> rows;  // kConstant
  std::string reason;  // why it is kept by no better rung: always said of kUnsupported, kBatch
  std::string hint;    // how the query would do better; "" when nothing is known
};

// One line about a node's expressions, for EXPLAIN.
std::string Describe(const PlanNode& node);
std::string Describe(const ExpressionPtr& expression);

// The value of a column of the input.
ExpressionPtr ColumnReference(size_t column, const duckdb::LogicalType& type);
// The column an expression names, when it is nothing but a column.
std::optional<size_t> AsColumn(const ExpressionPtr& expression);
ExpressionPtr ConstantValue(const duckdb::Value& value);
// The same expression over rows whose columns stand elsewhere: column i is at columns[i].
// Adds the positions it uses to `used` (sized for them).
ExpressionPtr MoveColumns(const ExpressionPtr& expression, const std::vector<size_t>& columns,
                          std::vector<bool>& used);
// The type an expression gives.
const duckdb::LogicalType& TypeOf(const ExpressionPtr& expression);

// Equal exactly for expressions that compute the same, as far as can be told; differs between
// calls for those of which it cannot be told (functions with hidden parameters).
std::string Fingerprint(const duckdb::Expression& expression);
std::string Fingerprint(const std::vector<ExpressionPtr>& expressions);

// True for tests of columns and constants alone, which cannot fail on any row: these may be asked
// in any order.
bool IsPlainTest(const duckdb::Expression& expression);

}  // namespace weir
