// Our own statements, parsed: what DuckDB's parser does not know, and what changes the catalog.
// Everything else is a query and goes to the batch engine.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "catalog/catalog.h"
#include "sql/write_statement.h"

namespace weir {

// A table, too: a stream with a primary key.
struct CreateStream {
  Stream stream;  // without columns when the query says them
  bool if_not_exists = false;
  std::string query;      // AS ...: what feeds it, as written; "" when producers do
  KernelSql kernel_sql;   // of the same
  bool from_now = false;  // only what the query says from here on
};
struct CreatePump {
  std::string name;
  Insert insert;
  bool if_not_exists = false;
  bool from_now = false;
};
struct CreateView {
  View view;
  bool if_not_exists = false;
  bool or_replace = false;
};
enum class ObjectKind { kStream, kTable, kView, kPump };
struct Drop {
  ObjectKind kind;
  std::string name;
  bool if_exists = false;
  bool cascade = false;
};
struct Rename {
  ObjectKind kind;
  std::string name, to;
  bool if_exists = false;
};
struct Comment {
  ObjectKind kind;
  std::string name;
  std::string text;
};
struct Explain {
  std::string view;  // or a pump
  KernelSql query;
  bool analyze = false;
};  // one of the two is set
enum class ShowWhat { kStreams, kViews, kPumps, kTables, kTimeZone, kAll };
struct Show {
  ShowWhat what;
};
struct DescribeObject {
  std::string name;
};
struct SetTimeZone {
  std::string zone;
};
struct Subscribe {
  KernelSql query;  // or FROM a view
};                  // its answer never ends: followed elsewhere (POST /v1/subscribe)
struct Query {
  std::string sql;  // as written
};                  // for the batch engine

using StatementBody =
    std::variant<CreateStream, CreatePump, CreateView, Drop, Rename, Comment, Explain, Show,
                 DescribeObject, SetTimeZone, Insert, Update, Delete, CopyFrom, Subscribe, Query>;

struct Statement {
  StatementBody body;
  std::string text;     // as written, without the semicolon
  size_t position = 0;  // of its first character in the input
};

// Of one text with statements, unless it is a file's.
inline constexpr size_t kSqlBytesMax = 4 << 20;

// Splits on semicolons (strings, comments, dollar quotes respected) and parses each statement.
// Throws Error(kInvalidSql) whose message names line and column (1-based) and whose hint shows the
// line with a caret below the place.
std::vector<Statement> ParseStatements(std::string_view text, std::string_view file = "");

// The same, going on behind a statement that is wrong.
struct WrongStatement {
  Error error;
  std::vector<std::string> names;  // what it may have wanted to make, lower case
};
std::vector<Statement> ParseStatements(std::string_view text, std::string_view file,
                                       std::vector<WrongStatement>& wrong);

// The message with "FILE:LINE:COLUMN: " in front and the line with a caret in the hint.
Error SqlErrorAt(std::string_view text, size_t position, std::string_view file,
                 std::string_view message);

}  // namespace weir
