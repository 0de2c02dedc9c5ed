#include "sql/estimates.h"

#include "base/text.h"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref.hpp"

namespace weir {

bool NamesEstimate(std::string_view sql) {
  auto text = Lower(sql);
  return text.find("approx_quantile") != std::string::npos ||
         text.find("reservoir_quantile") != std::string::npos;
}

std::vector<bool> EstimatedColumns(const KernelSql& query, size_t columns) {
  if (!NamesEstimate(query.text)) return std::vector<bool>(columns, false);
  std::vector<bool> all(columns, true);
  duckdb::Parser parser;
  parser.ParseQuery(query.text);
  if (parser.statements.size() != 1 ||
      parser.statements[0]->type != duckdb::StatementType::SELECT_STATEMENT) {
    return all;
  }
  auto& node = *parser.statements[0]->Cast<duckdb::SelectStatement>().node;
  if (node.type != duckdb::QueryNodeType::SELECT_NODE || !node.cte_map.map.empty()) return all;
  auto& select = node.Cast<duckdb::SelectNode>();
  if (select.select_list.size() != columns) return all;
  if (select.from_table && NamesEstimate(select.from_table->ToString())) return all;
  std::vector<bool> estimated;
  for (auto& item : select.select_list) {
    if (item->GetExpressionClass() == duckdb::ExpressionClass::STAR) return all;
    estimated.push_back(NamesEstimate(item->ToString()));
  }
  return estimated;
}

}  // namespace weir
