// Streams out of queries: CREATE STREAM ... AS, CREATE PUMP, INSERT INTO stream SELECT.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "query/shut_in.h"
#include "statements/dependencies.h"
#include "statements/statements.h"

namespace weir {
namespace {

void CheckRoomFor(const Views& views, const std::string& pump) {
  views.CheckRoom(ErrorCode::kLimitExceeded, "pump " + InQuotes(pump) + " is not made");
}

}  // namespace

std::string NameForPump(const CatalogState& state, const Stream& stream) {
  std::string name = stream.name + "_pump";
  for (int n = 2; state.FindPump(name) || state.FindView(name) || state.FindStream(name); n++) {
    name = stream.name + "_pump" + std::to_string(n);
  }
  return name;
}

void AddPump(CatalogState& state, Views& views, Pump pump) {
  if (state.FindPump(pump.name)) {
    throw Error(ErrorCode::kAlreadyExists, "there is already a pump " + InQuotes(pump.name));
  }
  auto stream = state.FindStream(pump.stream);
  if (stream->IsTable()) {
    throw Error(
        ErrorCode::kInvalidSql, "a pump feeds a stream; " + InQuotes(stream->name) + " is a table",
        "Keep the query as a MATERIALIZED VIEW, or write the table by INSERT INTO by itself, "
        "which runs once.");
  }
  auto named_so = state.FindStream(pump.name);
  if (state.FindView(pump.name) || (named_so && named_so->id != pump.stream)) {
    throw Error(ErrorCode::kAlreadyExists,
                "there is already a stream or view " + InQuotes(pump.name));
  }
  if (!stream->dedup_key.empty()) {
    throw Error(
        ErrorCode::kInvalidRequest,
        "stream " + InQuotes(stream->name) + " has a dedup_key, which is the door's",
        "What a query emits comes once by itself; say SELECT DISTINCT in the query, or feed "
        "a stream without dedup_key.");
  }
  std::vector<std::string> columns;
  for (auto& column : pump.columns) {
    auto found = stream->Find(column);
    if (!found) {
      throw Error(ErrorCode::kInvalidSql,
                  "stream " + InQuotes(stream->name) + " has no column " + InQuotes(column));
    }
    for (auto& other : columns) {
      if (other == stream->columns[*found].name) {
        throw Error(ErrorCode::kInvalidSql, "column " + InQuotes(column) + " is there twice");
      }
    }
    columns.push_back(stream->columns[*found].name);
  }
  pump.columns = std::move(columns);
  views.CheckPump(state, pump);
  pump.id = state.next_id++;
  auto kept = std::make_shared<Pump>(std::move(pump));
  state.pumps[Lower(kept->name)] = kept;
  CheckNoLoop(state);
}

void NameColumns(const CatalogState& state, Views& views, const KernelSql& query, Stream& stream) {
  for (auto& column : views.Bind(state, query)) {
    if (stream.Find(column.name)) {
      throw Error(ErrorCode::kInvalidSql, "column " + InQuotes(column.name) + " is there twice",
                  "Give one of them another name with AS.");
    }
    std::string lower = Lower(column.name);  // names that differ in case alone are one
    if (lower == "_offset" || lower == "_arrival_time" || lower == "_watermark") {
      throw Error(ErrorCode::kInvalidSql,
                  InQuotes(column.name) + " is a column that every stream has by itself",
                  "Give it another name with AS.");
    }
    if (column.type.id() == duckdb::LogicalTypeId::SQLNULL) {
      column.type = duckdb::LogicalType::INTEGER;  // as CREATE TABLE AS does
    }
    stream.columns.push_back(std::move(column));
  }
}

bool IsStanding(const CatalogState& state, const Insert& insert) {
  if (insert.query.empty() || state.GetStream(insert.table)->IsTable()) return false;
  auto names = NamesIn(KernelSql(insert.query));
  return std::any_of(names.begin(), names.end(),
                     [&](auto& name) { return state.FindStream(name) || state.FindView(name); });
}

Pump PumpOf(const CatalogState& state, Views& views, const Insert& insert, StreamId stream) {
  if (insert.on_conflict != Insert::OnConflict::kError) {
    throw Error(ErrorCode::kInvalidSql,
                "a stream has no key for ON CONFLICT or OR REPLACE to go by",
                "Leave it out, or INSERT INTO a table.");
  }
  if (insert.query.empty()) {
    throw Error(ErrorCode::kInvalidSql, "a pump's INSERT takes a query, not VALUES",
                "INSERT INTO ... VALUES by itself writes events once.");
  }
  CheckShutIn(insert.kernel_sql);
  Pump pump;
  pump.stream = stream;
  pump.columns = insert.columns;
  if (insert.by_name) {
    for (auto& column : views.Bind(state, insert.kernel_sql)) pump.columns.push_back(column.name);
  }
  pump.query = insert.query_text;
  pump.kernel_sql = insert.kernel_sql;
  pump.sql = insert.text;
  return pump;
}

Pump::Start StartNow(const Views& views) {
  auto now = views.Now();
  return {now.offset, now.clock, now.log_time};
}

ResultTable Statements::CreateDerived(const CreateStream& create) {
  CheckRoomFor(views_, create.stream.name);
  catalog_.ChangeBeside([&](CatalogState& state) {
    CheckNameIsFree(state, create.stream.name);
    auto stream = std::make_shared<Stream>(create.stream);
    CheckShutIn(create.kernel_sql);
    if (stream->columns.empty()) NameColumns(state, views_, create.kernel_sql, *stream);
    stream->id = StreamId{state.next_id++};
    stream->derived = true;
    state.streams[Lower(stream->name)] = stream;
    Pump pump;
    pump.name = stream->name;
    pump.stream = stream->id;
    pump.query = create.query;
    pump.kernel_sql = create.kernel_sql;
    pump.sql = stream->sql;
    if (create.from_now) pump.start = StartNow(views_);
    AddPump(state, views_, std::move(pump));
  });
  views_.Reconcile();
  return {{}, {}, "created stream " + InQuotes(create.stream.name) + ", fed by its query"};
}

ResultTable Statements::Do(const CreatePump& create) {
  ResultTable there{{}, {}, "pump " + InQuotes(create.name) + " is there already"};
  if (create.if_not_exists && catalog_.Current()->FindPump(create.name)) return there;
  CheckRoomFor(views_, create.name);
  bool came_first = false;  // another statement, which made it meanwhile
  catalog_.ChangeBeside([&](CatalogState& state) {
    came_first = create.if_not_exists && state.FindPump(create.name);
    if (came_first) return;
    auto stream = state.GetStream(create.insert.table);
    Pump pump = PumpOf(state, views_, create.insert, stream->id);
    pump.name = create.name;
    if (create.from_now) pump.start = StartNow(views_);
    AddPump(state, views_, std::move(pump));
  });
  if (came_first) return there;
  views_.Reconcile();
  return {{}, {}, "created pump " + InQuotes(create.name)};
}

ResultTable Statements::CreateUnnamedPump(const Insert& insert) {
  std::string name;
  CheckRoomFor(views_, insert.table);
  catalog_.ChangeBeside([&](CatalogState& state) {
    auto stream = state.GetStream(insert.table);
    Pump pump = PumpOf(state, views_, insert, stream->id);
    pump.name = name = NameForPump(state, *stream);
    AddPump(state, views_, std::move(pump));
  });
  views_.Reconcile();
  return {{},
          {},
          "created pump " + InQuotes(name) + ", which goes on as events come; DROP PUMP " + name +
              " ends it"};
}

ResultTable Statements::DropPump(const Drop& drop) {
  ResultTable nothing{{}, {}, "there was no " + InQuotes(drop.name)};
  if (drop.if_exists && !catalog_.Current()->FindPump(drop.name)) return nothing;
  bool went_first = false;  // another statement dropped it meanwhile
  catalog_.Change([&](CatalogState& state) {
    went_first = drop.if_exists && !state.FindPump(drop.name);
    if (went_first) return;
    auto pump = state.GetPump(drop.name);
    RemovePump(state, Lower(pump->name));
  });
  if (went_first) return nothing;
  views_.Reconcile();
  return {{}, {}, "dropped pump " + InQuotes(drop.name) + "; what it emitted stays"};
}

void RemovePump(CatalogState& state, const std::string& lower_name) {
  auto pump = state.pumps.at(lower_name);
  state.pumps.erase(lower_name);
  // A stream of a query that is no more is now one like any other.
  auto stream = state.FindStream(pump->stream);
  if (stream && Lower(stream->name) == lower_name) {
    auto plain = std::make_shared<Stream>(*stream);
    plain->derived = false;
    state.streams[Lower(plain->name)] = plain;
  }
}

}  // namespace weir
