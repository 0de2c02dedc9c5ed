#include "query/statements.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "query/shut_in.h"
#include "sql/window_functions.h"

namespace weir {
namespace {

std::string Quoted(const std::string& name) { return "\"" + name + "\""; }

const char* KindOf(const Stream& stream) { return stream.IsTable() ? "table" : "stream"; }

void CheckNameIsFree(const CatalogState& state, const std::string& name) {
  if (state.FindStream(name)) {
    throw Error(
        ErrorCode::kAlreadyExists,
        "there is already a " + std::string(KindOf(*state.FindStream(name))) + " " + Quoted(name));
  }
  if (state.FindView(name)) {
    throw Error(ErrorCode::kAlreadyExists, "there is already a view " + Quoted(name));
  }
}

// A table is no stream to statements that say which they mean.
std::shared_ptr<const Stream> GetPlainStream(const CatalogState& state, const std::string& name) {
  auto stream = state.GetStream(name);
  if (!stream->IsTable()) return stream;
  throw Error(ErrorCode::kUnknownStream, Quoted(name) + " is a table, not a stream",
              "Say TABLE in place of STREAM.");
}

std::vector<std::string> Lines(const std::string& text) {
  auto lines = duckdb::StringUtil::Split(text, '\n');
  return {lines.begin(), lines.end()};
}

}  // namespace

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
          names.push_back(Lower(ref.Cast<duckdb::BaseTableRef>().table_name));
        }
      });
}

}  // namespace

std::vector<std::string> NamesIn(const std::string& query) {
  std::vector<std::string> names;
  try {
    duckdb::Parser parser;
    parser.ParseQuery(ExpandWindowFunctions(query));
    for (auto& statement : parser.statements) {
      if (statement->type != duckdb::StatementType::SELECT_STATEMENT) continue;
      CollectNames(*statement->Cast<duckdb::SelectStatement>().node, names);
    }
  } catch (const std::exception&) {
    // What does not parse names nothing.
  }
  return names;
}

std::vector<std::string> Statements::Dependents(const CatalogState& state,
                                                const std::string& name) {
  std::vector<std::string> dependents;
  for (auto& [key, view] : state.views) {
    auto names = NamesIn(view->query);
    if (key == Lower(name) || std::find(names.begin(), names.end(), Lower(name)) == names.end()) {
      continue;
    }
    for (auto& indirect : Dependents(state, view->name)) dependents.push_back(indirect);
    dependents.push_back(view->name);
  }
  std::vector<std::string> once;
  for (auto& dependent : dependents) {
    if (std::find(once.begin(), once.end(), dependent) == once.end()) once.push_back(dependent);
  }
  return once;
}

ResultTable Statements::Run(const Statement& statement, const std::string& params_json) {
  return std::visit(
      [&](auto& body) -> ResultTable {
        if constexpr (requires { DoWrite(body, params_json); }) {
          return DoWrite(body, params_json);
        } else {
          return Do(body);
        }
      },
      statement.body);
}

ResultTable Statements::Do(const CreateStream& create) {
  if (create.if_not_exists && catalog_.Current()->FindStream(create.stream.name)) {
    return {
        {}, {}, KindOf(create.stream) + (" " + Quoted(create.stream.name)) + " is there already"};
  }
  catalog_.Change([&](CatalogState& state) {
    CheckNameIsFree(state, create.stream.name);
    auto stream = std::make_shared<Stream>(create.stream);
    stream->id = StreamId{state.next_id++};
    state.streams[Lower(stream->name)] = stream;
  });
  return {
      {}, {}, std::string("created ") + KindOf(create.stream) + " " + Quoted(create.stream.name)};
}

