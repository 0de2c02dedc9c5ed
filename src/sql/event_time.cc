#include "sql/event_time.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/quoted.h"
#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "duckdb/parser/tableref/subqueryref.hpp"
#include "sql/grouped_windows.h"
#include "sql/window_functions.h"

namespace weir {
namespace {

constexpr const char* kRowWatermark = "weir_watermark";

std::string ColumnsOf(const Stream& stream) {
  std::string list;
  for (auto& column : stream.columns) list += (list.empty() ? "" : ", ") + QuotedName(column.name);
  return list;
}

// Rows that go into windows, or stand in FROM: a stream, maybe through a SELECT without groups.
struct TimedRows {
  std::shared_ptr<const Stream> stream;
  std::string from;  // what follows FROM: the stream, its alias and WHERE
  std::string select_list;
  std::string time;  // the watermark's column, as `select_list` calls it
};

class Speller {
 public:
  Speller(const View& view, const CatalogState& catalog)
      : view_(view), catalog_(catalog), lateness_(view.allowed_lateness.value_or(0)) {}

  // The view's query with event time in it.
  std::string Query() {
    WindowRule rule;
    std::vector<std::string> streams;  // of the windows at hand: before, then after
    rule.before = [&](WindowInput& input) {
      TimedRows rows = RowsIn(input);
      streams.push_back(rows.stream->name);
      input.data = "(SELECT " + rows.select_list + ", _watermark AS " + kRowWatermark + " FROM " +
                   rows.from + ") AS " + QuotedName(rows.stream->name);
      if (input.is_session) {
        input.condition = OnTime(input.time, lateness_ + 1, kRowWatermark, rows.stream->name);
      }
    };
    rule.after = [&](const WindowInput& input, const std::string& windows) {
      std::string stream = streams.back();
      std::string where;
      if (!input.is_session) {
        where = OnTime("window_end", lateness_, kRowWatermark, stream);
      }
      if (view_.on_window_close) {
        for (auto& name : closed_by_) {
          where += where.empty() ? "" : " AND ";
          where += Closed("window_end", lateness_ + (input.is_session ? 1 : 0), name);
        }
      }
      return "(SELECT * EXCLUDE (" + std::string(kRowWatermark) + ") FROM " + windows +
             (where.empty() ? "" : " WHERE " + where) + ")";
    };
    // Twice: a window closes when all streams in windows have passed it, so these are found first.
    std::string expanded = ExpandWindowFunctions(view_.query, {}, &rule);
    Note(streams);
    GroupedWindows grouped(expanded, catalog_, view_.on_window_close);
    std::vector<std::string> others;
    for (auto& use : grouped.uses()) {
      if (!use.end.empty()) others.push_back(use.stream->name);
    }
    Note(others);
    if (view_.on_window_close && closed_by_.empty()) NoWindow();
    if (view_.on_window_close) {
      expanded = ExpandWindowFunctions(view_.query, {}, &rule);
      grouped = GroupedWindows(expanded, catalog_, view_.on_window_close);
    }
    return grouped.Replaced([&](const TimedUse& use) {
      std::string end = use.end.empty() ? QuotedName(use.stream->watermark->column) : use.end;
      Micros lateness = lateness_ + (use.end.empty() ? 1 : 0);
      std::string where = OnTime(end, lateness, "_watermark", use.stream->name);
      if (view_.on_window_close && !use.end.empty()) {
        for (auto& name : closed_by_) where += " AND " + Closed(end, lateness, name);
      }
      return "SELECT " + ColumnsOf(*use.stream) + " FROM " + QuotedName(use.stream->name) +
             " WHERE " + where;
    });
  }

  // Queries of late rows, by stream.
  std::map<std::string, std::vector<std::string>> Late() {
    std::map<std::string, std::vector<std::string>> late;
    auto add = [&](const std::string& stream, std::string query) {
      auto& queries = late[stream];
      if (std::find(queries.begin(), queries.end(), query) == queries.end()) {
        queries.push_back(std::move(query));
      }
    };
    std::optional<TimedRows> rows;
    WindowRule rule;
    rule.before = [&](WindowInput& input) {
      rows = RowsIn(input);
      input.time = QuotedName(rows->stream->watermark->column);
      input.data = "(SELECT " + ColumnsOf(*rows->stream) + ", _offset, _arrival_time, _watermark" +
                   " FROM " + rows->from + ")";
    };
    rule.after = [&](const WindowInput& input, const std::string& windows) {
      auto& stream = *rows->stream;
      if (input.is_session) {
        add(stream.name, LateRows(stream, "", "", input.data, input.time, lateness_ + 1));
      } else {
        add(stream.name,
            LateRows(stream, "window_start", "window_end", windows, "window_end", lateness_));
      }
      return windows;
    };
    std::string expanded = ExpandWindowFunctions(view_.query, {}, &rule);
    GroupedWindows grouped(expanded, catalog_, view_.on_window_close);
    for (auto& use : grouped.uses()) {
      bool row_by_row = use.end.empty();
      std::string time = QuotedName(use.stream->watermark->column);
      add(use.stream->name, LateRows(*use.stream, use.start, use.end, use.from_where,
                                     row_by_row ? time : use.end, lateness_ + row_by_row));
    }
    return late;
  }

