// DuckDB's logical operators to PlanNodes.  What has no incremental operator becomes kUnsupported
// with the reason; the view is then kept by recomputing it.  One translator translates one plan;
// its parts stand in the files named below.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "duck/plan/plan.h"
#include "duckdb/planner/operator/list.hpp"

namespace duckdb {
class BoundWindowExpression;
}

namespace weir {

using NodePtr = std::shared_ptr<PlanNode>;
struct TimeBound;
struct TimeOrder;  // duck/time_order.h

inline ExpressionPtr Own(duckdb::unique_ptr<duckdb::Expression> expression) {
  return ExpressionPtr(expression.release());
}
inline ExpressionPtr CopyOf(const duckdb::Expression& expression) { return Own(expression.Copy()); }

std::vector<SortKey> SortKeys(const duckdb::vector<duckdb::BoundOrderByNode>& orders);

// translate_frames.cc.  Nothing, or false: not of this kind.
std::optional<RunningCall> AsRunning(const duckdb::BoundWindowExpression& window,
                                     bool& peers_share);
bool AddReach(const duckdb::BoundWindowExpression& window, FrameReach& reach);
std::optional<AggregateCall> AsWhole(const duckdb::BoundWindowExpression& window);
std::shared_ptr<const BatchPattern> FramedPattern(
    const std::vector<const duckdb::BoundWindowExpression*>& windows,
    std::vector<duckdb::LogicalType> input);

class Translator {
 public:
  Translator(Session& session, bool says_is_distinct)
      : session_(session), says_is_distinct_(says_is_distinct) {}

  NodePtr Visit(duckdb::LogicalOperator& op);

 private:
  using Expression = duckdb::Expression;
  using ExpressionType = duckdb::ExpressionType;
  using LogicalOperator = duckdb::LogicalOperator;

  // translate.cc
  NodePtr Make(PlanNode::Kind kind, const LogicalOperator& op);
  NodePtr Unsupported(const LogicalOperator& op, std::string reason, std::string hint = "");

  // translate_rows.cc
  NodePtr Get(duckdb::LogicalGet& get);
  NodePtr Filter(duckdb::LogicalFilter& filter);
  NodePtr WindowClose(NodePtr input, const std::vector<const Expression*>& closed);
  NodePtr Project(LogicalOperator& op);
  NodePtr Unnest(LogicalOperator& op);
  NodePtr OfEachRow(duckdb::LogicalGet& get);
  NodePtr Union(duckdb::LogicalSetOperation& op);

  // translate_clock.cc
  NodePtr ClockFilter(NodePtr input, const Expression& left, ExpressionType type,
                      const Expression& right);
  NodePtr ClockPredicates(const NodePtr& input, const Expression& expression);

  // translate_time_bounds.cc
  NodePtr BoundByPartner(NodePtr join, const std::vector<ExpressionPtr>& filters = {});
  NodePtr ImpliedFilter(const TimeOrder& order, const TimeBound& bound);

  // translate_constants.cc
  NodePtr TableFunction(duckdb::LogicalGet& get);
  NodePtr Constant(const LogicalOperator& op);
  NodePtr DummyScan(const LogicalOperator& op);
  NodePtr Rows(duckdb::LogicalColumnDataGet& get);
  NodePtr Values(LogicalOperator& op);

  // translate_joins.cc
  NodePtr MakeJoin(duckdb::LogicalJoin& op, NodePtr left, NodePtr right);
  NodePtr Join(duckdb::LogicalComparisonJoin& op, NodePtr left, NodePtr right);
  NodePtr ComparisonJoin(duckdb::LogicalComparisonJoin& op);
  NodePtr AnyJoin(duckdb::LogicalAnyJoin& op);
  NodePtr CrossProduct(LogicalOperator& op);
  NodePtr DelimJoin(duckdb::LogicalComparisonJoin& op);
  NodePtr DelimGet(LogicalOperator& op);
  NodePtr DistinctRows(duckdb::LogicalSetOperation& op);
  NodePtr SetOperation(duckdb::LogicalSetOperation& op);

  // translate_groups.cc
  // '1 month', '30 days' and '720 hours' are one value; rows are told apart by their bytes.
  ExpressionPtr InOneForm(const Expression& interval);
  NodePtr Aggregate(duckdb::LogicalAggregate& op);
  NodePtr Distinct(duckdb::LogicalDistinct& op);
  NodePtr TopN(duckdb::LogicalTopN& op);
  NodePtr Limit(duckdb::LogicalLimit& op);
  NodePtr GroupTop(duckdb::LogicalFilter& filter);
  NodePtr DistinctOn(duckdb::LogicalDistinct& op);

  // translate_windows.cc
  NodePtr WindowArguments(duckdb::LogicalWindow& op, NodePtr node);
  NodePtr WindowGroup(const std::vector<const duckdb::BoundWindowExpression*>& windows, int kind,
                      const std::string& name, NodePtr node);
  NodePtr WholePartitions(const std::vector<const duckdb::BoundWindowExpression*>& windows,
                          const NodePtr& rows, NodePtr input);
  NodePtr BatchWindows(const std::vector<const duckdb::BoundWindowExpression*>& windows,
                       const std::string& name, NodePtr node);
  NodePtr Batch(std::unique_ptr<LogicalOperator> root, std::string name,
                std::vector<NodePtr> inputs, std::vector<duckdb::LogicalType> types);
  NodePtr Window(duckdb::LogicalWindow& op);
  NodePtr AsofJoin(duckdb::LogicalComparisonJoin& op);

  // translate_recursion.cc
  NodePtr Recursive(duckdb::LogicalRecursiveCTE& op);
  NodePtr RecursiveTerm(duckdb::LogicalRecursiveCTE& op, const std::vector<NodePtr>& inputs);
  void Cut(duckdb::unique_ptr<LogicalOperator>& op, duckdb::idx_t cte, bool inside,
           std::vector<NodePtr>& inputs, std::string& obstacle);

  // translate_sessions.cc
  NodePtr Sessions(duckdb::LogicalWindow& ends);

  Session& session_;
  bool says_is_distinct_;
  std::map<duckdb::idx_t, NodePtr> ctes_;
  std::vector<NodePtr> places_;  // what places (duck/batch_plan.h) stand for
  const LogicalOperator* rows_only_counted_ = nullptr;
  std::vector<NodePtr> delims_;  // of the joins we are inside of
};

}  // namespace weir
