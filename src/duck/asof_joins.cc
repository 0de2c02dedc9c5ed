#include "duck/asof_joins.h"

#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/expression/bound_case_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_operator_expression.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionType;
using duckdb::LogicalOperator;
using ExpressionOwner = duckdb::unique_ptr<Expression>;

// NULL where the value is, else true: equal to nothing, or to every other that has a value.
ExpressionOwner HasValue(const Expression& value) {
  auto is_null = duckdb::make_uniq<duckdb::BoundOperatorExpression>(
      ExpressionType::OPERATOR_IS_NULL, duckdb::LogicalType::BOOLEAN);
  is_null->children.push_back(value.Copy());
  auto constant = [](duckdb::Value value) {
    return duckdb::make_uniq<duckdb::BoundConstantExpression>(std::move(value));
  };
  return duckdb::make_uniq<duckdb::BoundCaseExpression>(
      std::move(is_null), constant(duckdb::Value(duckdb::LogicalType::BOOLEAN)),
      constant(duckdb::Value::BOOLEAN(true)));
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
  duckdb::vector<duckdb::JoinCondition> more;
  for (auto& condition : join.conditions) {
    if (condition.comparison == ExpressionType::COMPARE_EQUAL) continue;
    if (condition.comparison == ExpressionType::COMPARE_NOT_DISTINCT_FROM) {
      condition.left = AsBytes(optimizer, std::move(condition.left));
      condition.right = AsBytes(optimizer, std::move(condition.right));
      condition.comparison = ExpressionType::COMPARE_EQUAL;
      continue;
    }
    duckdb::JoinCondition both;
    both.left = HasValue(*condition.left);
    both.right = HasValue(*condition.right);
    both.comparison = ExpressionType::COMPARE_EQUAL;
    more.push_back(std::move(both));
  }
  // Equalities stand before the inequality.
  for (auto& condition : join.conditions) more.push_back(std::move(condition));
  join.conditions = std::move(more);
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