 private:
  static std::string OnTime(const std::string& end, Micros lateness, const std::string& watermark,
                            const std::string& stream) {
    return "weir_on_time(" + end + ", " + std::to_string(lateness) + ", " + watermark + ", " +
           QuotedText(stream) + ")";
  }
  static std::string Closed(const std::string& end, Micros lateness, const std::string& stream) {
    return "weir_closed(" + end + ", " + std::to_string(lateness) + ", " + QuotedText(stream) + ")";
  }

  // `from`: what follows FROM, maybe with a WHERE.
  static std::string LateRows(const Stream& stream, const std::string& window_start,
                              const std::string& window_end, const std::string& from,
                              const std::string& end, Micros lateness) {
    auto type = stream.columns[*stream.Find(stream.watermark->column)].type.ToString();
    auto or_null = [&](const std::string& column) {
      return column.empty() ? "CAST(NULL AS " + type + ")" : column;
    };
    bool has_where = from.find(" WHERE ") != std::string::npos && from[0] != '(';
    return "SELECT " + ColumnsOf(stream) + ", _offset, _arrival_time, " + or_null(window_start) +
           " AS _window_start, " + or_null(window_end) + " AS _window_end, _watermark FROM " +
           from + (has_where ? " AND " : " WHERE ") + "NOT " +
           OnTime(end, lateness, "_watermark", stream.name);
  }

  void Note(const std::vector<std::string>& streams) {
    for (auto& name : streams) {
      if (std::find(closed_by_.begin(), closed_by_.end(), name) == closed_by_.end()) {
        closed_by_.push_back(name);
      }
    }
  }

  [[noreturn]] static void NoWindow() {
    throw Error(ErrorCode::kInvalidSql, "EMIT ON WINDOW CLOSE needs windows of time",
                "Group by window_start and window_end of TUMBLE, HOP, CUMULATE or SESSION, or by "
                "date_trunc or time_bucket of the column of a stream's WATERMARK.");
  }

  const Stream& Timed(const std::shared_ptr<const Stream>& stream, const std::string& name) const {
    if (stream && stream->watermark) return *stream;
    throw Error(ErrorCode::kInvalidSql,
                stream ? "stream \"" + name + "\" has no watermark"
                       : "\"" + name + "\" in a window is no stream",
                "Windows close by the watermark of a stream: CREATE STREAM ... (..., WATERMARK FOR "
                "event_time AS event_time - INTERVAL 5 SECONDS).");
  }

  TimedRows RowsIn(const WindowInput& input) const {
    duckdb::Parser parser;
    try {
      parser.ParseQuery("SELECT * FROM " + input.data);
    } catch (...) {
      throw SqlErrorFromDuck(input.data);
    }
    auto& select = parser.statements.at(0)->Cast<duckdb::SelectStatement>();
    return RowsFrom(*select.node->Cast<duckdb::SelectNode>().from_table, input.time, 0);
  }

  TimedRows RowsFrom(duckdb::TableRef& ref, const std::string& time, int depth) const {
    if (depth > 64) throw Error(ErrorCode::kInvalidSql, "views are nested too deeply");
    if (ref.type == duckdb::TableReferenceType::BASE_TABLE) {
      auto& name = ref.Cast<duckdb::BaseTableRef>().table_name;
      auto view = catalog_.FindView(name);
      if (view && !view->materialized) {
        duckdb::Parser parser;
        parser.ParseQuery(view->kernel_sql.text);
        auto& inner = parser.statements.at(0)->Cast<duckdb::SelectStatement>();
        return RowsOf(*inner.node, time, depth + 1);
      }
      TimedRows rows;
      rows.stream = catalog_.FindStream(name);
      auto& stream = Timed(rows.stream, name);
      if (!IsName(time, stream.watermark->column)) WrongTime(stream);
      rows.from = QuotedName(stream.name);
      rows.select_list = ColumnsOf(stream);
      rows.time = stream.watermark->column;
      return rows;
    }
    if (ref.type == duckdb::TableReferenceType::SUBQUERY) {
      return RowsOf(*ref.Cast<duckdb::SubqueryRef>().subquery->node, time, depth + 1);
    }
    TooMuch();
  }

