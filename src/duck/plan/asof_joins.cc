#include "duck/plan/asof_joins.h"

#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/expression/bound_case_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_operator_expression.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionType;
using duckdb::LogicalOperator;
using ExpressionOwner = duckdb::unique_ptr<Expression>;

// `without` where one of the values is NULL, else 0.
ExpressionOwner Presence(const std::vector<const Expression*>& values, int32_t without) {
  ExpressionOwner any;
  for (auto* value : values) {
    auto is_null = duckdb::make_uniq<duckdb::BoundOperatorExpression>(
        ExpressionType::OPERATOR_IS_NULL, duckdb::LogicalType::BOOLEAN);
    is_null->children.push_back(value->Copy());
    if (!any) {
      any = std::move(is_null);
      continue;
    }
    any = duckdb::make_uniq<duckdb::BoundConjunctionExpression>(ExpressionType::CONJUNCTION_OR,
                                                                std::move(any), std::move(is_null));
  }
  auto constant = [](int32_t number) {
    return duckdb::make_uniq<duckdb::BoundConstantExpression>(duckdb::Value::INTEGER(number));
  };
  return duckdb::make_uniq<duckdb::BoundCaseExpression>(std::move(any), constant(without),
                                                        constant(0));
}

// Bytes that are equal where the values are, of NULL, too.
ExpressionOwner AsBytes(duckdb::Optimizer& optimizer, ExpressionOwner value) {
  auto order = duckdb::make_uniq<duckdb::BoundConstantExpression>(duckdb::Value("ASC NULLS LAST"));
  return optimizer.BindScalarFunction("create_sort_key", std::move(value), std::move(order));
}

void Mend(duckdb::Optimizer& optimizer, LogicalOperator& op) {
  for (auto& child : op.children) Mend(optimizer, *child);
  if (op.type != duckdb::LogicalOperatorType::LOGICAL_ASOF_JOIN) return;
  auto& join = op.Cast<duckdb::LogicalComparisonJoin>();
  std::vector<const Expression*> left, right;
  for (auto& condition : join.conditions) {
    if (condition.comparison == ExpressionType::COMPARE_NOT_DISTINCT_FROM) {
      condition.left = AsBytes(optimizer, std::move(condition.left));
      condition.right = AsBytes(optimizer, std::move(condition.right));
      condition.comparison = ExpressionType::COMPARE_EQUAL;
    } else {
      left.push_back(condition.left.get());
      right.push_back(condition.right.get());
    }
  }
  if (left.empty()) return;
  // Of sides that differ where a NULL is; and equalities stand before the inequality.
  duckdb::JoinCondition present;
  present.left = Presence(left, 1);
  present.right = Presence(right, 2);
  present.comparison = ExpressionType::COMPARE_EQUAL;
  join.conditions.insert(join.conditions.begin(), std::move(present));
  join.join_stats.clear();  // of the conditions there were
}

}  // namespace

void InstallAsofJoins(duckdb::DuckDB& database) {
  duckdb::OptimizerExtension rule;
  rule.optimize_function = [](duckdb::OptimizerExtensionInput& input,
                              duckdb::unique_ptr<LogicalOperator>& plan) {
    Mend(input.optimizer, *plan);
  };
  duckdb::OptimizerExtension::Register(duckdb::DBConfig::GetConfig(*database.instance), rule);
}

}  // namespace weir
