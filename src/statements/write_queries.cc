#include "statements/write_queries.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "lake/storage.h"

namespace weir {
namespace {

size_t ColumnOf(const Stream& stream, const std::string& name) {
  auto column = stream.Find(name);
  if (column && *column < stream.VisibleColumns()) return *column;
  std::vector<std::string_view> names;
  for (size_t i = 0; i < stream.VisibleColumns(); i++) names.push_back(stream.columns[i].name);
  auto nearest = NearestName(name, names.data(), names.data() + names.size());
  throw Error(ErrorCode::kInvalidSql, "\"" + stream.name + "\" has no column \"" + name + "\"",
              nearest.empty() ? "DESCRIBE " + stream.name + " lists them."
                              : "Did you mean \"" + nearest + "\"?");
}

std::string Cast(const Stream& stream, size_t column, const std::string& value) {
  return "CAST(" + value + " AS " + stream.columns[column].type.ToString() + ")";
}

std::string Named(const Stream& stream, size_t column) {
  return QuotedName(stream.columns[column].name);
}

void Add(std::string& list, const std::string& part, const char* between = ", ") {
  if (!list.empty()) list += between;
  list += part;
}

// left.key = right.key AND ...
std::string KeysEqual(const Stream& table, const std::string& left, const std::string& right) {
  std::string condition;
  for (size_t key : table.primary_key) {
    Add(condition, left + "." + Named(table, key) + " = " + right + "." + Named(table, key),
        " AND ");
  }
  return condition;
}

std::string KeyList(const Stream& table, const std::string& from) {
  std::string list;
  for (size_t key : table.primary_key) Add(list, from + "." + Named(table, key));
  return list;
}

// Each value is cast by itself: as one list DuckDB would first find a type that fits all rows, and
// 3 and '4.5' are whole numbers together.
std::string ValuesList(const Stream& stream, const Insert& insert,
                       const std::vector<size_t>& given) {
  std::string list;
  for (auto& row : insert.values) {
    if (row.size() != given.size()) {
      throw Error(ErrorCode::kInvalidSql, "the statement gives " + std::to_string(row.size()) +
                                              " values for " + std::to_string(given.size()) +
                                              " columns of \"" + stream.name + "\"");
    }
    std::string values;
    for (size_t i = 0; i < row.size(); i++) Add(values, Cast(stream, given[i], row[i]));
    Add(list, "(" + values + ")");
  }
  return "VALUES " + list;
}

// The rows that want in, each value of its column's type.
std::string NewRows(const Stream& stream, const Insert& insert) {
  std::vector<size_t> given;
  for (auto& name : insert.columns) {
    size_t column = ColumnOf(stream, name);
    if (std::find(given.begin(), given.end(), column) != given.end()) {
      throw Error(ErrorCode::kInvalidSql, "column \"" + name + "\" is given twice");
    }
    given.push_back(column);
  }
  if (insert.columns.empty()) {
    for (size_t i = 0; i < stream.VisibleColumns(); i++) given.push_back(i);
  }
  std::string query = insert.values.empty() ? insert.query : ValuesList(stream, insert, given);
  std::string names, values, nothing;
  for (size_t column : given) Add(names, Named(stream, column));
  for (size_t i = 0; i < stream.VisibleColumns(); i++) {
    bool is_given = std::find(given.begin(), given.end(), i) != given.end();
    std::string value = is_given && !query.empty() ? "row." + Named(stream, i) : "NULL";
    Add(values, Cast(stream, i, value) + " AS " + Named(stream, i));
    Add(nothing, "NULL AS " + Named(stream, i));
  }
  if (query.empty()) return "SELECT " + values;
  if (insert.by_name) {  // what the query does not name is NULL
    return "SELECT " + values + ", row.* EXCLUDE (" + names + ") FROM (SELECT * FROM (" + query +
           ") UNION ALL BY NAME SELECT " + nothing + " WHERE false) AS row";
  }
  return "SELECT " + values + ", row.* EXCLUDE (" + names + ") FROM (" + query + ") AS row(" +
         names + ")";
}

// The table's rows with a mark that one was found.
std::string OldRows(const Stream& table, bool keys_only) {
  std::string list;
  for (size_t i = 0; i < table.VisibleColumns(); i++) {
    if (!keys_only || table.IsKey(i)) Add(list, Named(table, i));
  }
  return "(SELECT " + list + ", true AS weir_found FROM " + QuotedName(table.name) + ")";
}

void CheckConflictColumns(const Stream& table, const Insert& insert) {
  if (insert.conflict_columns.empty()) return;
  std::vector<size_t> named, key = table.primary_key;
  for (auto& name : insert.conflict_columns) named.push_back(ColumnOf(table, name));
  std::sort(named.begin(), named.end());
  std::sort(key.begin(), key.end());
  if (named != key) {
    throw Error(ErrorCode::kInvalidSql,
                "ON CONFLICT names other columns than the primary key of \"" + table.name + "\"",
                "Only the primary key can be in conflict; leave the columns out.");
  }
}

std::string SelectOnConflictUpdate(const Stream& table, const Insert& insert) {
  std::vector<std::string> values(table.VisibleColumns());
  std::string old = QuotedName(insert.alias);
  for (auto& assignment : insert.set) {
    size_t column = ColumnOf(table, assignment.column);
    if (table.IsKey(column)) {
      throw Error(ErrorCode::kInvalidSql, "DO UPDATE may not change the key of a row");
    }
    values[column] = Cast(table, column, assignment.value);
  }
  std::string list;
  for (size_t i = 0; i < values.size(); i++) {
    std::string kept = values[i].empty() ? old + "." + Named(table, i) : values[i];
    Add(list, "CASE WHEN " + old + ".weir_found THEN " + kept + " ELSE excluded." +
                  Named(table, i) + " END AS " + Named(table, i));
  }
  std::string all;
  for (size_t i = 0; i < values.size(); i++) Add(all, Named(table, i));
  std::string where =
      insert.where.empty() ? "" : " WHERE " + old + ".weir_found IS NULL OR (" + insert.where + ")";
  return "SELECT " + list + ", excluded.* EXCLUDE (" + all + "), " + old +
         ".weir_found IS NOT NULL AS weir_taken FROM (" + NewRows(table, insert) +
         ") AS excluded LEFT JOIN " + OldRows(table, false) + " AS " + old + " ON " +
         KeysEqual(table, old, "excluded") + where;
}

}  // namespace

std::string InsertQuery(const Stream& stream, const Insert& insert) {
  if (!stream.IsTable()) {
    if (insert.on_conflict != Insert::OnConflict::kError) {
      throw Error(ErrorCode::kInvalidSql,
                  "events of a stream have no key and are never in conflict",
                  "ON CONFLICT is for tables.");
    }
    return NewRows(stream, insert);
  }
  CheckConflictColumns(stream, insert);
  switch (insert.on_conflict) {
    case Insert::OnConflict::kReplace:
      return "SELECT excluded.*, false AS weir_taken FROM (" + NewRows(stream, insert) +
             ") AS excluded";
    case Insert::OnConflict::kUpdate: return SelectOnConflictUpdate(stream, insert);
    default:
      return "SELECT excluded.*, old.weir_found IS NOT NULL AS weir_taken FROM (" +
             NewRows(stream, insert) + ") AS excluded LEFT JOIN " + OldRows(stream, true) +
             " AS old ON " + KeysEqual(stream, "old", "excluded");
  }
}

std::string UpdateQuery(const Stream& table, const Update& update) {
  std::string alias = QuotedName(update.alias);
  std::vector<std::string> values(table.VisibleColumns());
  bool moves = false;
  for (auto& assignment : update.set) {
    size_t column = ColumnOf(table, assignment.column);
    if (!values[column].empty()) {
      throw Error(ErrorCode::kInvalidSql, "column \"" + assignment.column + "\" is set twice");
    }
    values[column] = Cast(table, column, assignment.value);
    moves = moves || table.IsKey(column);
  }
  std::string list;
  for (size_t i = 0; i < table.primary_key.size(); i++) {
    Add(list,
        alias + "." + Named(table, table.primary_key[i]) + " AS weir_old_" + std::to_string(i));
  }
  for (size_t i = 0; i < values.size(); i++) {
    Add(list,
        (values[i].empty() ? alias + "." + Named(table, i) : values[i]) + " AS " + Named(table, i));
  }
  std::string rows = "SELECT " + list + " FROM " + QuotedName(table.name) + " AS " + alias;
  if (!update.from.empty()) rows += ", " + update.from;
  if (!update.where.empty()) rows += " WHERE " + update.where;
  std::string taken = "false";
  if (moves) {
    taken = "EXISTS (SELECT 1 FROM " + QuotedName(table.name) + " AS weir_other WHERE " +
            KeysEqual(table, "weir_other", "row") + ")";
  }
  return "SELECT row.*, " + taken + " AS weir_taken FROM (" + rows + ") AS row";
}

std::string DeleteQuery(const Stream& table, const Delete& erase) {
  std::string alias = QuotedName(erase.alias);
  std::string query = "SELECT DISTINCT " + KeyList(table, alias) + " FROM " +
                      QuotedName(table.name) + " AS " + alias;
  if (!erase.from.empty()) query += ", " + erase.from;
  if (!erase.where.empty()) query += " WHERE " + erase.where;
  return query;
}

std::string DifferenceQuery(const Stream& table, const std::string& file) {
  std::string values, nothing, list, differs;
  for (size_t i = 0; i < table.VisibleColumns(); i++) {
    std::string name = Named(table, i);
    Add(values, Cast(table, i, "row." + name) + " AS " + name);
    Add(nothing, "NULL AS " + name);
    Add(list,
        (table.IsKey(i) ? "coalesce(fresh." + name + ", old." + name + ")" : "fresh." + name) +
            " AS " + name);
    Add(differs, "fresh." + name + " IS DISTINCT FROM old." + name, " OR ");
  }
  std::string fresh = "(SELECT " + values + ", true AS weir_there FROM (SELECT * FROM " +
                      QuotedName(file) + " UNION ALL BY NAME SELECT " + nothing +
                      " WHERE false) AS row)";
  std::string counted = "(SELECT *, count(*) OVER (PARTITION BY " + KeyList(table, "inside") +
                        ") AS weir_copies FROM " + fresh + " AS inside)";
  return "SELECT " + list +
         ", fresh.weir_there IS NULL AS weir_gone, coalesce(fresh.weir_copies, 0) AS weir_copies "
         "FROM " +
         counted + " AS fresh FULL JOIN " + OldRows(table, false) + " AS old ON " +
         KeysEqual(table, "fresh", "old") +
         " WHERE fresh.weir_there IS NULL OR old.weir_found IS NULL OR fresh.weir_copies > 1 OR " +
         differs;
}

}  // namespace weir
