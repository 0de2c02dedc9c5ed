#include "oracle.h"

#include "duck/errors.h"
#include "duck/transaction_time.h"
#include "duckdb.hpp"
#include "duckdb/common/string_util.hpp"
#include "duckdb/main/appender.hpp"
#include "query/statements.h"

namespace weir {
namespace {

void Check(const duckdb::unique_ptr<duckdb::MaterializedQueryResult>& result) {
  if (result->HasError()) throw Error(ErrorCode::kQueryFailed, result->GetError());
}

std::string Quote(const std::string& name) { return duckdb::KeywordHelper::WriteQuoted(name, '"'); }

// Views come after those they read.
void CreateViews(duckdb::Connection& connection, const CatalogState& catalog) {
  std::map<std::string, std::shared_ptr<const View>> left = catalog.views;
  while (!left.empty()) {
    size_t before = left.size();
    for (auto entry = left.begin(); entry != left.end();) {
      bool ready = true;
      for (auto& name : NamesIn(entry->second->query)) ready = ready && !left.contains(name);
      if (!ready) {
        ++entry;
        continue;
      }
      auto made = connection.Query("CREATE VIEW " + Quote(entry->second->name) + " AS " +
                                   entry->second->query);
      entry = left.erase(entry);  // one that fails shows when it is asked for
    }
    if (left.size() == before) return;
  }
}

}  // namespace

BatchResult Oracle::Answer(const BatchRequest& request) {
  auto catalog = catalog_.Current();
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  Check(connection.Query("SET threads = 1"));
  Check(connection.Query("SET TimeZone = '" + catalog->time_zone + "'"));
  for (auto& [key, stream] : catalog->streams) {
    // No table has hidden columns, which * leaves out: they are there when somebody asks for them.
    bool hidden = request.sql.find("_offset") != std::string::npos ||
                  request.sql.find("_arrival_time") != std::string::npos;
    std::string columns;
    std::vector<size_t> projection;
    for (auto& column : stream->columns) {
      projection.push_back(projection.size());
      columns += Quote(column.name) + " " + column.type.ToString() + ", ";
    }
    if (hidden) {
      projection.push_back(kOffsetColumn);
      projection.push_back(kArrivalTimeColumn);
      columns += "_offset UBIGINT, _arrival_time TIMESTAMPTZ";
    }
    Check(connection.Query("CREATE TABLE " + Quote(stream->name) + "(" + columns + ")"));
    duckdb::Appender appender(connection, stream->name);
    lake_.Scan(*stream, projection, Offset{}, request.at, [&](const Columns& rows, Offset) {
      for (auto& chunk : rows.chunks) appender.AppendDataChunk(*chunk);
      return true;
    });
    appender.Close();
  }
  CreateViews(connection, *catalog);
  connection.BeginTransaction();
  SetTransactionTime(*connection.context, request.as_of);
  auto result = connection.Query(request.sql);
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