  TimedRows RowsOf(duckdb::QueryNode& node, const std::string& time, int depth) const {
    if (node.type != duckdb::QueryNodeType::SELECT_NODE || !node.modifiers.empty() ||
        !node.cte_map.map.empty()) {
      TooMuch();
    }
    auto& select = node.Cast<duckdb::SelectNode>();
    bool plain = select.groups.group_expressions.empty() && !select.having && !select.qualify &&
                 !select.sample &&
                 select.from_table->type == duckdb::TableReferenceType::BASE_TABLE;
    if (!plain) TooMuch();
    auto& table = select.from_table->Cast<duckdb::BaseTableRef>();
    auto view = catalog_.FindView(table.table_name);
    if (view && !view->materialized) TooMuch();
    TimedRows rows;
    rows.stream = catalog_.FindStream(table.table_name);
    auto& stream = Timed(rows.stream, table.table_name);
    for (auto& item : select.select_list) {
      bool is_star = item->GetExpressionClass() == duckdb::ExpressionClass::STAR;
      std::string name = item->GetAlias();
      bool is_time = false;
      if (item->GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF) {
        auto& column = item->Cast<duckdb::ColumnRefExpression>().GetColumnName();
        if (name.empty()) name = column;
        is_time = IsName(QuotedName(column), stream.watermark->column);
      }
      if ((is_time && IsName(time, name)) || (is_star && IsName(time, stream.watermark->column))) {
        rows.time = name;
      }
      rows.select_list += (rows.select_list.empty() ? "" : ", ") + item->ToString();
      if (is_star) rows.time = stream.watermark->column;
      bool has_alias = !is_star && !item->GetAlias().empty();
      if (has_alias && item->ToString().find(" AS ") == std::string::npos) {
        rows.select_list += " AS " + QuotedName(item->GetAlias());
      }
    }
    if (rows.time.empty()) WrongTime(stream);
    rows.from = QuotedName(table.table_name);
    if (!table.alias.empty()) rows.from += " AS " + QuotedName(table.alias);
    if (select.where_clause) rows.from += " WHERE " + select.where_clause->ToString();
    return rows;
  }

  static bool IsName(const std::string& quoted, const std::string& name) {
    return duckdb::StringUtil::CIEquals(quoted, QuotedName(name));
  }
  [[noreturn]] static void WrongTime(const Stream& stream) {
    throw Error(ErrorCode::kInvalidSql,
                "windows over stream \"" + stream.name + "\" are told by its watermark's column",
                "Write DESCRIPTOR(" + stream.watermark->column + ").");
  }
  [[noreturn]] static void TooMuch() {
    throw Error(ErrorCode::kInvalidSql,
                "a window that closes is over a stream, or over one SELECT of a stream",
                "Filter and choose columns inside TABLE (SELECT ...); join and group outside.");
  }

  const View& view_;
  const CatalogState& catalog_;
  Micros lateness_;
  std::vector<std::string> closed_by_;
};

}  // namespace

void SpellOutEventTime(View& view, const CatalogState& catalog) {
  view.spelled_out = {};
  if (view.HasEventTime()) view.spelled_out = KernelSql(Speller(view, catalog).Query());
}

std::vector<View> LateViews(const View& view, const CatalogState& catalog) {
  std::vector<View> views;
  if (!view.HasEventTime()) return views;
  auto late = Speller(view, catalog).Late();
  for (auto& [stream, queries] : late) {
    View rows;
    rows.name = view.name + "_late" + (late.size() > 1 ? "_" + stream : "");
    rows.late_of = view.name;
    rows.from_project = view.from_project;
    for (auto& query : queries) rows.query += (rows.query.empty() ? "" : " UNION ALL ") + query;
    rows.kernel_sql = KernelSql(rows.query);
    rows.comment = "late rows of " + view.name;
    rows.sql = "CREATE MATERIALIZED VIEW " + QuotedName(rows.name) + " AS " + rows.query;
    views.push_back(std::move(rows));
  }
  return views;
}

}  // namespace weir