ResultTable Statements::Do(const CreateView& create) {
  auto current = catalog_.Current();
  auto existing = current->FindView(create.view.name);
  if (existing && create.if_not_exists) {
    return {{}, {}, "view " + Quoted(create.view.name) + " is there already"};
  }
  for (auto& name : NamesIn(create.view.query)) {
    if (name != Lower(create.view.name)) continue;
    throw Error(ErrorCode::kInvalidSql, "view " + Quoted(create.view.name) + " reads itself");
  }
  CheckShutIn(create.view.query);
  views_.Bind(*current, create.view.query);
  if (create.view.materialized) {
    views_.CheckRoom(ErrorCode::kLimitExceeded,
                     "view " + Quoted(create.view.name) + " is not made");
  }
  catalog_.Change([&](CatalogState& state) {
    bool replaces = create.or_replace && state.FindView(create.view.name);
    if (!replaces) CheckNameIsFree(state, create.view.name);
    auto view = std::make_shared<View>(create.view);
    view->id = state.next_id++;
    if (replaces && view->comment.empty()) {
      view->comment = state.GetView(view->name)->comment;
    }
    state.views[Lower(view->name)] = view;
    // What reads a replaced view reads another one now: it is made anew, too.
    for (auto& dependent : replaces ? Dependents(state, view->name) : std::vector<std::string>()) {
      auto renewed = std::make_shared<View>(*state.GetView(dependent));
      views_.Bind(state, renewed->query);
      renewed->id = state.next_id++;
      state.views[Lower(dependent)] = renewed;
    }
  });
  views_.Reconcile();
  return {{}, {}, (existing ? "replaced view " : "created view ") + Quoted(create.view.name)};
}

ResultTable Statements::Do(const Drop& drop) {
  bool stream = drop.kind != ObjectKind::kView;
  auto current = catalog_.Current();
  auto found = current->FindStream(drop.name);
  bool of_kind = found && found->IsTable() == (drop.kind == ObjectKind::kTable);
  bool there = stream ? of_kind : current->FindView(drop.name) != nullptr;
  if (!there && drop.if_exists) return {{}, {}, "there was no " + Quoted(drop.name)};
  std::vector<std::string> gone;
  catalog_.Change([&](CatalogState& state) {
    if (drop.kind == ObjectKind::kTable) {
      state.GetTable(drop.name);
    } else if (stream) {
      GetPlainStream(state, drop.name);
    } else {
      state.GetView(drop.name);
    }
    auto dependents = Dependents(state, drop.name);
    if (!dependents.empty() && !drop.cascade) {
      std::string list;
      for (auto& name : dependents) list += (list.empty() ? "" : ", ") + Quoted(name);
      throw Error(ErrorCode::kInUse, Quoted(drop.name) + " is read by " + list,
                  "Drop what reads it first, or say CASCADE.");
    }
    for (auto& name : dependents) state.views.erase(Lower(name));
    gone = dependents;
    if (stream) {
      state.streams.erase(Lower(drop.name));
    } else {
      state.views.erase(Lower(drop.name));
    }
  });
  views_.Reconcile();
  std::string notice =
      std::string("dropped ") + (stream ? KindOf(*found) : "view") + " " + Quoted(drop.name);
  for (auto& name : gone) notice += ", view " + Quoted(name);
  return {{}, {}, notice};
}

ResultTable Statements::Do(const Comment& comment) {
  catalog_.Change([&](CatalogState& state) {
    if (comment.kind != ObjectKind::kView) {
      bool table = comment.kind == ObjectKind::kTable;
      auto stream = std::make_shared<Stream>(
          *(table ? state.GetTable(comment.name) : GetPlainStream(state, comment.name)));
      stream->comment = comment.text;
      state.streams[Lower(comment.name)] = stream;
    } else {
      auto view = std::make_shared<View>(*state.GetView(comment.name));
      view->comment = comment.text;
      state.views[Lower(comment.name)] = view;
    }
  });
  views_.Reconcile();
  return {{}, {}, "commented on " + Quoted(comment.name)};
}

