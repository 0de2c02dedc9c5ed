#include "query/shut_in.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/comparison_expression.hpp"
#include "duckdb/parser/expression/conjunction_expression.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/expression/star_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/query_node/recursive_cte_node.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "duckdb/parser/tableref/joinref.hpp"
#include "duckdb/parser/tableref/pivotref.hpp"
#include "duckdb/parser/tableref/showref.hpp"
#include "duckdb/parser/tableref/subqueryref.hpp"
#include "duckdb/parser/tableref/table_function_ref.hpp"
#include "lake/storage.h"

namespace weir {
namespace {

// Table functions that make rows out of their arguments alone.
constexpr std::array<std::string_view, 8> kTableFunctions = {
    "generate_series", "json_each", "json_tree",  "pg_timezone_names",
    "range",           "repeat",    "repeat_row", "unnest"};

// Scalar functions that look at the process, its settings or its files, or bind SQL from text.
constexpr std::array<std::string_view, 13> kForbiddenScalars = {"current_setting",
                                                                "currval",
                                                                "getenv",
                                                                "getvariable",
                                                                "json_deserialize_sql",
                                                                "json_serialize_plan",
                                                                "json_serialize_sql",
                                                                "nextval",
                                                                "query",
                                                                "query_table",
                                                                "read_blob",
                                                                "read_text",
                                                                "write_log"};

template <size_t N>
bool Contains(const std::array<std::string_view, N>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// Those that have no meaning in a query that is kept: nobody asked it, and nobody waits for it.
constexpr std::array<std::string_view, 7> kForbiddenWhenKept = {"current_connection_id",
                                                                "current_query",
                                                                "current_query_id",
                                                                "current_transaction_id",
                                                                "setseed",
                                                                "sleep_ms",
                                                                "txid_current"};

class Walker {
 public:
  Walker(ShutInQuery& query, bool kept) : query_(query), kept_(kept) {}

  void Statement(duckdb::SelectStatement& statement) { Node(*statement.node); }

  // Once all of the query was walked through.
  void FindColumns(const duckdb::SelectStatement& statement) {
    for (auto& name : last_names_) {
      if (rows_.contains(name)) query_.whole = true;  // the row of a relation as a value
    }
    auto& node = *statement.node;
    bool one = reads_ == 1 && node.type == duckdb::QueryNodeType::SELECT_NODE;
    if (!one || !node.cte_map.map.empty()) return;
    auto& select = node.Cast<duckdb::SelectNode>();
    if (select.from_table->type != duckdb::TableReferenceType::BASE_TABLE) return;
    if (select.where_clause) FindEquals(*select.where_clause);
  }

 private:
  void FindEquals(const duckdb::ParsedExpression& condition) {
    if (condition.type == duckdb::ExpressionType::CONJUNCTION_AND) {
      for (auto& child : condition.Cast<duckdb::ConjunctionExpression>().children) {
        FindEquals(*child);
      }
      return;
    }
    if (condition.type != duckdb::ExpressionType::COMPARE_EQUAL) return;
    auto& equal = condition.Cast<duckdb::ComparisonExpression>();
    auto *column = equal.left.get(), *literal = equal.right.get();
    if (column->type == duckdb::ExpressionType::VALUE_CONSTANT) std::swap(column, literal);
    if (column->type != duckdb::ExpressionType::COLUMN_REF ||
        literal->type != duckdb::ExpressionType::VALUE_CONSTANT) {
      return;
    }
    auto& names = column->Cast<duckdb::ColumnRefExpression>().column_names;
    auto& value = literal->Cast<duckdb::ConstantExpression>().value;
    bool is_text = value.type() == duckdb::LogicalType::VARCHAR;
    if (names.size() != 1 || value.IsNull() || (!is_text && !value.type().IsIntegral())) return;
    query_.equals.push_back({Lower(names[0]), value.ToString(), is_text});
  }

  void Node(duckdb::QueryNode& node) {
    for (auto& cte : node.cte_map.map) query_.ctes.insert(Lower(cte.first));
    if (node.type == duckdb::QueryNodeType::RECURSIVE_CTE_NODE) {
      query_.ctes.insert(Lower(node.Cast<duckdb::RecursiveCTENode>().ctename));
    }
    duckdb::ParsedExpressionIterator::EnumerateQueryNodeChildren(
        node, [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { Expression(*child); },
        [&](duckdb::TableRef& ref) { Table(ref); });
    for (auto& cte : node.cte_map.map) CteNames(*cte.second->query->node);
  }

  // The iterator goes into subqueries by itself; only the names they define are left.
  void CteNames(duckdb::QueryNode& node) {
    for (auto& cte : node.cte_map.map) {
      query_.ctes.insert(Lower(cte.first));
      CteNames(*cte.second->query->node);
    }
  }

  void Expression(duckdb::ParsedExpression& expression) {
    using duckdb::ExpressionClass;
    switch (expression.GetExpressionClass()) {
      case ExpressionClass::SUBQUERY:
        Statement(*expression.Cast<duckdb::SubqueryExpression>().subquery);
        break;
      case ExpressionClass::FUNCTION: {
        auto name = Lower(expression.Cast<duckdb::FunctionExpression>().function_name);
        if (Contains(kForbiddenScalars, name)) Forbid("function", name);
        if (kept_ && Contains(kForbiddenWhenKept, name)) {
          throw Error(ErrorCode::kForbidden,
                      "a query that is kept may not use the function \"" + name + "\"",
                      "Its answer does not come from streams, tables and views.");
        }
        if (name == "weir_closed" || name == "weir_on_time") {
          query_.hidden_columns = query_.event_time = true;
        }
        break;
      }
      case ExpressionClass::COLUMN_REF:
        Column(expression.Cast<duckdb::ColumnRefExpression>());
        break;
      case ExpressionClass::STAR:
      case ExpressionClass::POSITIONAL_REFERENCE: query_.whole = true; break;
      default: break;
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression,
        [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { Expression(*child); });
  }

  void Column(duckdb::ColumnRefExpression& column) {
    auto name = Lower(column.GetColumnName());
    for (auto& part : column.column_names) query_.names.insert(Lower(part));
    last_names_.insert(name);
    if (name == kOffsetName || name == kArrivalTimeName) query_.hidden_columns = true;
    if (name == "_watermark") query_.hidden_columns = query_.event_time = true;
  }

  void Table(duckdb::TableRef& ref) {
    using duckdb::TableReferenceType;
    switch (ref.type) {
      case TableReferenceType::BASE_TABLE: {
        auto& base = ref.Cast<duckdb::BaseTableRef>();
        Relation(base.catalog_name, base.schema_name, base.table_name);
        reads_++;
        rows_.insert(Lower(base.alias.empty() ? base.table_name : base.alias));
        if (!base.column_name_alias.empty()) query_.whole = true;
        break;
      }
      case TableReferenceType::JOIN: {
        auto& join = ref.Cast<duckdb::JoinRef>();
        for (auto& name : join.using_columns) query_.names.insert(Lower(name));
        if (join.ref_type == duckdb::JoinRefType::NATURAL) query_.whole = true;
        break;
      }
      case TableReferenceType::TABLE_FUNCTION: {
        auto& function =
            ref.Cast<duckdb::TableFunctionRef>().function->Cast<duckdb::FunctionExpression>();
        auto name = Lower(function.function_name);
        if (!Contains(kTableFunctions, name)) Forbid("table function", name);
        break;
      }
      case TableReferenceType::SHOW_REF:
        query_.whole = true;
        Show(ref.Cast<duckdb::ShowRef>());
        break;
      case TableReferenceType::PIVOT:
        query_.whole = true;
        Pivot(ref.Cast<duckdb::PivotRef>());
        break;
      case TableReferenceType::SUBQUERY: {
        auto& node = *ref.Cast<duckdb::SubqueryRef>().subquery->node;
        for (auto& cte : node.cte_map.map) query_.ctes.insert(Lower(cte.first));
        CteNames(node);
        break;
      }
      default: break;
    }
  }

  void Relation(const std::string& catalog, const std::string& schema, const std::string& name) {
    if (!catalog.empty() || (!schema.empty() && Lower(schema) != "main")) {
      throw Error(ErrorCode::kForbidden,
                  "a query may not read \"" + (catalog.empty() ? "" : catalog + ".") + schema +
                      "." + name + "\"",
                  "Streams and views are named without a schema; SHOW TABLES lists them.");
    }
    query_.relations.insert(Lower(name));
  }

  void Show(duckdb::ShowRef& show) {
    if (show.query) {
      Node(*show.query);
    } else if (show.show_type == duckdb::ShowType::DESCRIBE ||
               show.show_type == duckdb::ShowType::SUMMARY) {
      Relation(show.catalog_name, show.schema_name, show.table_name);
    } else {
      throw Error(ErrorCode::kForbidden, "a query may not list the tables of the batch engine",
                  "SHOW STREAMS and SHOW VIEWS are statements of their own.");
    }
  }

  // What the iterator leaves out of PIVOT and UNPIVOT.
  void Pivot(duckdb::PivotRef& pivot) {
    for (auto& column : pivot.pivots) {
      for (auto& expression : column.pivot_expressions) Expression(*expression);
      for (auto& entry : column.entries) {
        if (entry.expr) Expression(*entry.expr);
      }
      if (column.subquery) Node(*column.subquery);
    }
  }

  [[noreturn]] static void Forbid(const std::string& kind, const std::string& name) {
    throw Error(ErrorCode::kForbidden, "a query may not use the " + kind + " \"" + name + "\"",
                "Queries read streams and views only: no files, settings or other processes.");
  }

  ShutInQuery& query_;
  bool kept_;
  int reads_ = 0;
  std::set<std::string> rows_;        // by these names a relation's row is a value
  std::set<std::string> last_names_;  // the last parts of the names of columns
};

std::vector<duckdb::unique_ptr<duckdb::SQLStatement>> Parse(const duckdb::ParserOptions& options,
                                                            const std::string& sql) {
  try {
    // Not Connection::ExtractStatements: that loses where in the text an error is.
    duckdb::Parser parser(options);
    parser.ParseQuery(sql);
    return {std::make_move_iterator(parser.statements.begin()),
            std::make_move_iterator(parser.statements.end())};
  } catch (...) {
    throw SqlErrorFromDuck(sql);
  }
}

ShutInQuery ParseWith(const duckdb::ParserOptions& options, const std::string& sql, bool kept) {
  auto statements = Parse(options, sql);
  if (statements.empty()) throw Error(ErrorCode::kInvalidSql, "there is no statement to run");
  if (statements.size() > 1) {
    throw Error(ErrorCode::kInvalidSql,
                "one request runs one query, this one has " + std::to_string(statements.size()),
                "Send each statement in a request of its own.");
  }
  auto type = statements[0]->type;
  if (type == duckdb::StatementType::MULTI_STATEMENT) {
    throw Error(ErrorCode::kInvalidSql, "a PIVOT names the values it makes columns of",
                "Say PIVOT ... ON column IN (values).");
  }
  if (type == duckdb::StatementType::INSERT_STATEMENT ||
      type == duckdb::StatementType::UPDATE_STATEMENT ||
      type == duckdb::StatementType::DELETE_STATEMENT) {
    throw Error(ErrorCode::kInvalidSql, "WITH does not stand before a statement that writes",
                "It stands inside: INSERT INTO name WITH ... SELECT ...");
  }
  if (type != duckdb::StatementType::SELECT_STATEMENT) {
    throw Error(ErrorCode::kForbidden,
                "a query may not " + duckdb::StringUtil::Lower(duckdb::StringUtil::Split(
                                         sql.substr(sql.find_first_not_of(" \t\r\n(;")), ' ')[0]),
                "Queries are read-only: SELECT, WITH, FROM, VALUES, DESCRIBE or SUMMARIZE.");
  }
  ShutInQuery query;
  std::string text = Lower(sql);
  query.limited = text.find("limit") != text.npos || text.find("fetch") != text.npos;
  auto* select = static_cast<duckdb::SelectStatement*>(statements[0].release());
  query.statement.reset(select);
  Walker walker(query, kept);
  try {
    walker.Statement(*select);
    walker.FindColumns(*select);
  } catch (const Error&) {
    throw;
  } catch (...) {
    throw SqlErrorFromDuck(sql);  // a kind of node the iterator does not know
  }
  return query;
}

}  // namespace

ShutInQuery ParseShutIn(duckdb::Connection& connection, const KernelSql& sql) {
  return ParseWith(connection.context->GetParserOptions(), sql.text, false);
}

void CheckShutIn(const KernelSql& sql) { ParseWith(duckdb::ParserOptions(), sql.text, true); }

bool IsBuiltIn(const std::string& relation) {
  constexpr std::string_view kPrefixes[] = {"duckdb_", "pragma_", "sqlite_"};
  return std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                     [&](auto prefix) { return relation.starts_with(prefix); });
}

}  // namespace weir
