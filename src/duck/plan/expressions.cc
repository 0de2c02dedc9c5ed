// Small things on bound expressions (declared in plan_node.h).
#include "duck/plan/translator.h"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {

ExpressionPtr ColumnReference(size_t column, const duckdb::LogicalType& type) {
  return Own(duckdb::make_uniq<duckdb::BoundReferenceExpression>(type, column));
}

std::optional<size_t> AsColumn(const ExpressionPtr& expression) {
  if (expression->GetExpressionClass() != duckdb::ExpressionClass::BOUND_REF) return std::nullopt;
  return expression->Cast<duckdb::BoundReferenceExpression>().index;
}

ExpressionPtr ConstantValue(const duckdb::Value& value) {
  return Own(duckdb::make_uniq<duckdb::BoundConstantExpression>(value));
}

namespace {

void MoveReferences(duckdb::Expression& expression, const std::vector<size_t>& columns,
                    std::vector<bool>& used) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF) {
    auto& reference = expression.Cast<duckdb::BoundReferenceExpression>();
    reference.index = columns.at(reference.index);
    used.at(reference.index) = true;
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](duckdb::Expression& child) { MoveReferences(child, columns, used); });
}

}  // namespace

ExpressionPtr MoveColumns(const ExpressionPtr& expression, const std::vector<size_t>& columns,
                          std::vector<bool>& used) {
  auto copy = expression->Copy();
  MoveReferences(*copy, columns, used);
  return Own(std::move(copy));
}

const duckdb::LogicalType& TypeOf(const ExpressionPtr& expression) {
  return expression->return_type;
}

}  // namespace weir
