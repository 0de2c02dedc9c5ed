#include "duck/plan/subquery_joins.h"

#include <algorithm>
#include <set>

#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_operator_expression.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"

namespace weir {
namespace {

using duckdb::ExpressionType;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;

// The column that a condition of a filter is, or denies.
const duckdb::BoundColumnRefExpression* PlainColumn(const duckdb::Expression& condition) {
  if (condition.type == ExpressionType::BOUND_COLUMN_REF) {
    return &condition.Cast<duckdb::BoundColumnRefExpression>();
  }
  if (condition.type != ExpressionType::OPERATOR_NOT) return nullptr;
  return PlainColumn(*condition.Cast<duckdb::BoundOperatorExpression>().children[0]);
}

// The marks that a filter lets rows through by: their joins become semi and anti joins.
void FindFiltered(LogicalOperator& op, std::set<duckdb::idx_t>& marks) {
  if (op.type == LogicalOperatorType::LOGICAL_FILTER) {
    for (auto& condition : op.expressions) {
      if (auto* column = PlainColumn(*condition)) marks.insert(column->binding.table_index);
    }
  }
  for (auto& child : op.children) FindFiltered(*child, marks);
}

// The rule takes joins with as many conditions as there are columns: one of them twice is one more,
// and says nothing new.
void AddCondition(LogicalOperator& op, const std::set<duckdb::idx_t>& filtered) {
  for (auto& child : op.children) AddCondition(*child, filtered);
  if (op.type != LogicalOperatorType::LOGICAL_DELIM_JOIN) return;
  auto& join = op.Cast<duckdb::LogicalComparisonJoin>();
  if (join.join_type != duckdb::JoinType::MARK || filtered.contains(join.mark_index)) return;
  if (join.conditions.size() != join.duplicate_eliminated_columns.size()) return;
  duckdb::JoinCondition again;
  again.left = join.conditions[0].left->Copy();
  again.right = join.conditions[0].right->Copy();
  again.comparison = join.conditions[0].comparison;
  join.conditions.push_back(std::move(again));
}

// A join that is still duplicate-eliminated meets each outer row with what was computed for its
// values, NULLs as such.  Where that is all it has conditions for, none of them says anything else.
void RestoreConditions(LogicalOperator& op) {
  for (auto& child : op.children) RestoreConditions(*child);
  if (op.type != LogicalOperatorType::LOGICAL_DELIM_JOIN) return;
  auto& join = op.Cast<duckdb::LogicalComparisonJoin>();
  if (join.conditions.size() != join.duplicate_eliminated_columns.size()) return;
  for (auto& condition : join.conditions) {
    condition.comparison = ExpressionType::COMPARE_NOT_DISTINCT_FROM;
  }
}

}  // namespace

void KeepMarksExact(LogicalOperator& plan) {
  std::set<duckdb::idx_t> filtered;
  FindFiltered(plan, filtered);
  AddCondition(plan, filtered);
}

void InstallSubqueryJoins(duckdb::DuckDB& database, bool marks) {
  duckdb::OptimizerExtension rule;
  if (marks) {
    rule.pre_optimize_function = [](duckdb::OptimizerExtensionInput&,
                                    duckdb::unique_ptr<LogicalOperator>& plan) {
      KeepMarksExact(*plan);
    };
  }
  rule.optimize_function = [](duckdb::OptimizerExtensionInput&,
                              duckdb::unique_ptr<LogicalOperator>& plan) {
    RestoreConditions(*plan);
  };
  duckdb::OptimizerExtension::Register(duckdb::DBConfig::GetConfig(*database.instance), rule);
}

}  // namespace weir
