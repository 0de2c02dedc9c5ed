// INSERT, UPDATE, DELETE, COPY, and the INSERT of a pump.
#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "sql/kernel_sql.h"
#include "sql/statement_parts.h"

namespace weir {
namespace {

WriteStatement ParsedWrite(StatementReader& in) {
  size_t begin = in.Position();
  try {
    auto write = ParseWrite(in.Rest());
    if (auto* insert = std::get_if<Insert>(&write)) insert->text = in.Whole();
    return write;
  } catch (const WriteError& error) {
    in.FailAt(begin + error.position, error.message);
  }
}

// The query of an INSERT that begins where `in` is, as written: it stands last unless there is an
// ON CONFLICT, and behind INSERT ... INTO name [AS alias] [(columns)] [BY ...].
std::string QueryOf(const Insert& insert, StatementReader in) {
  if (insert.query.empty() || insert.on_conflict != Insert::OnConflict::kError) return "";
  while (!in.AtEnd() && !in.Is("INTO")) in.Skip(1);
  in.Skip(2);  // INTO, name
  while (in.IsSymbol('.')) in.Skip(2);
  if (in.Is("AS")) in.Skip(2);
  bool columns = !insert.columns.empty();
  while (!in.AtEnd()) {
    if (in.Is("BY") || in.Is("OVERRIDING")) {
      in.Skip(2);
    } else if (columns && in.IsSymbol('(')) {
      while (!in.AtEnd() && !in.TakeSymbol(')')) in.Skip(1);
      columns = false;  // what follows in parentheses is a query
    } else {
      return in.Rest();
    }
  }
  return insert.query;
}

void NoteQuery(Insert& insert, const StatementReader& in) {
  insert.query_text = QueryOf(insert, in);
  insert.kernel_sql = ToKernelSql(insert.query_text);
}

void ReadCopyOption(StatementReader& in, CopyFrom& copy) {
  size_t position = in.Position();
  std::string option = duckdb::StringUtil::Lower(in.Name("option"));
  auto value = [&]() -> std::string {
    auto kind = in.Token().kind;
    bool is_value = kind == StatementReader::Kind::kWord ||
                    kind == StatementReader::Kind::kString ||
                    kind == StatementReader::Kind::kNumber;
    return is_value ? in.Next().text : "";
  };
  if (option == "format") {
    copy.format = duckdb::StringUtil::Lower(value());
    if (copy.format != "csv" && copy.format != "parquet" && copy.format != "json") {
      in.FailAt(position, "the format is csv, parquet or json");
    }
  } else if (option == "header") {
    std::string said = duckdb::StringUtil::Lower(value());
    copy.header = said != "false" && said != "0" && said != "off";
  } else if (option == "delimiter" || option == "delim" || option == "sep") {
    copy.delimiter = value();
    if (copy.delimiter.size() != 1) {
      in.FailAt(position, "the delimiter is one character");
    }
  } else {
    in.FailAt(position, "COPY has no option \"" + option + "\" here: FORMAT, HEADER, DELIMITER");
  }
}

}  // namespace

StatementBody ReadWrite(StatementReader& in) {
  auto body = ParsedWrite(in);
  if (auto* insert = std::get_if<Insert>(&body)) NoteQuery(*insert, in);
  return std::visit([](auto& write) { return StatementBody(std::move(write)); }, body);
}

// COPY name [(columns)] FROM 'file' [(FORMAT csv|parquet|json, HEADER [bool], DELIMITER 'x')]
CopyFrom ReadCopy(StatementReader& in) {
  CopyFrom copy;
  if (in.IsSymbol('(')) in.Fail("only COPY name FROM 'file' is a statement of Weir");
  copy.table = in.Name("table");
  if (in.TakeSymbol('(')) {
    do copy.columns.push_back(in.Name("column"));
    while (in.TakeSymbol(','));
    in.ExpectSymbol(')');
  }
  if (in.Is("TO")) in.Fail("rows leave by a query: POST /v1/sql?format=csv, parquet or arrow");
  in.Expect("FROM");
  copy.path = in.String("the name of a file");
  in.Take("WITH");
  if (in.TakeSymbol('(')) {
    do ReadCopyOption(in, copy);
    while (in.TakeSymbol(','));
    in.ExpectSymbol(')');
  }
  in.ExpectEnd();
  return copy;
}

CreatePump ReadCreatePump(StatementReader& in) {
  CreatePump create;
  create.if_not_exists = in.TakeIfNotExists();
  create.name = in.Name("pump");
  if (in.Take("WITH")) {
    in.Options("a pump", {"start"}, [&](const StatementReader::Option& option) {
      create.from_now = IsStartNow(in, option);
    });
  }
  in.Expect("AS");
  if (!in.Is("INSERT")) in.Fail("expected INSERT INTO stream SELECT ...");
  create.insert = std::get<Insert>(ParsedWrite(in));
  NoteQuery(create.insert, in);
  return create;
}

bool IsStartNow(StatementReader& in, const StatementReader::Option& option) {
  std::string value = duckdb::StringUtil::Lower(option.value);
  if (value != "now" && value != "beginning") {
    in.FailAt(option.value_position, "start is 'beginning' or 'now'");
  }
  return value == "now";
}

}  // namespace weir
