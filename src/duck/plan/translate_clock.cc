// Predicates that compare rows with the clock, as filters of their own.
#include <optional>

#include "duck/functions/clock_functions.h"
#include "duck/plan/clock_order.h"
#include "duck/plan/translator.h"
#include "duckdb/planner/expression/bound_between_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"

namespace weir {
namespace {

using duckdb::ExpressionType;

std::optional<Comparison> AsComparison(ExpressionType type) {
  switch (type) {
    case ExpressionType::COMPARE_EQUAL: return Comparison::kEqual;
    case ExpressionType::COMPARE_NOTEQUAL: return Comparison::kNotEqual;
    case ExpressionType::COMPARE_LESSTHAN: return Comparison::kLess;
    case ExpressionType::COMPARE_LESSTHANOREQUALTO: return Comparison::kLessOrEqual;
    case ExpressionType::COMPARE_GREATERTHAN: return Comparison::kGreater;
    case ExpressionType::COMPARE_GREATERTHANOREQUALTO: return Comparison::kGreaterOrEqual;
    default: return std::nullopt;
  }
}

Comparison Flip(Comparison comparison) {
  switch (comparison) {
    case Comparison::kLess: return Comparison::kGreater;
    case Comparison::kLessOrEqual: return Comparison::kGreaterOrEqual;
    case Comparison::kGreater: return Comparison::kLess;
    case Comparison::kGreaterOrEqual: return Comparison::kLessOrEqual;
    default: return comparison;
  }
}

}  // namespace

// Wraps `input` in a filter on the clock; gives null when the predicate has no such form.
NodePtr Translator::ClockFilter(NodePtr input, const Expression& left, ExpressionType type,
                                const Expression& right) {
  auto comparison = AsComparison(type);
  if (!comparison) return nullptr;
  const Expression* row = &left;
  const Expression* clock = &right;
  if (UsesClock(left)) {
    std::swap(row, clock);
    comparison = Flip(*comparison);
  }
  if (UsesClock(*row) || UsesColumns(*clock)) return nullptr;
  auto node = std::make_shared<PlanNode>();
  node->kind = PlanNode::Kind::kClockFilter;
  node->types = input->types;
  ClockPredicate predicate;
  predicate.row = CopyOf(*row);
  predicate.comparison = *comparison;
  predicate.clock = CopyOf(*clock);
  predicate.type = clock->return_type;
  auto zone = Zone::Of(session_.context());
  predicate.goes_back = GoesBackBy(*clock, *zone);
  bool rounds_alike =
      *comparison == Comparison::kGreaterOrEqual || *comparison == Comparison::kLess;
  if (IsRounding(*row)) {
    predicate.bucket = predicate.row;
    predicate.coarse = IsCoarseRounding(*row);
  } else if (rounds_alike && IsRounding(*clock) && RoundedType(*clock) == row->return_type &&
             clock->return_type == row->return_type && RoundsAlike(*clock, *zone)) {
    predicate.bucket = Own(RoundInstead(*clock, row->Copy()));
    predicate.coarse = IsCoarseRounding(*clock);
  }
  node->clock = std::move(predicate);
  node->inputs.push_back(std::move(input));
  return node;
}

// BETWEEN is two comparisons.
NodePtr Translator::ClockPredicates(const NodePtr& input, const Expression& expression) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_COMPARISON) {
    auto& comparison = expression.Cast<duckdb::BoundComparisonExpression>();
    return ClockFilter(input, *comparison.left, expression.type, *comparison.right);
  }
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_BETWEEN) {
    auto& between = expression.Cast<duckdb::BoundBetweenExpression>();
    auto add = [&](NodePtr below, const Expression& bound, ExpressionType type) -> NodePtr {
      if (!below) return nullptr;
      if (UsesClock(bound) || UsesClock(*between.input)) {
        return ClockFilter(below, *between.input, type, bound);
      }
      auto node = std::make_shared<PlanNode>();
      node->kind = PlanNode::Kind::kFilter;
      node->types = below->types;
      node->expressions.push_back(Own(duckdb::make_uniq<duckdb::BoundComparisonExpression>(
          type, between.input->Copy(), bound.Copy())));
      node->inputs.push_back(std::move(below));
      return node;
    };
    auto lower = add(input, *between.lower, between.LowerComparisonType());
    return add(lower, *between.upper, between.UpperComparisonType());
  }
  return nullptr;
}

}  // namespace weir
