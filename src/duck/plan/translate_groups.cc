// GROUP BY, DISTINCT, the first rows of all (ORDER BY ... LIMIT) and of each group.
#include <algorithm>
#include <optional>
#include <set>

#include "duck/functions/clock_functions.h"
#include "duck/functions/exact_sums.h"
#include "duck/functions/interval_forms.h"
#include "duck/plan/translator.h"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "duckdb/planner/expression/bound_between_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "duckdb/planner/expression_binder.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionType;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;

bool IgnoresOrder(const std::string& aggregate) {
  static const std::set<std::string> names = {"count", "count_star", "sum",      "avg",     "mean",
                                              "min",   "max",        "bool_and", "bool_or", "favg"};
  return names.contains(aggregate) || IsFloatSum(aggregate);
}

// What EXISTS becomes: which rows a LIMIT below lets through does not matter.
bool OnlyCounts(const PlanNode& node) {
  return std::all_of(node.aggregates.begin(), node.aggregates.end(),
                     [](auto& call) { return call.function == "count_star" && !call.filter; });
}

// `column` <= 3, < 4, = 3, BETWEEN 1 AND 3: 3.
std::optional<uint64_t> UpperBound(const Expression& predicate, size_t column) {
  auto is_column = [&](const Expression& expression) {
    return expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF &&
           expression.Cast<duckdb::BoundReferenceExpression>().index == column;
  };
  auto number = [](const Expression& expression) -> std::optional<int64_t> {
    if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) return {};
    auto& value = expression.Cast<duckdb::BoundConstantExpression>().value;
    if (value.IsNull() || value.type() != duckdb::LogicalType::BIGINT) return {};
    return value.GetValue<int64_t>();
  };
  std::optional<int64_t> bound;
  if (predicate.GetExpressionClass() == duckdb::ExpressionClass::BOUND_BETWEEN) {
    auto& between = predicate.Cast<duckdb::BoundBetweenExpression>();
    if (!is_column(*between.input)) return {};
    bound = number(*between.upper);
  } else if (predicate.GetExpressionClass() == duckdb::ExpressionClass::BOUND_COMPARISON) {
    auto& comparison = predicate.Cast<duckdb::BoundComparisonExpression>();
    auto type = predicate.type;
    const Expression* constant = comparison.right.get();
    if (is_column(*comparison.right)) {
      type = duckdb::FlipComparisonExpression(type);
      constant = comparison.left.get();
    } else if (!is_column(*comparison.left)) {
      return {};
    }
    bound = number(*constant);
    if (type == ExpressionType::COMPARE_LESSTHAN && bound) {
      bound = *bound - 1;
    } else if (type != ExpressionType::COMPARE_LESSTHANOREQUALTO &&
               type != ExpressionType::COMPARE_EQUAL) {
      return {};
    }
  }
  if (!bound) return {};
  return static_cast<uint64_t>(std::max<int64_t>(*bound, 0));
}

// Always one row, no more and no less.
bool GivesOneRow(const PlanNode& node) {
  if (node.kind == PlanNode::Kind::kProject) return GivesOneRow(*node.inputs[0]);
  return node.kind == PlanNode::Kind::kAggregate && node.groups.empty() &&
         node.grouping_sets.size() <= 1;
}

// What DuckDB asks of a scalar subquery, its first row and how many there are, needs no aggregate
// where it is known to give one.
NodePtr OfOneRow(const PlanNode& aggregate) {
  if (!GivesOneRow(aggregate) || !GivesOneRow(*aggregate.inputs[0])) return nullptr;
  auto row = std::make_shared<PlanNode>();
  row->kind = PlanNode::Kind::kProject;
  row->types = aggregate.types;
  row->inputs = aggregate.inputs;
  for (auto& call : aggregate.aggregates) {
    bool plain = !call.filter && call.order.empty();
    if (plain && call.function == "count_star") {
      row->expressions.push_back(ConstantValue(duckdb::Value::BIGINT(1)));
    } else if (plain && call.function == "first" && call.arguments.size() == 1) {
      row->expressions.push_back(call.arguments[0]);
    } else {
      return nullptr;
    }
  }
  return row;
}

}  // namespace