ResultTable Statements::Do(const Explain& explain) {
  if (explain.view.empty()) CheckShutIn(explain.query);
  auto text = explain.view.empty() ? views_.ExplainQuery(explain.query)
                                   : views_.ExplainView(explain.view, explain.analyze);
  ResultTable table{{"plan"}, {}, ""};
  for (auto& line : Lines(text)) {
    if (!line.empty()) table.rows.push_back({line});
  }
  return table;
}

ResultTable Statements::Do(const Show& show) {
  auto state = catalog_.Current();
  if (show.what == ShowWhat::kTimeZone) return {{"TimeZone"}, {{state->time_zone}}, ""};
  ResultTable table{{"name", "kind", "comment"}, {}, ""};
  bool all = show.what == ShowWhat::kAll;
  for (auto& [key, stream] : state->streams) {
    if (all || show.what == (stream->IsTable() ? ShowWhat::kTables : ShowWhat::kStreams)) {
      table.rows.push_back({stream->name, KindOf(*stream), stream->comment});
    }
  }
  if (all || show.what == ShowWhat::kViews) {
    for (auto& [key, view] : state->views) {
      table.rows.push_back(
          {view->name, view->materialized ? "materialized view" : "view", view->comment});
    }
  }
  return table;
}

ResultTable Statements::Do(const Describe& describe) {
  auto state = catalog_.Current();
  ResultTable table{{"column_name", "column_type", "null"}, {}, ""};
  if (auto stream = state->FindStream(describe.name)) {
    if (stream->IsTable()) table.columns.push_back("key");
    for (size_t i = 0; i < stream->VisibleColumns(); i++) {
      auto& column = stream->columns[i];
      table.rows.push_back({column.name, column.type.ToString(), column.not_null ? "NO" : "YES"});
      if (stream->IsTable()) table.rows.back().push_back(stream->IsKey(i) ? "PRI" : "");
    }
    return table;
  }
  auto view = state->GetView(describe.name);
  for (auto& column : views_.Bind(*state, view->query)) {
    table.rows.push_back({column.name, column.type.ToString(), "YES"});
  }
  return table;
}

ResultTable Statements::Do(const SetTimeZone& set) {
  catalog_.Change([&](CatalogState& state) {
    if (state.time_zone == set.zone) return;
    state.time_zone = set.zone;
    views_.Bind(state, "SELECT 1");  // throws when there is no such zone
    // Times mean something else now: every view is made anew.
    for (auto& [key, view] : state.views) {
      auto renewed = std::make_shared<View>(*view);
      renewed->id = state.next_id++;
      view = renewed;
    }
  });
  views_.Reconcile();
  return {{}, {}, "time zone is " + set.zone};
}

namespace {

ResultTable Written(const WriteResult& written, const char* what, const std::string& table) {
  ResultTable result;
  result.notice = std::to_string(written.rows) + (written.rows == 1 ? " row " : " rows ") + what +
                  " " + Quoted(table);
  result.written = written;
  return result;
}

}  // namespace

ResultTable Statements::DoWrite(const Insert& insert, const std::string& params_json) {
  auto stream = catalog_.Current()->GetStream(insert.table);
  if (!stream->IsTable() && !insert.query.empty()) {
    throw Error(ErrorCode::kInvalidSql,
                "INSERT INTO a stream takes VALUES; \"" + stream->name + "\" is a stream",
                "Send events to it, or make it a table.");
  }
  return Written(writes_.Run(insert, params_json), "inserted into", stream->name);
}

ResultTable Statements::DoWrite(const Update& update, const std::string& params_json) {
  return Written(writes_.Run(update, params_json), "updated in", update.table);
}

ResultTable Statements::DoWrite(const Delete& erase, const std::string& params_json) {
  return Written(writes_.Run(erase, params_json), "deleted from", erase.table);
}

ResultTable Statements::Do(const CopyFrom& copy) {
  return Written(writes_.Run(copy), "copied into", copy.table);
}

ResultTable Statements::Do(const Query&) {
  throw Error(ErrorCode::kInternal, "a query is not a statement of the catalog");
}

}  // namespace weir
