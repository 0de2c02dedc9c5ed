// Joins of every kind, what subqueries become of them, INTERSECT and EXCEPT.
#include <algorithm>
#include <optional>

#include "duck/functions/clock_functions.h"
#include "duck/functions/interval_forms.h"
#include "duck/plan/translator.h"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_operator_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {
namespace {

constexpr const char* kClockHint =
    "Compare with now() in WHERE, an expression of one side's row with one of the clock alone.";

using duckdb::Expression;
using duckdb::ExpressionType;
using duckdb::LogicalOperatorType;

std::optional<JoinKind> AsJoinKind(duckdb::JoinType type) {
  switch (type) {
    case duckdb::JoinType::INNER: return JoinKind::kInner;
    case duckdb::JoinType::LEFT: return JoinKind::kLeft;
    case duckdb::JoinType::RIGHT: return JoinKind::kRight;
    case duckdb::JoinType::OUTER: return JoinKind::kFull;
    case duckdb::JoinType::SEMI:
    case duckdb::JoinType::RIGHT_SEMI: return JoinKind::kSemi;
    case duckdb::JoinType::ANTI:
    case duckdb::JoinType::RIGHT_ANTI: return JoinKind::kAnti;
    case duckdb::JoinType::MARK: return JoinKind::kMark;
    case duckdb::JoinType::SINGLE: return JoinKind::kSingle;
    default: return std::nullopt;
  }
}

bool SwapsSides(duckdb::JoinType type) {
  return type == duckdb::JoinType::RIGHT_SEMI || type == duckdb::JoinType::RIGHT_ANTI;
}

void ShiftReferences(Expression& expression, size_t by) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF) {
    expression.Cast<duckdb::BoundReferenceExpression>().index += by;
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](Expression& child) { ShiftReferences(child, by); });
}

ExpressionPtr And(std::vector<duckdb::unique_ptr<Expression>> parts) {
  if (parts.empty()) return nullptr;
  if (parts.size() == 1) return Own(std::move(parts[0]));
  auto all = duckdb::make_uniq<duckdb::BoundConjunctionExpression>(ExpressionType::CONJUNCTION_AND);
  for (auto& part : parts) all->children.push_back(std::move(part));
  return Own(std::move(all));
}

// The output of a join by its projection maps.
std::vector<size_t> OutputColumns(const duckdb::LogicalJoin& op, JoinKind kind, size_t left,
                                  size_t right, bool swapped) {
  auto map = [](const duckdb::vector<duckdb::idx_t>& kept, size_t count, size_t first) {
    std::vector<size_t> columns;
    for (size_t i = 0; i < (kept.empty() ? count : kept.size()); i++) {
      columns.push_back(first + (kept.empty() ? i : kept[i]));
    }
    return columns;
  };
  auto columns = map(swapped ? op.right_projection_map : op.left_projection_map, left, 0);
  if (kind == JoinKind::kMark) columns.push_back(left);
  if (kind == JoinKind::kSemi || kind == JoinKind::kAnti || kind == JoinKind::kMark) {
    return columns;
  }
  auto others = map(op.right_projection_map, right, left);
  columns.insert(columns.end(), others.begin(), others.end());
  return columns;
}

}  // namespace

NodePtr Translator::MakeJoin(duckdb::LogicalJoin& op, NodePtr left, NodePtr right) {
  auto kind = AsJoinKind(op.join_type);
  if (!kind) return Unsupported(op, "this kind of join");
  auto node = Make(PlanNode::Kind::kJoin, op);
  bool swapped = SwapsSides(op.join_type);
  if (swapped) std::swap(left, right);
  node->join.kind = *kind;
  node->join.columns = OutputColumns(op, *kind, left->types.size(), right->types.size(), swapped);
  node->inputs = {std::move(left), std::move(right)};
  return node;
}

NodePtr Translator::Join(duckdb::LogicalComparisonJoin& op, NodePtr left, NodePtr right) {
  auto node = MakeJoin(op, std::move(left), std::move(right));
  if (node->kind != PlanNode::Kind::kJoin) return node;
  auto& join = node->join;
  bool swapped = SwapsSides(op.join_type);
  auto is_equality = [](ExpressionType type) {
    return type == ExpressionType::COMPARE_EQUAL ||
           type == ExpressionType::COMPARE_NOT_DISTINCT_FROM;
  };
  // Whether a mark is NULL is decided pair by pair once there is more than equality.
  bool only_equal = !op.predicate;
  for (auto& condition : op.conditions) only_equal &= is_equality(condition.comparison);
  std::vector<duckdb::unique_ptr<Expression>> others;
  for (auto& condition : op.conditions) {
    if (UsesClock(*condition.left) || UsesClock(*condition.right)) {
      return Unsupported(op, "the clock inside a join's condition", kClockHint);
    }
    bool null_is_value = condition.comparison == ExpressionType::COMPARE_NOT_DISTINCT_FROM;
    bool as_key = is_equality(condition.comparison) &&
                  (join.kind != JoinKind::kMark || only_equal || null_is_value);
    auto first = condition.left->Copy();
    auto second = condition.right->Copy();
    auto comparison = condition.comparison;
    if (swapped) {
      std::swap(first, second);
      comparison = duckdb::FlipComparisonExpression(comparison);
    }
    if (as_key) {
      join.left_keys.push_back(Own(std::move(first)));
      join.right_keys.push_back(Own(std::move(second)));
      join.null_is_value.push_back(null_is_value);
    } else {
      // DuckDB 1.5.5 makes <> of EXISTS (... WHERE b <> a) an IS DISTINCT FROM, and of the two
      // sides it remembers NOT NULL of b only.
      if (join.kind == JoinKind::kMark && !says_is_distinct_ &&
          comparison == ExpressionType::COMPARE_DISTINCT_FROM) {
        auto known = duckdb::make_uniq<duckdb::BoundOperatorExpression>(
            ExpressionType::OPERATOR_IS_NOT_NULL, duckdb::LogicalType::BOOLEAN);
        known->children.push_back(first->Copy());
        others.push_back(std::move(known));
      }
      ShiftReferences(*second, node->inputs[0]->types.size());
      others.push_back(duckdb::make_uniq<duckdb::BoundComparisonExpression>(
          comparison, std::move(first), std::move(second)));
    }
  }
  if (op.predicate) {
    if (swapped || UsesClock(*op.predicate)) {
      return Unsupported(op, "the clock inside a join's condition", kClockHint);
    }
    others.push_back(op.predicate->Copy());
  }
  join.condition = And(std::move(others));
  return BoundByPartner(node);
}

