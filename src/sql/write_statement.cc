#include "sql/write_statement.h"

#include "base/error.h"
#include "duckdb/common/error_data.hpp"
#include "duckdb/common/string_util.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/default_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/delete_statement.hpp"
#include "duckdb/parser/statement/insert_statement.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/statement/update_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "duckdb/parser/tableref/expressionlistref.hpp"
#include "sql/kernel_sql.h"

namespace weir {
namespace {

using ExpressionPlace = duckdb::unique_ptr<duckdb::ParsedExpression>;

[[noreturn]] void Refuse(const std::string& message) { throw WriteError{0, message}; }

// No column has a default but NULL.
void ReplaceDefault(ExpressionPlace& place) {
  if (place->GetExpressionClass() != duckdb::ExpressionClass::DEFAULT) return;
  place = duckdb::make_uniq<duckdb::ConstantExpression>(duckdb::Value());
}

// In DO UPDATE a name alone is the table's, not that of the row that wants in.
void QualifyColumns(duckdb::ParsedExpression& expression, const std::string& table) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF) {
    auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
    if (names.size() == 1) names.insert(names.begin(), table);
    return;
  }
  duckdb::ParsedExpressionIterator::EnumerateChildren(
      expression, [&](duckdb::ParsedExpression& child) { QualifyColumns(child, table); });
}

std::vector<Assignment> Assignments(duckdb::UpdateSetInfo& set) {
  std::vector<Assignment> assignments;
  for (size_t i = 0; i < set.columns.size(); i++) {
    ReplaceDefault(set.expressions[i]);
    assignments.push_back({set.columns[i], set.expressions[i]->ToString()});
  }
  return assignments;
}

void CheckPlain(const duckdb::CommonTableExpressionMap& ctes,
                const duckdb::vector<ExpressionPlace>& returning) {
  if (!ctes.map.empty()) Refuse("WITH stands inside: INSERT INTO name WITH ... SELECT ...");
  if (!returning.empty()) Refuse("RETURNING is not supported; read the rows with a query");
}

duckdb::BaseTableRef& TableOf(duckdb::TableRef& ref) {
  if (ref.type != duckdb::TableReferenceType::BASE_TABLE) Refuse("expected the name of a table");
  return ref.Cast<duckdb::BaseTableRef>();
}

Insert FromDuck(duckdb::InsertStatement& statement) {
  CheckPlain(statement.cte_map, statement.returning_list);
  Insert insert;
  insert.table = statement.table;
  bool renamed = statement.table_ref && !statement.table_ref->alias.empty();
  insert.alias = renamed ? statement.table_ref->alias : insert.table;
  insert.columns.assign(statement.columns.begin(), statement.columns.end());
  insert.by_name = statement.column_order == duckdb::InsertColumnOrder::INSERT_BY_NAME;
  if (!statement.default_values) {
    if (auto list = statement.GetValuesList()) {
      for (auto& row : list->values) {
        auto& values = insert.values.emplace_back();
        for (auto& value : row) {
          ReplaceDefault(value);
          values.push_back(value->ToString());
        }
      }
    } else {
      insert.query = statement.select_statement->ToString();
    }
  }
  if (!statement.on_conflict_info) return insert;
  auto& conflict = *statement.on_conflict_info;
  insert.conflict_columns.assign(conflict.indexed_columns.begin(), conflict.indexed_columns.end());
  if (conflict.condition)
    Refuse("ON CONFLICT (...) WHERE is for partial indexes, of which there are none");
  switch (conflict.action_type) {
    case duckdb::OnConflictAction::THROW: break;
    case duckdb::OnConflictAction::NOTHING:
      insert.on_conflict = Insert::OnConflict::kNothing;
      break;
    case duckdb::OnConflictAction::REPLACE:
      insert.on_conflict = Insert::OnConflict::kReplace;
      break;
    case duckdb::OnConflictAction::UPDATE: {
      insert.on_conflict = Insert::OnConflict::kUpdate;
      auto& set = *conflict.set_info;
      for (auto& value : set.expressions) {
        ReplaceDefault(value);
        QualifyColumns(*value, insert.alias);
      }
      insert.set = Assignments(set);
      if (set.condition) {
        QualifyColumns(*set.condition, insert.alias);
        insert.where = set.condition->ToString();
      }
      break;
    }
  }
  return insert;
}

Update FromDuck(duckdb::UpdateStatement& statement) {
  CheckPlain(statement.cte_map, statement.returning_list);
  auto& table = TableOf(*statement.table);
  Update update;
  update.table = table.table_name;
  update.alias = table.alias.empty() ? table.table_name : table.alias;
  update.set = Assignments(*statement.set_info);
  if (statement.from_table) update.from = statement.from_table->ToString();
  if (statement.set_info->condition) update.where = statement.set_info->condition->ToString();
  return update;
}

Delete FromDuck(duckdb::DeleteStatement& statement) {
  CheckPlain(statement.cte_map, statement.returning_list);
  auto& table = TableOf(*statement.table);
  Delete erase;
  erase.table = table.table_name;
  erase.alias = table.alias.empty() ? table.table_name : table.alias;
  for (auto& ref : statement.using_clauses) {
    erase.from += (erase.from.empty() ? "" : ", ") + ref->ToString();
  }
  if (statement.condition) erase.where = statement.condition->ToString();
  return erase;
}

}  // namespace

WriteStatement ParseWrite(const std::string& text) {
  duckdb::Parser parser;
  try {
    parser.ParseQuery(ToKernelSql(text).text);
  } catch (const Error& error) {
    throw WriteError{0, error.message};
  } catch (const std::exception& exception) {
    duckdb::ErrorData data(exception);
    auto found = data.ExtraInfo().find("position");
    size_t position = found == data.ExtraInfo().end() ? 0 : std::stoul(found->second);
    auto& message = data.RawMessage();
    throw WriteError{position, message.substr(0, message.find('\n'))};
  }
  if (parser.statements.size() != 1) Refuse("expected one statement");
  auto& statement = *parser.statements[0];
  switch (statement.type) {
    case duckdb::StatementType::INSERT_STATEMENT:
      return FromDuck(statement.Cast<duckdb::InsertStatement>());
    case duckdb::StatementType::UPDATE_STATEMENT:
      return FromDuck(statement.Cast<duckdb::UpdateStatement>());
    case duckdb::StatementType::DELETE_STATEMENT:
      return FromDuck(statement.Cast<duckdb::DeleteStatement>());
    default: Refuse("expected INSERT, UPDATE, DELETE or TRUNCATE");
  }
}

}  // namespace weir
