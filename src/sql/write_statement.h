// Statements that write rows, parsed: DuckDB's grammar taken apart into the query that says which
// rows, and what is to be done with them.  Parts are SQL text again, for the batch engine.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/kernel_sql.h"

namespace weir {

struct Assignment {
  std::string column;
  std::string value;  // an expression
};

struct Insert {
  enum class OnConflict { kError, kNothing, kReplace, kUpdate };
  std::string table, alias;                      // alias: what expressions call the table
  std::vector<std::string> columns;              // none: all, in order
  bool by_name = false;                          // the query's names are the columns
  std::string query;                             // "" for DEFAULT VALUES and for `values`
  std::vector<std::vector<std::string>> values;  // expressions, when that is all there is
  OnConflict on_conflict = OnConflict::kError;
  std::vector<std::string> conflict_columns;  // as named; none: the primary key
  std::vector<Assignment> set;                // kUpdate
  std::string where;                          // kUpdate: "" for always
  // For one that stands: the whole and its query as written, and the query for the kernel.
  std::string text, query_text;
  KernelSql kernel_sql;
};

struct Update {
  std::string table, alias;  // alias: what expressions call the table
  std::vector<Assignment> set;
  std::string from;   // "" or more tables
  std::string where;  // "" for all rows
};

struct Delete {
  std::string table, alias;
  std::string from;  // "" or more tables (USING)
  std::string where;
};

struct CopyFrom {
  std::string table;
  std::vector<std::string> columns;
  std::string path;
  std::string format;  // csv, parquet, json; "" goes by the file's name
  bool header = true;
  std::string delimiter = ",";
};

using WriteStatement = std::variant<Insert, Update, Delete>;

struct WriteError {
  size_t position;  // in the text given
  std::string message;
};

// INSERT, UPDATE, DELETE or TRUNCATE.  Throws WriteError.
WriteStatement ParseWrite(const std::string& text);

}  // namespace weir