NodePtr Translator::ComparisonJoin(duckdb::LogicalComparisonJoin& op) {
  auto left = Visit(*op.children[0]);
  return Join(op, std::move(left), Visit(*op.children[1]));
}

NodePtr Translator::AnyJoin(duckdb::LogicalAnyJoin& op) {
  if (UsesClock(*op.condition))
    return Unsupported(op, "the clock inside a join's condition", kClockHint);
  if (SwapsSides(op.join_type)) return Unsupported(op, "this kind of join");
  auto left = Visit(*op.children[0]);
  auto node = MakeJoin(op, std::move(left), Visit(*op.children[1]));
  if (node->kind != PlanNode::Kind::kJoin) return node;
  node->join.condition = CopyOf(*op.condition);
  return BoundByPartner(node);
}

NodePtr Translator::CrossProduct(LogicalOperator& op) {
  auto node = Make(PlanNode::Kind::kJoin, op);
  for (auto& child : op.children) node->inputs.push_back(Visit(*child));
  for (size_t i = 0; i < op.types.size(); i++) node->join.columns.push_back(i);
  return node;
}

// One side's distinct values of some columns are an input of the other side (what is left of a
// correlated subquery).
NodePtr Translator::DelimJoin(duckdb::LogicalComparisonJoin& op) {
  size_t outer = op.delim_flipped ? 1 : 0;
  NodePtr sides[2];
  sides[outer] = Visit(*op.children[outer]);
  auto values = std::make_shared<PlanNode>();
  values->kind = PlanNode::Kind::kProject;
  for (auto& column : op.duplicate_eliminated_columns) {
    values->expressions.push_back(CopyOf(*column));
    values->types.push_back(column->return_type);
  }
  values->inputs.push_back(sides[outer]);
  auto distinct = std::make_shared<PlanNode>();
  distinct->kind = PlanNode::Kind::kDistinct;
  distinct->types = values->types;
  distinct->inputs.push_back(values);
  delims_.push_back(distinct);
  sides[1 - outer] = Visit(*op.children[1 - outer]);
  delims_.pop_back();
  return Join(op, sides[0], sides[1]);
}

NodePtr Translator::DelimGet(LogicalOperator& op) {
  if (delims_.empty()) return Unsupported(op, "an unusual correlated subquery");
  return delims_.back();
}

// Without ALL, of intervals: the rows of the left side, each once, that are, or are not, on the
// right; so they are shown as they are there.
NodePtr Translator::DistinctRows(duckdb::LogicalSetOperation& op) {
  bool is_except = op.type == LogicalOperatorType::LOGICAL_EXCEPT;
  auto first = Make(PlanNode::Kind::kGroupTop, op);
  first->group_top.limit = 1;
  auto node = Make(PlanNode::Kind::kJoin, op);
  node->join.kind = is_except ? JoinKind::kAnti : JoinKind::kSemi;
  for (size_t i = 0; i < op.types.size(); i++) {
    auto column = ColumnReference(i, op.types[i]);
    first->group_top.groups.push_back(column);
    node->join.left_keys.push_back(column);
    node->join.right_keys.push_back(column);
    node->join.null_is_value.push_back(true);
    node->join.columns.push_back(i);
  }
  first->inputs.push_back(Visit(*op.children[0]));
  node->inputs = {std::move(first), Visit(*op.children[1])};
  return node;
}

NodePtr Translator::SetOperation(duckdb::LogicalSetOperation& op) {
  bool has_intervals = std::any_of(op.types.begin(), op.types.end(), HasIntervals);
  if (has_intervals && !op.setop_all && op.children.size() == 2) return DistinctRows(op);
  auto node = Make(PlanNode::Kind::kSetOperation, op);
  node->is_except = op.type == LogicalOperatorType::LOGICAL_EXCEPT;
  node->keeps_copies = op.setop_all;
  for (auto& child : op.children) node->inputs.push_back(Visit(*child));
  return node;
}

}  // namespace weir
