#include "sql/names_in.h"

#include <algorithm>

#include "duckdb/common/string_util.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"

namespace weir {
namespace {

void CollectNames(duckdb::QueryNode& node, std::vector<std::string>& names);

// Subqueries stand inside expressions.
void CollectNames(duckdb::ParsedExpression& expression, std::vector<std::string>& names) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
    CollectNames(*expression.Cast<duckdb::SubqueryExpression>().subquery->node, names);
  }
  duckdb::ParsedExpressionIterator::EnumerateChildren(
      expression, [&](duckdb::ParsedExpression& child) { CollectNames(child, names); });
}

void CollectNames(duckdb::QueryNode& node, std::vector<std::string>& names) {
  duckdb::ParsedExpressionIterator::EnumerateQueryNodeChildren(
      node,
      [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { CollectNames(*child, names); },
      [&](duckdb::TableRef& ref) {
        if (ref.type == duckdb::TableReferenceType::BASE_TABLE) {
          names.push_back(duckdb::StringUtil::Lower(ref.Cast<duckdb::BaseTableRef>().table_name));
        }
      });
}

}  // namespace

std::vector<std::string> NamesIn(const KernelSql& query) {
  std::vector<std::string> names;
  try {
    duckdb::Parser parser;
    parser.ParseQuery(query.text);
    for (auto& statement : parser.statements) {
      if (statement->type != duckdb::StatementType::SELECT_STATEMENT) continue;
      CollectNames(*statement->Cast<duckdb::SelectStatement>().node, names);
    }
  } catch (const std::exception&) {
    // What does not parse names nothing.
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace weir
