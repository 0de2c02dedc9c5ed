// CREATE VIEW, and queries inside of statements.
#include "base/error.h"
#include "duckdb/common/error_data.hpp"
#include "duckdb/parser/parser.hpp"
#include "sql/kernel_sql.h"
#include "sql/statement_parts.h"

namespace weir {
namespace {

// WITH (allowed_lateness = '1 minute')
void ReadViewOptions(StatementReader& in, View& view) {
  in.Options("a view", {"allowed_lateness"}, [&](const StatementReader::Option& option) {
    if (!view.materialized) {
      in.FailAt(option.position, "allowed_lateness needs a MATERIALIZED VIEW");
    }
    view.allowed_lateness = in.IntervalOf(option);
    if (*view.allowed_lateness < 0) {
      in.FailAt(option.value_position, "allowed_lateness is not negative");
    }
  });
}

// EMIT CHANGES or EMIT ON WINDOW CLOSE at the end of a view's query, which ends before it.
void ReadEmit(StatementReader& in, View& view) {
  if (in.TakeLast({"EMIT", "ON", "WINDOW", "CLOSE"})) {
    view.on_window_close = true;
    if (!view.materialized) in.Fail("EMIT ON WINDOW CLOSE needs a MATERIALIZED VIEW");
  } else {
    in.TakeLast({"EMIT", "CHANGES"});
  }
  if (in.AtEnd()) in.Fail("expected a query before EMIT");
}

}  // namespace

CreateView ReadCreateView(StatementReader& in, bool materialized, bool or_replace) {
  CreateView create;
  create.or_replace = or_replace;
  create.if_not_exists = in.TakeIfNotExists();
  create.view.name = in.Name("view");
  create.view.materialized = materialized;
  if (in.IsSymbol('(')) in.Fail("a view's columns are named in its query: SELECT x AS name");
  if (in.Take("WITH")) ReadViewOptions(in, create.view);
  in.Expect("AS");
  if (in.AtEnd()) in.Fail("expected a query after AS");
  size_t position = in.Position();
  ReadEmit(in, create.view);
  create.view.query = in.Rest();
  create.view.sql = in.Whole();
  create.view.kernel_sql = CheckedQuery(in, create.view.query, position, "a view");
  return create;
}

KernelSql CheckedQuery(StatementReader& in, const std::string& query, size_t position,
                       const char* what) {
  // Some of what the parser does costs the square of what there is.
  constexpr size_t kQueryTokensMax = 50'000;
  if (in.Left() > kQueryTokensMax) {
    in.FailAt(position, std::string(what) + " is made of at most " +
                            std::to_string(kQueryTokensMax) + " words and signs");
  }
  bool columns_of_rows = false;
  KernelSql kernel_sql = ToKernelSql(query, {in.text(), in.file(), position});
  try {
    duckdb::Parser parser;
    parser.ParseQuery(kernel_sql.text);
    // A PIVOT that asks for its values first.
    columns_of_rows = parser.statements.size() == 1 &&
                      parser.statements[0]->type == duckdb::StatementType::MULTI_STATEMENT;
    bool select = parser.statements.size() == 1 &&
                  parser.statements[0]->type == duckdb::StatementType::SELECT_STATEMENT;
    if (select) return kernel_sql;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& exception) {
    duckdb::ErrorData data(exception);
    auto found = data.ExtraInfo().find("position");
    if (found != data.ExtraInfo().end()) position += std::stoul(found->second);
    auto& message = data.RawMessage();
    in.FailAt(position, message.substr(0, message.find('\n')));
  }
  if (columns_of_rows) {
    in.FailAt(position, "the columns of " + std::string(what) +
                            " do not depend on rows: say PIVOT ... ON column IN (values)");
  }
  in.FailAt(position, std::string(what) + " is made of one SELECT, VALUES or FROM query");
}

ReadText ReadQuery(StatementReader& in, const char* what) {
  if (in.AtEnd()) in.Fail("expected a query");
  if (in.TakeLast({"EMIT", "ON", "WINDOW", "CLOSE"})) {
    in.Skip(in.Left());
    in.Fail(
        "EMIT ON WINDOW CLOSE is said of a MATERIALIZED VIEW: make one, which keeps its late "
        "rows, too, and read it here");
  }
  ReadText query{in.Rest(), {}};
  query.kernel_sql = CheckedQuery(in, query.written, in.Position(), what);
  in.Skip(in.Left());
  return query;
}

}  // namespace weir