std::vector<SortKey> SortKeys(const duckdb::vector<duckdb::BoundOrderByNode>& orders) {
  std::vector<SortKey> keys;
  for (auto& order : orders) {
    keys.push_back({CopyOf(*order.expression), order.type == duckdb::OrderType::DESCENDING,
                    order.null_order == duckdb::OrderByNullType::NULLS_FIRST});
  }
  return keys;
}

ExpressionPtr Translator::InOneForm(const Expression& interval) {
  auto copy = interval.Copy();
  duckdb::ExpressionBinder::PushCollation(session_.context(), copy, interval.return_type);
  return Own(std::move(copy));
}

NodePtr Translator::Aggregate(duckdb::LogicalAggregate& op) {
  auto node = Make(PlanNode::Kind::kAggregate, op);
  for (auto& group : op.groups) {
    if (UsesClock(*group)) {
      return Unsupported(op, "the clock in GROUP BY",
                         "Group by an expression of the row alone, and compare it with now() in "
                         "WHERE or in the query that reads the view.");
    }
    node->groups.push_back(CopyOf(*group));
  }
  for (auto& set : op.grouping_sets) {
    node->grouping_sets.emplace_back(set.begin(), set.end());
  }
  for (auto& call : op.grouping_functions) {
    node->grouping_calls.emplace_back(call.begin(), call.end());
  }
  for (auto& expression : op.expressions) {
    auto& bound = expression->Cast<duckdb::BoundAggregateExpression>();
    AggregateCall call;
    call.function = bound.function.name;
    for (auto& child : bound.children) {
      if (UsesClock(*child)) {
        return Unsupported(op, "the clock inside an aggregate",
                           "Aggregate an expression of the row alone, and bring now() in where "
                           "the view is read.");
      }
      call.argument_types.push_back(child->return_type);
      bool one_form = bound.IsDistinct() && child->return_type == duckdb::LogicalType::INTERVAL;
      call.arguments.push_back(one_form ? InOneForm(*child) : CopyOf(*child));
    }
    if (bound.filter) {
      if (UsesClock(*bound.filter)) {
        return Unsupported(op, "the clock inside FILTER",
                           "Move the condition to WHERE, in a view of its own for each FILTER.");
      }
      call.filter = CopyOf(*bound.filter);
    }
    call.distinct = bound.IsDistinct();
    call.type = bound.return_type;
    auto copy = expression->Copy();
    copy->Cast<duckdb::BoundAggregateExpression>().order_bys.reset();
    call.call = Own(std::move(copy));
    if (bound.order_bys && !IgnoresOrder(call.function)) {
      for (auto& key : bound.order_bys->orders) {
        if (UsesClock(*key.expression)) return Unsupported(op, "the clock inside an aggregate");
        call.arguments.push_back(CopyOf(*key.expression));
        call.argument_types.push_back(key.expression->return_type);
        call.order.push_back({key.type == duckdb::OrderType::DESCENDING,
                              key.null_order == duckdb::OrderByNullType::NULLS_FIRST});
      }
    }
    node->aggregates.push_back(std::move(call));
  }
  if (node->groups.empty() && OnlyCounts(*node)) {
    LogicalOperator* below = op.children[0].get();
    while (below->type == LogicalOperatorType::LOGICAL_PROJECTION) below = below->children[0].get();
    rows_only_counted_ = below;
  }
  node->inputs.push_back(Visit(*op.children[0]));
  if (auto same = OfOneRow(*node)) return same;
  return node;
}

NodePtr Translator::Distinct(duckdb::LogicalDistinct& op) {
  // Under a collation rows are told apart by expressions of their columns.
  bool as_they_are =
      std::all_of(op.distinct_targets.begin(), op.distinct_targets.end(), [](auto& target) {
        return target->GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF;
      });
  // And of intervals one row is to be shown as it is.
  as_they_are = as_they_are && std::none_of(op.types.begin(), op.types.end(), HasIntervals);
  if (op.distinct_type != duckdb::DistinctType::DISTINCT || !as_they_are) return DistinctOn(op);
  auto node = Make(PlanNode::Kind::kDistinct, op);
  node->inputs.push_back(Visit(*op.children[0]));
  return node;
}

