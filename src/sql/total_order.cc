#include "sql/total_order.h"

#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/result_modifier.hpp"
#include "duckdb/parser/statement/select_statement.hpp"

namespace weir {

KernelSql WithTotalOrder(const KernelSql& query, size_t columns) {
  duckdb::Parser parser;
  parser.ParseQuery(query.text);
  if (parser.statements.size() != 1 ||
      parser.statements[0]->type != duckdb::StatementType::SELECT_STATEMENT) {
    return query;
  }
  auto& node = *parser.statements[0]->Cast<duckdb::SelectStatement>().node;
  duckdb::OrderModifier* order = nullptr;
  bool limited = false;
  for (auto& modifier : node.modifiers) {
    if (modifier->type == duckdb::ResultModifierType::ORDER_MODIFIER) {
      order = &modifier->Cast<duckdb::OrderModifier>();
    }
    limited |= modifier->type == duckdb::ResultModifierType::LIMIT_MODIFIER;
  }
  if (!order || !limited) return query;
  // ORDER BY ALL is by all of them.
  bool by_all = order->orders.size() == 1 &&
                order->orders[0].expression->GetExpressionClass() == duckdb::ExpressionClass::STAR;
  if (by_all) return query;
  for (size_t column = 1; column <= columns; column++) {
    order->orders.emplace_back(duckdb::OrderType::ASCENDING, duckdb::OrderByNullType::NULLS_LAST,
                               duckdb::make_uniq<duckdb::ConstantExpression>(
                                   duckdb::Value::INTEGER(static_cast<int32_t>(column))));
  }
  return KernelSql(parser.statements[0]->ToString());
}

}  // namespace weir
