#include "duck/column_equals.h"

#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"

namespace weir {
namespace {

bool HasOneForm(duckdb::PhysicalType type) {
  switch (type) {
    case duckdb::PhysicalType::INT8:
    case duckdb::PhysicalType::INT16:
    case duckdb::PhysicalType::INT32:
    case duckdb::PhysicalType::INT64:
    case duckdb::PhysicalType::UINT8:
    case duckdb::PhysicalType::UINT16:
    case duckdb::PhysicalType::UINT32:
    case duckdb::PhysicalType::UINT64:
    case duckdb::PhysicalType::INT128:
    case duckdb::PhysicalType::VARCHAR: return true;
    default: return false;
  }
}

}  // namespace

std::optional<ColumnEquals> AsColumnEquals(const duckdb::Expression& predicate) {
  using duckdb::ExpressionClass;
  if (predicate.type != duckdb::ExpressionType::COMPARE_EQUAL) return std::nullopt;
  auto& comparison = predicate.Cast<duckdb::BoundComparisonExpression>();
  const duckdb::Expression* column = comparison.left.get();
  const duckdb::Expression* constant = comparison.right.get();
  if (column->GetExpressionClass() == ExpressionClass::BOUND_CONSTANT) std::swap(column, constant);
  if (column->GetExpressionClass() != ExpressionClass::BOUND_REF ||
      constant->GetExpressionClass() != ExpressionClass::BOUND_CONSTANT ||
      column->return_type != constant->return_type ||
      !HasOneForm(column->return_type.InternalType())) {
    return std::nullopt;
  }
  auto& value = constant->Cast<duckdb::BoundConstantExpression>().value;
  if (value.IsNull()) return std::nullopt;
  return ColumnEquals{column->Cast<duckdb::BoundReferenceExpression>().index, value};
}

}  // namespace weir
