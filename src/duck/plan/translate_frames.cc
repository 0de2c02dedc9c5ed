// Which window functions can be kept by the rows a change touches: running ones, and those with
// frames that reach so far and no farther.
#include "duck/batch_plan.h"
#include "duck/functions/exact_sums.h"
#include "duck/plan/translator.h"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"

namespace weir {
namespace {

using duckdb::BoundWindowExpression;
using duckdb::Expression;
using duckdb::ExpressionType;
using duckdb::WindowBoundary;

// Longer frames are no better than the whole partition.
constexpr uint64_t kReachMax = 100'000;

std::optional<uint64_t> Rows(const duckdb::unique_ptr<Expression>& expression) {
  if (!expression) return std::nullopt;
  const Expression* constant = expression.get();
  while (constant->GetExpressionClass() == duckdb::ExpressionClass::BOUND_CAST) {
    constant = constant->Cast<duckdb::BoundCastExpression>().child.get();
  }
  if (constant->GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT)
    return std::nullopt;
  auto& value = constant->Cast<duckdb::BoundConstantExpression>().value;
  if (value.IsNull() || !value.type().IsIntegral()) return std::nullopt;
  auto number = value.GetValue<int64_t>();
  if (number < 0 || static_cast<uint64_t>(number) > kReachMax) return std::nullopt;
  return static_cast<uint64_t>(number);
}

// One end of a frame; false: it has no bound that is known.
bool AddEnd(WindowBoundary end, const duckdb::unique_ptr<Expression>& expression, FrameReach& reach,
            const ExpressionPtr& key, ExpressionPtr& range, bool& by_value) {
  auto number = Rows(expression);
  switch (end) {
    case WindowBoundary::CURRENT_ROW_ROWS: return true;
    case WindowBoundary::EXPR_PRECEDING_ROWS:
      if (number) reach.rows_before = std::max(reach.rows_before, *number);
      return number.has_value();
    case WindowBoundary::EXPR_FOLLOWING_ROWS:
      if (number) reach.rows_after = std::max(reach.rows_after, *number);
      return number.has_value();
    case WindowBoundary::CURRENT_ROW_GROUPS: reach.peers = true; return true;
    case WindowBoundary::EXPR_PRECEDING_GROUPS:
      reach.peers = true;
      if (number) reach.groups_before = std::max(reach.groups_before, *number);
      return number.has_value();
    case WindowBoundary::EXPR_FOLLOWING_GROUPS:
      reach.peers = true;
      if (number) reach.groups_after = std::max(reach.groups_after, *number);
      return number.has_value();
    case WindowBoundary::CURRENT_ROW_RANGE:
      reach.peers = true;
      by_value = true;
      return true;
    case WindowBoundary::EXPR_PRECEDING_RANGE:
    case WindowBoundary::EXPR_FOLLOWING_RANGE:
      // Bound as the value the frame ends at.
      reach.peers = true;
      if (!expression || expression->return_type != TypeOf(key)) return false;
      by_value = true;
      range = CopyOf(*expression);
      return true;
    default: return false;
  }
}

}  // namespace

std::optional<RunningCall> AsRunning(const BoundWindowExpression& window, bool& peers_share) {
  if (window.orders.empty() || !window.arg_orders.empty() || window.distinct) return std::nullopt;
  RunningCall call;
  peers_share = true;
  switch (window.type) {
    case ExpressionType::WINDOW_ROW_NUMBER:
      call.kind = RunningCall::Kind::kRowNumber;
      peers_share = false;
      return call;
    case ExpressionType::WINDOW_RANK: call.kind = RunningCall::Kind::kRank; return call;
    case ExpressionType::WINDOW_RANK_DENSE: call.kind = RunningCall::Kind::kDenseRank; return call;
    case ExpressionType::WINDOW_AGGREGATE: break;
    default: return std::nullopt;
  }
  if (window.start != WindowBoundary::UNBOUNDED_PRECEDING ||
      window.exclude_clause != duckdb::WindowExcludeMode::NO_OTHER) {
    return std::nullopt;
  }
  switch (window.end) {
    case WindowBoundary::CURRENT_ROW_ROWS: peers_share = false; break;
    case WindowBoundary::CURRENT_ROW_RANGE:
    case WindowBoundary::CURRENT_ROW_GROUPS: break;
    default: return std::nullopt;
  }
  call.kind = RunningCall::Kind::kAggregate;
  call.aggregate.function = window.aggregate->name;
  if (call.aggregate.function == "count" && window.children.empty()) {
    call.aggregate.function = "count_star";
  }
  call.aggregate.type = window.return_type;
  for (auto& child : window.children) {
    call.aggregate.arguments.push_back(CopyOf(*child));
    call.aggregate.argument_types.push_back(child->return_type);
  }
  if (window.filter_expr) call.aggregate.filter = CopyOf(*window.filter_expr);
  // Those with accumulators of few numbers (flow/aggregates).
  static const std::set<std::string> names = {"count_star", "count", "sum", "avg",
                                              "mean",       "min",   "max"};
  bool one = window.children.size() == (call.aggregate.function == "count_star" ? 0u : 1u);
  if (!names.contains(call.aggregate.function) || !one) return std::nullopt;
  bool sums = call.aggregate.function == "sum" || call.aggregate.function == "avg" ||
              call.aggregate.function == "mean";
  if (sums) {
    auto& type = window.children[0]->return_type;
    auto physical = type.InternalType();
    auto result = window.return_type.InternalType();
    bool fits = type.IsNumeric() && physical != duckdb::PhysicalType::UINT128 &&
                (result == duckdb::PhysicalType::DOUBLE || result == duckdb::PhysicalType::INT128 ||
                 result == duckdb::PhysicalType::INT64);
    if (!fits) return std::nullopt;
  }
  return call;
}

// An aggregate of the whole partition, whichever row asks and in whatever order its rows stand.
std::optional<AggregateCall> AsWhole(const BoundWindowExpression& window) {
  static const std::set<std::string> names = {
      "count_star", "count",       "sum",      "avg",     "mean",   "min",
      "max",        "bool_and",    "bool_or",  "stddev",  "median", "stddev_pop",
      "variance",   "stddev_samp", "var_samp", "var_pop", "mad",    "quantile_cont"};
  bool to_end = window.end == WindowBoundary::UNBOUNDED_FOLLOWING ||
                (window.orders.empty() && window.end == WindowBoundary::CURRENT_ROW_RANGE);
  bool is_whole = window.type == ExpressionType::WINDOW_AGGREGATE && window.arg_orders.empty() &&
                  window.start == WindowBoundary::UNBOUNDED_PRECEDING && to_end &&
                  window.exclude_clause == duckdb::WindowExcludeMode::NO_OTHER;
  if (!is_whole || !names.contains(window.aggregate->name)) return std::nullopt;
  AggregateCall call;
  call.function = window.aggregate->name;
  if (call.function == "count" && window.children.empty()) call.function = "count_star";
  call.type = window.return_type;
  call.distinct = window.distinct;
  duckdb::vector<duckdb::unique_ptr<Expression>> children;
  for (auto& child : window.children) {
    call.arguments.push_back(CopyOf(*child));
    call.argument_types.push_back(child->return_type);
    children.push_back(child->Copy());
  }
  if (window.filter_expr) call.filter = CopyOf(*window.filter_expr);
  call.call = Own(duckdb::make_uniq<duckdb::BoundAggregateExpression>(
      *window.aggregate, std::move(children),
      window.filter_expr ? window.filter_expr->Copy() : nullptr,
      window.bind_info ? window.bind_info->Copy() : nullptr,
      window.distinct ? duckdb::AggregateType::DISTINCT : duckdb::AggregateType::NON_DISTINCT));
  return call;
}

bool AddReach(const BoundWindowExpression& window, FrameReach& reach) {
  if (window.orders.empty()) return false;
  switch (window.type) {
    case ExpressionType::WINDOW_LAG:
    case ExpressionType::WINDOW_LEAD: {
      if (window.ignore_nulls || !window.arg_orders.empty()) return false;
      auto rows = window.offset_expr ? Rows(window.offset_expr) : 1;
      if (!rows) return false;
      auto& side = window.type == ExpressionType::WINDOW_LAG ? reach.rows_before : reach.rows_after;
      side = std::max(side, *rows);
      return true;
    }
    case ExpressionType::WINDOW_AGGREGATE:
    case ExpressionType::WINDOW_FIRST_VALUE:
    case ExpressionType::WINDOW_LAST_VALUE:
    case ExpressionType::WINDOW_NTH_VALUE: break;
    default: return false;
  }
  ExpressionPtr key = CopyOf(*window.orders[0].expression);
  ExpressionPtr from, to;
  bool from_value = false, to_value = false;
  if (!AddEnd(window.start, window.start_expr, reach, key, from, from_value) ||
      !AddEnd(window.end, window.end_expr, reach, key, to, to_value)) {
    return false;
  }
  if (window.exclude_clause == duckdb::WindowExcludeMode::GROUP ||
      window.exclude_clause == duckdb::WindowExcludeMode::TIES) {
    reach.peers = true;
  }
  if (from_value != to_value) return false;  // one end by values, the other by rows
  if (from_value) {
    if (window.orders.size() != 1) return false;
    reach.ranges.emplace_back(std::move(from), std::move(to));
  }
  return true;
}

namespace {

// What a row sees depends on its place among its peers.
bool CountsRows(const BoundWindowExpression& window) {
  if (window.type == ExpressionType::WINDOW_LAG || window.type == ExpressionType::WINDOW_LEAD) {
    return true;
  }
  auto by_rows = [](WindowBoundary end) {
    return end == WindowBoundary::CURRENT_ROW_ROWS || end == WindowBoundary::EXPR_PRECEDING_ROWS ||
           end == WindowBoundary::EXPR_FOLLOWING_ROWS;
  };
  bool peers_count = window.exclude_clause == duckdb::WindowExcludeMode::GROUP ||
                     window.exclude_clause == duckdb::WindowExcludeMode::TIES;
  return by_rows(window.start) && by_rows(window.end) && !peers_count;
}

}  // namespace

// Of a stretch only some rows are touched, so ties have to stand in the order they stood in when
// the others were: that of the numbers.
BatchPatternPtr FramedPattern(const std::vector<const BoundWindowExpression*>& windows,
                              std::vector<duckdb::LogicalType> input) {
  auto pattern = std::make_shared<BatchPattern>();
  input.insert(input.end(), 2, duckdb::LogicalType::UBIGINT);
  pattern->types = input;
  auto root = std::make_unique<duckdb::LogicalWindow>(0);
  root->children.push_back(duckdb::unique_ptr<duckdb::LogicalOperator>(MakePlace(0).release()));
  for (auto* window : windows) {
    auto copy = window->Copy();
    auto& own = copy->Cast<BoundWindowExpression>();
    own.partitions.clear();
    own.partitions_stats.clear();
    own.partitions.push_back(duckdb::make_uniq<duckdb::BoundReferenceExpression>(
        duckdb::LogicalType::UBIGINT, input.size() - 1));
    own.partitions_stats.push_back(nullptr);
    if (CountsRows(own)) {
      own.orders.emplace_back(duckdb::OrderType::ASCENDING, duckdb::OrderByNullType::NULLS_LAST,
                              duckdb::make_uniq<duckdb::BoundReferenceExpression>(
                                  duckdb::LogicalType::UBIGINT, input.size() - 2));
    }
    pattern->types.push_back(own.return_type);
    root->expressions.push_back(std::move(copy));
  }
  pattern->inputs.push_back(std::move(input));
  UseExactSums(*root);
  pattern->identity = IdentityOf(*root);
  pattern->root = std::move(root);
  return pattern;
}

}  // namespace weir
