#include "oracle.h"

#include <set>

#include "duck/errors.h"
#include "duck/functions/calendar_functions.h"
#include "duck/functions/decimal_casts.h"
#include "duck/functions/exact_sums.h"
#include "duck/functions/interval_forms.h"
#include "duck/functions/transaction_time.h"
#include "duck/plan/asof_joins.h"
#include "duck/plan/row_marks.h"
#include "duck/plan/row_subqueries.h"
#include "duck/plan/subquery_joins.h"
#include "duckdb.hpp"
#include "duckdb/common/string_util.hpp"
#include "duckdb/main/appender.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "query/batch_event_time.h"
#include "sql/window_functions.h"
#include "statements/statements.h"

namespace weir {
namespace {

void Check(const duckdb::unique_ptr<duckdb::MaterializedQueryResult>& result) {
  if (result->HasError()) throw Error(ErrorCode::kQueryFailed, result->GetError());
}

std::string Quote(const std::string& name) { return duckdb::KeywordHelper::WriteQuoted(name, '"'); }

// Where the rows of a stream, or the changes of a table, are.
std::string RelationOf(const Stream& stream) {
  return stream.IsTable() ? "changes of " + stream.name : "rows of " + stream.name;
}

// With the hidden columns, where it has such, plain ones.
std::string RowsOfStream(const Stream& stream, bool hidden) {
  std::string rows = "SELECT * FROM " + Quote(RelationOf(stream));
  if (hidden && stream.watermark) rows = RowsWithWatermark(stream, Quote(RelationOf(stream)));
  return "CREATE VIEW " + Quote(stream.name) + " AS " + rows;
}

// The rows of a table, said in another way than a query worker does.
std::string RowsOfTable(const Stream& table, bool hidden) {
  std::string key, changes = Quote(RelationOf(table));
  for (size_t column : table.primary_key) {
    key += (key.empty() ? "" : ", ") + Quote(table.columns[column].name);
  }
  return "CREATE VIEW " + Quote(table.name) + " AS SELECT * EXCLUDE (_deleted" +
         (hidden ? "" : ", _offset, _arrival_time") + ") FROM " + changes +
         " WHERE _offset IN (SELECT max(_offset) FROM " + changes + " GROUP BY " + key +
         ") AND _deleted IS NOT TRUE";
}

// As a query worker has it planned.
std::string WithRowsCompared(duckdb::Connection& connection, const std::string& query) {
  auto& context = *connection.context;
  duckdb::Parser parser(context.GetParserOptions());
  parser.ParseQuery(query);
  auto* select = dynamic_cast<duckdb::SelectStatement*>(parser.statements[0].get());
  if (!select) return query;
  bool changed = false;
  context.RunFunctionInTransaction([&] { changed = RewriteRowSubqueries(context, *select); });
  return changed ? select->ToString() : query;
}

// Views come after those they read.
void CreateViews(duckdb::Connection& connection, const CatalogState& catalog) {
  std::map<std::string, std::shared_ptr<const View>> left = catalog.views;
  while (!left.empty()) {
    size_t before = left.size();
    for (auto entry = left.begin(); entry != left.end();) {
      bool ready = true;
      for (auto& name : NamesIn(entry->second->kernel_sql)) ready = ready && !left.contains(name);
      if (!ready) {
        ++entry;
        continue;
      }
      auto query = entry->second->Planned().text;
      connection.Query("CREATE VIEW " + Quote(entry->second->name) + " AS " +
                       WithRowsCompared(connection, query));
      entry = left.erase(entry);  // one that fails shows when it is asked for
    }
    if (left.size() == before) return;
  }
}

}  // namespace

Oracle::Oracle(Catalog& catalog, Lake& lake, std::string rule_off)
    : catalog_(catalog), lake_(lake), rule_off_(std::move(rule_off)) {}
Oracle::~Oracle() = default;

struct Oracle::Tables {
  // One thread from the start: the race detector cannot see how DuckDB's threads agree.
  explicit Tables(const std::string& rule_off) {
    duckdb::DBConfig config;
    config.SetOptionByName("threads", duckdb::Value::INTEGER(1));
    database = std::make_unique<duckdb::DuckDB>(nullptr, &config);
    InstallCalendarFunctions(*database->instance);  // as query workers have them
    connection = std::make_unique<duckdb::Connection>(*database);
    InstallSubqueryJoins(*database, true);
    InstallRowMarks(*database);
    InstallRowSubqueries(*database);
    InstallAsofJoins(*database);
    InstallIntervalForms(*database);
    InstallDecimalCasts(*database);
    InstallExactSums(*database);
    // Wrong in DuckDB 1.5.5 (see query/worker_query.cc).
    Check(connection->Query("SET disabled_optimizers = 'join_filter_pushdown,join_elimination," +
                            std::string("top_n_window_elimination") +
                            (rule_off.empty() ? "" : ",") + rule_off + "'"));
  }
  std::unique_ptr<duckdb::DuckDB> database;
  std::unique_ptr<duckdb::Connection> connection;
  Offset loaded;
};

// Tables of every stream with all rows up to a position; new rows are added to those of last time.
// No table has hidden columns, which * leaves out: `hidden` makes them plain ones.
duckdb::Connection& Oracle::Load(const CatalogState& catalog, Offset at, bool hidden) {
  auto& tables = tables_[hidden];
  if (!tables || version_ != catalog.version || tables->loaded > at) {
    if (version_ != catalog.version) tables_.clear();
    version_ = catalog.version;
    auto fresh = std::make_unique<Tables>(rule_off_);
    Check(fresh->connection->Query("SET TimeZone = '" + catalog.time_zone + "'"));
    for (auto& [key, stream] : catalog.streams) {
      std::string columns;
      for (auto& column : stream->columns) {
        columns += Quote(column.name) + " " + column.type.ToString() + ", ";
      }
      bool ordered = hidden || stream->IsTable();
      if (ordered) columns += "_offset UBIGINT, _arrival_time TIMESTAMPTZ";
      Check(fresh->connection->Query("CREATE TABLE " + Quote(RelationOf(*stream)) + "(" + columns +
                                     ")"));
      Check(fresh->connection->Query(stream->IsTable() ? RowsOfTable(*stream, hidden)
                                                       : RowsOfStream(*stream, hidden)));
    }
    if (hidden) {
      Check(fresh->connection->Query(OnTimeMacro()));
      Check(fresh->connection->Query(ClosedMacro({})));
    }
    CreateViews(*fresh->connection, catalog);
    tables_[hidden] = std::move(fresh);
  }
  auto& current = *tables_[hidden];
  for (auto& [key, stream] : catalog.streams) {
    std::vector<size_t> projection;
    while (projection.size() < stream->columns.size()) projection.push_back(projection.size());
    if (hidden || stream->IsTable()) {
      projection.insert(projection.end(), {kOffsetColumn, kArrivalTimeColumn});
    }
    duckdb::Appender appender(*current.connection, RelationOf(*stream));
    lake_.Scan(*stream, projection, current.loaded, at, [&](const Columns& rows, Offset) {
      for (auto& chunk : rows.chunks) appender.AppendDataChunk(*chunk);
      return true;
    });
    appender.Close();
  }
  current.loaded = at;
  return *current.connection;
}

BatchResult Oracle::Answer(const BatchRequest& request) {
  auto catalog = catalog_.Current();
  std::lock_guard lock(mutex_);
  auto mentions = [](const std::string& query) {
    return query.find("_offset") != query.npos || query.find("_arrival_time") != query.npos ||
           query.find("_watermark") != query.npos;
  };
  std::string all = request.sql.text;  // and the queries of the views it reads
  std::set<std::string> seen;
  for (bool more = true; more;) {
    more = false;
    for (auto& [name, view] : catalog->views) {
      if (all.find(view->name) == std::string::npos || !seen.insert(name).second) continue;
      all += " " + view->Planned().text;
      more = true;
    }
  }
  bool hidden = mentions(all);
  auto& connection = Load(*catalog, request.at, hidden);
  if (hidden) {
    std::map<std::string, std::optional<Micros>> watermarks;
    for (auto& [name, stream] : catalog->streams) {
      if (!stream->watermark) continue;
      auto result = connection.Query(WatermarkAt(*stream, Quote(RelationOf(*stream)),
                                                 request.log_time.value_or(request.as_of)));
      Check(result);
      auto value = result->GetValue(0, 0);
      auto& watermark = watermarks[stream->name];
      if (!value.IsNull()) watermark = value.GetValue<int64_t>();
    }
    Check(connection.Query(ClosedMacro(watermarks)));
  }
  connection.BeginTransaction();
  SetTransactionTime(*connection.context, request.as_of);
  auto result = connection.Query(WithRowsCompared(connection, request.sql.text));
  if (result->HasError()) connection.Rollback();
  Check(result);
  BatchResult answer;
  for (size_t i = 0; i < result->names.size(); i++) {
    answer.columns.push_back({result->names[i], result->types[i]});
  }
  while (auto chunk = result->Fetch()) {
    if (chunk->size() == 0) break;
    auto copy = std::make_unique<duckdb::DataChunk>();  // outlives the database
    copy->Initialize(duckdb::Allocator::DefaultAllocator(), result->types);
    chunk->Copy(*copy);
    answer.rows.rows += copy->size();
    answer.rows.chunks.push_back(std::move(copy));
  }
  connection.Commit();
  return answer;
}

void Oracle::Run(BatchRequest request, std::function<void(BatchResult)> done) {
  BatchResult answer;
  try {
    answer = Answer(request);
  } catch (...) {
    answer.error = std::current_exception();
  }
  done(std::move(answer));
}

}  // namespace weir
