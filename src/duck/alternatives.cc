#include "duck/alternatives.h"

#include <algorithm>
#include <cstring>

#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionClass;

// Of a row, roughly: only which of two conditions is much cheaper counts.
int CostOf(const Expression& expression) {
  int cost = 1;
  switch (expression.GetExpressionClass()) {
    case ExpressionClass::BOUND_REF:
    case ExpressionClass::BOUND_CONSTANT: cost = 0; break;
    case ExpressionClass::BOUND_FUNCTION: {
      auto& name = expression.Cast<duckdb::BoundFunctionExpression>().function.name;
      cost = name.starts_with("regexp") ? 50 : 5;
      break;
    }
    case ExpressionClass::BOUND_CAST: cost = 5; break;
    default: break;
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const Expression& child) { cost += CostOf(child); });
  return cost;
}

}  // namespace

Alternatives::Alternatives(duckdb::ClientContext& context,
                           const duckdb::BoundConjunctionExpression& any) {
  std::vector<const Expression*> children;
  for (auto& child : any.children) children.push_back(child.get());
  // A row for which one holds is not asked of those behind it, and does not fail there.
  if (!any.CanThrow() && !any.IsVolatile()) {
    std::stable_sort(children.begin(), children.end(),
                     [](auto* a, auto* b) { return CostOf(*a) < CostOf(*b); });
  }
  for (auto* child : children) {
    auto& condition = conditions_.emplace_back();
    condition.executor = std::make_unique<duckdb::ExpressionExecutor>(context, *child);
    condition.is_call = child->GetExpressionClass() == ExpressionClass::BOUND_FUNCTION;
  }
  values_.Initialize(duckdb::Allocator::DefaultAllocator(), {duckdb::LogicalType::BOOLEAN});
}

duckdb::idx_t Alternatives::Select(duckdb::DataChunk& rows, duckdb::SelectionVector& selection) {
  auto count = rows.size();
  std::memset(holds_, false, count);
  duckdb::optional_ptr<duckdb::SelectionVector> asked;
  duckdb::idx_t left = count;
  for (size_t i = 0; i < conditions_.size() && left > 0; i++) {
    auto& condition = conditions_[i];
    auto& others = left_over_[i % 2];
    if (i == 0 && condition.is_call) {
      left = SelectByValues(condition, rows, others);
    } else {
      auto found = condition.executor->SelectExpression(rows, found_, others, asked, left);
      for (duckdb::idx_t row = 0; row < found; row++) holds_[found_.get_index(row)] = true;
      left -= found;
    }
    asked = others;
  }
  duckdb::idx_t kept = 0;
  for (duckdb::idx_t row = 0; row < count; row++) {
    selection.set_index(kept, row);
    kept += holds_[row];
  }
  return kept;
}

// Marks the rows that hold; returns how many others there are.  Without the branch on each row that
// DuckDB has here, which no processor guesses.
duckdb::idx_t Alternatives::SelectByValues(Condition& condition, duckdb::DataChunk& rows,
                                           duckdb::SelectionVector& others) {
  values_.Reset();
  auto& column = values_.data[0];
  condition.executor->ExecuteExpression(rows, column);
  duckdb::UnifiedVectorFormat format;
  column.ToUnifiedFormat(rows.size(), format);
  // As bytes: what stands under a NULL is anything, and no bool.
  auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<uint8_t>(format);
  bool all_valid = format.validity.AllValid();
  duckdb::idx_t left = 0;
  for (duckdb::idx_t row = 0; row < rows.size(); row++) {
    auto index = format.sel->get_index(row);
    bool holds = values[index] != 0 && (all_valid || format.validity.RowIsValid(index));
    holds_[row] = holds;
    others.set_index(left, row);
    left += !holds;
  }
  return left;
}

}  // namespace weir
