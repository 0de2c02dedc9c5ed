#include "sql/statement.h"

#include <algorithm>

#include "base/error.h"
#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "sql/statement_parts.h"

namespace weir {

Error SqlErrorAt(std::string_view text, size_t position, std::string_view file,
                 std::string_view message) {
  auto [line, column] = LineAndColumn(text, position);
  std::string where = std::to_string(line) + ":" + std::to_string(column) + ": ";
  if (!file.empty()) where = std::string(file) + ":" + where;
  return Error(ErrorCode::kInvalidSql, where + std::string(message), CaretBelow(text, position));
}

namespace {

// STREAM, TABLE, PUMP or [MATERIALIZED] VIEW.
ObjectKind TakeObjectKind(StatementReader& in) {
  if (in.Take("STREAM")) return ObjectKind::kStream;
  if (in.Take("TABLE")) return ObjectKind::kTable;
  if (in.Take("PUMP")) return ObjectKind::kPump;
  in.Take("MATERIALIZED");
  if (!in.Take("VIEW")) in.Fail("expected STREAM, TABLE, PUMP or VIEW");
  return ObjectKind::kView;
}

const char* WordFor(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kStream: return "stream";
    case ObjectKind::kTable: return "table";
    case ObjectKind::kPump: return "pump";
    case ObjectKind::kView: return "view";
  }
  return "";
}

StatementBody ReadDrop(StatementReader& in) {
  Drop drop;
  drop.kind = TakeObjectKind(in);
  drop.if_exists = in.TakeIfExists();
  drop.name = in.Name(WordFor(drop.kind));
  drop.cascade = in.Take("CASCADE");
  if (!drop.cascade) in.Take("RESTRICT");
  in.ExpectEnd();
  return drop;
}

StatementBody ReadAlter(StatementReader& in) {
  Rename rename;
  rename.kind = TakeObjectKind(in);
  rename.if_exists = in.TakeIfExists();
  rename.name = in.Name(WordFor(rename.kind));
  if (!in.Is("RENAME") || !in.Is("TO", 1)) {
    in.Fail(
        "only the name can be altered: ALTER ... RENAME TO name; a view changes with CREATE OR "
        "REPLACE");
  }
  in.Skip(2);
  rename.to = in.Name(WordFor(rename.kind));
  in.ExpectEnd();
  return rename;
}

StatementBody ReadSubscribe(StatementReader& in) {
  in.Take("TO");
  Subscribe subscribe;
  auto kind = in.Token().kind;
  bool is_name = kind == SqlToken::Kind::kWord || kind == SqlToken::Kind::kQuotedName;
  if (is_name && in.Left() == 1) {
    subscribe.query = KernelSql("FROM " + in.Rest());
    in.Skip(1);
  } else {
    subscribe.query = ReadQuery(in, "a subscription").kernel_sql;
  }
  return subscribe;
}

StatementBody ReadComment(StatementReader& in) {
  in.Expect("ON");
  Comment comment;
  comment.kind = TakeObjectKind(in);
  comment.name = in.Name(WordFor(comment.kind));
  in.Expect("IS");
  if (!in.Take("NULL")) comment.text = in.String("the comment");
  in.ExpectEnd();
  return comment;
}

StatementBody ReadExplain(StatementReader& in, const std::string& text) {
  size_t start = in.Position();
  in.Skip(1);
  Explain explain;
  explain.analyze = in.Take("ANALYZE");
  if (in.Is("MATERIALIZED") && in.Is("VIEW", 1)) in.Skip(1);
  if (in.Take("VIEW") || in.Take("PUMP")) {
    explain.view = in.Name("view");
    in.ExpectEnd();
    return explain;
  }
  if (in.AtEnd()) in.FailAt(start, "expected a query or VIEW name after EXPLAIN");
  if (in.Left() == 1) {  // one word is a view's name
    explain.view = in.Name("view");
    return explain;
  }
  explain.query = CheckedQuery(in, in.Rest(), in.Position(), "a view");
  return explain;
}

StatementBody ReadShow(StatementReader& in) {
  Show show{ShowWhat::kAll};
  if (in.Take("STREAMS")) {
    show.what = ShowWhat::kStreams;
  } else if (in.Is("MATERIALIZED") && in.Is("VIEWS", 1)) {
    in.Skip(2);
    show.what = ShowWhat::kViews;
  } else if (in.Take("VIEWS")) {
    show.what = ShowWhat::kViews;
  } else if (in.Take("PUMPS")) {
    show.what = ShowWhat::kPumps;
  } else if (in.Take("TABLES")) {
    show.what = ShowWhat::kTables;
  } else if (in.Take("ALL")) {
  } else if (in.Take("TIMEZONE")) {
    show.what = ShowWhat::kTimeZone;
  } else if (in.Is("TIME") && in.Is("ZONE", 1)) {
    in.Skip(2);
    show.what = ShowWhat::kTimeZone;
  } else {
    in.Fail("expected STREAMS, TABLES, VIEWS, PUMPS, ALL or TIME ZONE");
  }
  in.ExpectEnd();
  return show;
}

StatementBody ReadDescribe(StatementReader& in, const std::string& text) {
  in.Skip(1);
  if (in.Is("SELECT") || in.Is("WITH") || in.Is("FROM")) return Query{text};
  for (const char* kind : {"STREAM", "TABLE", "VIEW", "PUMP"}) in.Take(kind);
  DescribeObject describe{in.Name("stream, table or view")};
  in.ExpectEnd();
  return describe;
}

StatementBody ReadSet(StatementReader& in) {
  in.Skip(1);
  if (in.Is("TIME") && in.Is("ZONE", 1)) {
    in.Skip(2);
  } else if (in.Take("TIMEZONE")) {
    if (!in.TakeSymbol('=')) in.Expect("TO");
  } else {
    in.Fail("only the time zone can be set: SET TimeZone = 'America/New_York'");
  }
  SetTimeZone set{in.String("a time zone")};
  in.ExpectEnd();
  return set;
}

StatementBody ReadCreate(StatementReader& in) {
  in.Take("CREATE");
  bool or_replace = false;
  if (in.Is("OR") && in.Is("REPLACE", 1)) {
    in.Skip(2);
    or_replace = true;
  }
  if (in.Take("STREAM")) {
    if (or_replace) in.Fail("a stream keeps its events and cannot be replaced");
    return ReadCreateStream(in);
  }
  if (in.Take("PUMP")) {
    if (or_replace)
      in.Fail(
          "what a pump has emitted stays, so it cannot be replaced: DROP it, and CREATE another "
          "WITH (start = 'now')");
    return ReadCreatePump(in);
  }
  bool materialized = in.Take("MATERIALIZED");
  if (in.Take("VIEW")) return ReadCreateView(in, materialized, or_replace);
  if (materialized) in.Fail("expected VIEW");
  if (in.Take("TABLE")) {
    if (or_replace) in.Fail("a table keeps its rows and cannot be replaced");
    return ReadCreateTable(in);
  }
  in.Fail("expected STREAM, TABLE, PUMP, VIEW or MATERIALIZED VIEW");
}

StatementBody ReadBody(StatementReader& in, const std::string& text) {
  if (in.Is("CREATE")) return ReadCreate(in);
  if (in.Take("ALTER")) return ReadAlter(in);
  if (in.Take("SUBSCRIBE")) return ReadSubscribe(in);
  if (in.Take("DROP")) return ReadDrop(in);
  if (in.Take("COMMENT")) return ReadComment(in);
  if (in.Is("EXPLAIN")) return ReadExplain(in, text);
  if (in.Take("SHOW")) return ReadShow(in);
  if (in.Is("DESCRIBE") || in.Is("DESC")) return ReadDescribe(in, text);
  if (in.Is("SET")) return ReadSet(in);
  if (in.Is("INSERT") || in.Is("UPDATE") || in.Is("DELETE") || in.Is("TRUNCATE"))
    return ReadWrite(in);
  if (in.Take("COPY")) return ReadCopy(in);
  if (in.Is("MERGE")) {
    in.Fail(
        "MERGE is not a statement of Weir: tables change by INSERT ... ON CONFLICT, UPDATE and "
        "DELETE");
  }
  return Query{text};
}

Statement ReadStatement(StatementReader in) {
  Statement statement;
  statement.position = in.Position();
  statement.text = in.Whole();
  statement.body = ReadBody(in, statement.text);
  return statement;
}

// Calls `each` with the tokens [begin, end) of every statement.
template <class Each>
void ForEachStatement(const std::vector<SqlToken>& tokens, Each each) {
  size_t begin = 0;
  for (size_t i = 0; i < tokens.size(); i++) {
    bool ends = tokens[i].kind == SqlToken::Kind::kEnd ||
                (tokens[i].kind == SqlToken::Kind::kSymbol && tokens[i].text == ";");
    if (!ends) continue;
    if (i > begin) each(begin, i);
    begin = i + 1;
  }
}

}  // namespace