NodePtr Translator::TopN(duckdb::LogicalTopN& op) {
  auto node = Make(PlanNode::Kind::kTop, op);
  node->order = SortKeys(op.orders);
  node->limit = op.limit;
  node->offset = op.offset;
  node->inputs.push_back(Visit(*op.children[0]));
  return node;
}

NodePtr Translator::Limit(duckdb::LogicalLimit& op) {
  auto is_constant = [](const duckdb::BoundLimitNode& limit) {
    return limit.Type() == duckdb::LimitNodeType::CONSTANT_VALUE ||
           limit.Type() == duckdb::LimitNodeType::UNSET;
  };
  if (!is_constant(op.limit_val) || !is_constant(op.offset_val)) {
    return Unsupported(op, "a LIMIT that is not a number");
  }
  // Below it an ORDER BY may stand that the optimizer did not fold into a top-n.
  LogicalOperator* below = op.children[0].get();
  auto node = Make(PlanNode::Kind::kTop, op);
  if (below->type == LogicalOperatorType::LOGICAL_ORDER_BY) {
    node->order = SortKeys(below->Cast<duckdb::LogicalOrder>().orders);
    below = below->children[0].get();
  }
  if (node->order.empty() && &op != rows_only_counted_) {
    return Unsupported(op, "a LIMIT without ORDER BY",
                       "With an ORDER BY the rows are determined, and kept by the change.");
  }
  if (op.limit_val.Type() == duckdb::LimitNodeType::CONSTANT_VALUE) {
    node->limit = op.limit_val.GetConstantValue();
  }
  if (op.offset_val.Type() == duckdb::LimitNodeType::CONSTANT_VALUE) {
    node->offset = op.offset_val.GetConstantValue();
  }
  node->inputs.push_back(Visit(*below));
  return node;
}

// A filter on row_number, rank or dense_rank that only lets the first through: gives the rows
// that it could let through, with their numbers; null when it is no such filter.
NodePtr Translator::GroupTop(duckdb::LogicalFilter& filter) {
  if (filter.children[0]->type != LogicalOperatorType::LOGICAL_WINDOW) return nullptr;
  auto& window = filter.children[0]->Cast<duckdb::LogicalWindow>();
  if (window.expressions.size() != 1 || UsesClock(*window.expressions[0])) return nullptr;
  auto& call = window.expressions[0]->Cast<duckdb::BoundWindowExpression>();
  GroupTopCall top;
  switch (call.type) {
    case ExpressionType::WINDOW_ROW_NUMBER: top.numbering = RowNumbering::kRowNumber; break;
    case ExpressionType::WINDOW_RANK: top.numbering = RowNumbering::kRank; break;
    case ExpressionType::WINDOW_RANK_DENSE: top.numbering = RowNumbering::kDenseRank; break;
    default: return nullptr;
  }
  size_t number = window.children[0]->types.size();
  std::optional<uint64_t> limit;
  for (auto& predicate : filter.expressions) {
    auto bound = UpperBound(*predicate, number);
    if (bound && (!limit || *bound < *limit)) limit = bound;
  }
  if (!limit || !call.arg_orders.empty()) return nullptr;
  top.limit = *limit;
  top.with_number = true;
  for (auto& partition : call.partitions) top.groups.push_back(CopyOf(*partition));
  top.order = SortKeys(call.orders);
  auto node = Make(PlanNode::Kind::kGroupTop, window);
  node->group_top = std::move(top);
  node->inputs.push_back(Visit(*window.children[0]));
  return node;
}

NodePtr Translator::DistinctOn(duckdb::LogicalDistinct& op) {
  auto node = Make(PlanNode::Kind::kGroupTop, op);
  for (auto& target : op.distinct_targets) {
    if (UsesClock(*target)) return Unsupported(op, "the clock inside DISTINCT ON");
    node->group_top.groups.push_back(CopyOf(*target));
  }
  if (op.order_by) node->group_top.order = SortKeys(op.order_by->orders);
  node->group_top.limit = 1;
  node->inputs.push_back(Visit(*op.children[0]));
  return node;
}

}  // namespace weir
