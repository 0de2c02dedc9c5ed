// Tables that never change: VALUES, long IN lists, table functions of constants.
#include <algorithm>
#include <set>

#include "duck/batch_plan.h"
#include "duck/plan/translator.h"
#include "duckdb/planner/expression/bound_constant_expression.hpp"

namespace weir {
namespace {

using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;

bool IsConstant(const LogicalOperator& op) {
  switch (op.type) {
    case LogicalOperatorType::LOGICAL_DUMMY_SCAN:
    case LogicalOperatorType::LOGICAL_EXPRESSION_GET:
    case LogicalOperatorType::LOGICAL_PROJECTION: break;
    default: return false;
  }
  for (auto& expression : op.expressions) {
    if (expression->IsVolatile()) return false;
  }
  return std::all_of(op.children.begin(), op.children.end(),
                     [](auto& child) { return IsConstant(*child); });
}

void AddRows(duckdb::DataChunk& rows, PlanNode& constant) {
  for (duckdb::idx_t row = 0; row < rows.size(); row++) {
    auto& values = constant.rows.emplace_back();
    for (auto& column : rows.data) values.push_back(column.GetValue(row));
  }
}

}  // namespace

// A function of constants alone has always the same rows.
NodePtr Translator::TableFunction(duckdb::LogicalGet& get) {
  static const std::set<std::string> known = {"range", "generate_series", "repeat", "unnest"};
  constexpr size_t kMostRows = 1'000'000;
  bool constant = known.contains(get.function.name);
  for (auto& child : get.children) constant = constant && IsConstant(*child);
  if (!constant && get.children.size() == 1) return OfEachRow(get);
  if (!constant) return Unsupported(get, "the table function " + get.function.name);
  auto node = Make(PlanNode::Kind::kConstant, get);
  auto pattern = std::make_shared<BatchPattern>();
  pattern->root = get.Copy(session_.context());
  BatchRunner::Inputs none;
  BatchRunner(session_, pattern).RunWhile(none, [&](duckdb::DataChunk& rows) {
    AddRows(rows, *node);
    return node->rows.size() <= kMostRows;
  });
  if (node->rows.size() <= kMostRows) return node;
  return Unsupported(get, "the table function " + get.function.name + " with over a million rows");
}

NodePtr Translator::Constant(const LogicalOperator& op) {
  return Make(PlanNode::Kind::kConstant, op);
}

NodePtr Translator::DummyScan(const LogicalOperator& op) {
  auto node = Make(PlanNode::Kind::kConstant, op);
  std::vector<duckdb::Value> row;
  for (auto& type : node->types) row.emplace_back(duckdb::Value(type));
  node->rows.push_back(std::move(row));
  return node;
}

// What DuckDB makes of a long IN (1, 2, ...).
NodePtr Translator::Rows(duckdb::LogicalColumnDataGet& get) {
  auto node = Make(PlanNode::Kind::kConstant, get);
  for (auto& chunk : get.collection->Chunks()) AddRows(chunk, *node);
  return node;
}

NodePtr Translator::Values(LogicalOperator& op) {
  auto& get = op.Cast<duckdb::LogicalExpressionGet>();
  auto node = Make(PlanNode::Kind::kConstant, op);
  for (auto& expressions : get.expressions) {
    std::vector<duckdb::Value> row;
    for (auto& expression : expressions) {
      if (expression->GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) {
        return Unsupported(op, "VALUES with expressions");
      }
      row.push_back(expression->Cast<duckdb::BoundConstantExpression>().value);
    }
    node->rows.push_back(std::move(row));
  }
  return node;
}

}  // namespace weir