std::vector<Statement> ParseStatements(std::string_view text, std::string_view file) {
  if (text.size() > kSqlBytesMax && file.empty()) {
    throw Error(ErrorCode::kTooLarge,
                "SQL is at most " + std::to_string(kSqlBytesMax >> 20) +
                    " MiB at a time, this is " + std::to_string(text.size() >> 20) + " MiB",
                "Send rows to POST /v1/streams/NAME/events, or COPY them from a file.");
  }
  auto tokens = TokenizeSql(text, file);
  std::vector<Statement> statements;
  ForEachStatement(tokens, [&](size_t begin, size_t end) {
    statements.push_back(ReadStatement({text, file, tokens, begin, end}));
  });
  return statements;
}

std::vector<Statement> ParseStatements(std::string_view text, std::string_view file,
                                       std::vector<WrongStatement>& wrong) {
  std::vector<Statement> statements;
  std::vector<SqlToken> tokens;
  try {
    tokens = TokenizeSql(text, file);
  } catch (const Error& error) {
    wrong.push_back({error, {}});
    return statements;
  }
  constexpr size_t kHeadTokens = 8;  // CREATE OR REPLACE MATERIALIZED VIEW NAME and the like
  ForEachStatement(tokens, [&](size_t begin, size_t end) {
    try {
      statements.push_back(ReadStatement({text, file, tokens, begin, end}));
    } catch (const Error& error) {
      auto& entry = wrong.emplace_back(WrongStatement{error, {}});
      for (size_t i = begin; i < std::min(end, begin + kHeadTokens); i++) {
        bool name = tokens[i].kind == SqlToken::Kind::kWord ||
                    tokens[i].kind == SqlToken::Kind::kQuotedName;
        if (name) entry.names.push_back(duckdb::StringUtil::Lower(tokens[i].text));
      }
    }
  });
  return statements;
}

}  // namespace weir
