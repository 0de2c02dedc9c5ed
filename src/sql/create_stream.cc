// CREATE STREAM and CREATE TABLE.
#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/interval.hpp"
#include "sql/statement_parts.h"

namespace weir {
namespace {

// What SQL says of columns elsewhere and DuckDB would read as a part of the type.
void RefuseConstraint(StatementReader& in) {
  for (auto* word : {"DEFAULT", "CHECK", "UNIQUE", "REFERENCES", "COLLATE", "GENERATED", "AS"}) {
    if (!in.Is(word)) continue;
    in.Fail(std::string("a column has a type, NOT NULL and PRIMARY KEY, but no ") + word);
  }
}

// The tokens up to what can only follow a type.
duckdb::LogicalType ReadType(StatementReader& in) {
  size_t begin = in.Position(), left = in.Left();
  int depth = 0;
  for (; !in.AtEnd(); in.Skip(1)) {
    if (depth == 0) {
      if (in.IsSymbol(',') || in.IsSymbol(')') || in.Is("NOT") || in.Is("NULL") || in.Is("PRIMARY"))
        break;
      // TIMESTAMP WITH TIME ZONE has a WITH of its own.
      if (in.Is("WITH") && !in.Is("TIME", 1)) break;
      RefuseConstraint(in);
    }
    if (in.IsSymbol('(')) depth++;
    if (in.IsSymbol(')')) depth--;
  }
  if (in.Left() == left) in.Fail("expected a type");
  try {
    return ParseColumnType(std::string(in.text().substr(begin, in.LastEnd() - begin)));
  } catch (const Error& error) {
    in.FailAt(begin, error.message);
  }
}

// Whether a column's times can be told in microseconds; TIMESTAMP(0) and TIMESTAMP(3), which other
// engines have event times of, are then kept as TIMESTAMP.
bool BecomesMicros(Column& column) {
  using duckdb::LogicalTypeId;
  auto type = column.type.id();
  bool is_coarser = type == LogicalTypeId::TIMESTAMP_SEC || type == LogicalTypeId::TIMESTAMP_MS;
  if (is_coarser) column.type = duckdb::LogicalType::TIMESTAMP;
  return is_coarser || type == LogicalTypeId::TIMESTAMP || type == LogicalTypeId::TIMESTAMP_TZ;
}

void ReadColumnOptions(StatementReader& in, Column& column) {
  in.Options("a column", {"epoch"}, [&](const StatementReader::Option& option) {
    if (!BecomesMicros(column)) {
      in.FailAt(option.position, "an epoch is of a TIMESTAMP or TIMESTAMPTZ column");
    }
    if (option.value == "s") {
      column.epoch = EpochUnit::kSeconds;
    } else if (option.value == "ms") {
      column.epoch = EpochUnit::kMillis;
    } else if (option.value == "us") {
      column.epoch = EpochUnit::kMicros;
    } else {
      in.FailAt(option.value_position, "an epoch is in 's', 'ms' or 'us'");
    }
  });
}

void ReadColumn(StatementReader& in, Stream& stream, bool of_table) {
  size_t position = in.Position();
  Column column;
  column.name = in.Name("column");
  if (stream.Find(column.name)) {
    in.FailAt(position, "column \"" + column.name + "\" is there twice");
  }
  auto is = [&](const char* name) { return duckdb::StringUtil::CIEquals(column.name, name); };
  if (is("_offset") || is("_arrival_time") || is("_watermark") ||
      (of_table && duckdb::StringUtil::CIEquals(column.name, kDeletedColumn))) {
    in.FailAt(position, "\"" + column.name + "\" is a column that every " +
                            (of_table ? "table" : "stream") + " has by itself");
  }
  column.type = ReadType(in);
  while (!in.AtEnd() && !in.IsSymbol(',') && !in.IsSymbol(')')) {
    if (in.Is("NOT") && in.Is("NULL", 1)) {
      in.Skip(2);
      column.not_null = true;
    } else if (in.Take("NULL")) {
    } else if (of_table && in.Is("PRIMARY") && in.Is("KEY", 1)) {
      if (stream.IsTable()) in.Fail("a table has one PRIMARY KEY");
      in.Skip(2);
      stream.primary_key.push_back(stream.columns.size());
    } else if (in.Take("WITH")) {
      ReadColumnOptions(in, column);
    } else {
      RefuseConstraint(in);
      in.Fail("unexpected \"" + in.Token().text + "\" in a column");
    }
  }
  stream.columns.push_back(std::move(column));
}

void ReadWatermark(StatementReader& in, Stream& stream) {
  in.Skip(2);
  size_t position = in.Position();
  if (stream.watermark) in.FailAt(position, "a stream has one WATERMARK");
  Watermark watermark;
  watermark.column = in.Name("column");
  auto column = stream.Find(watermark.column);
  if (!column) {
    in.FailAt(position, "there is no column \"" + watermark.column + "\" before the WATERMARK");
  }
  if (!BecomesMicros(stream.columns[*column])) {
    in.FailAt(position,
              "a watermark needs a TIMESTAMP or TIMESTAMPTZ column (of microseconds at the most)");
  }
  in.Expect("AS");
  if (!duckdb::StringUtil::CIEquals(in.Name("column"), watermark.column)) {
    in.Fail("a watermark is written as COLUMN - INTERVAL ...");
  }
  if (in.TakeSymbol('-')) {
    size_t delay_position = in.Position();
    watermark.delay = in.Interval();
    if (watermark.delay < 0) {
      in.FailAt(delay_position, "a watermark stays behind its column");
    }
  }
  stream.watermark = watermark;
}

void ReadPrimaryKey(StatementReader& in, Stream& table) {
  if (table.IsTable()) in.Fail("a table has one PRIMARY KEY");
  in.Skip(2);
  in.ExpectSymbol('(');
  do {
    size_t position = in.Position();
    std::string name = in.Name("column");
    auto column = table.Find(name);
    if (!column) {
      in.FailAt(position, "there is no column \"" + name + "\" before the PRIMARY KEY");
    }
    if (table.IsKey(*column)) {
      in.FailAt(position, "column \"" + name + "\" is in the key twice");
    }
    table.primary_key.push_back(*column);
  } while (in.TakeSymbol(','));
  in.ExpectSymbol(')');
}

UnknownFields AsUnknownFields(StatementReader& in, const StatementReader::Option& option) {
  if (option.value == "reject") return UnknownFields::kReject;
  if (option.value == "ignore") return UnknownFields::kIgnore;
  in.FailAt(option.value_position, "unknown_fields is 'ignore' or 'reject'");
}

void ReadStreamOptions(StatementReader& in, CreateStream& create) {
  Stream& stream = create.stream;
  auto take = [&](const StatementReader::Option& option) {
    if (option.name == "start") {
      create.from_now = IsStartNow(in, option);
    } else if (option.name == "dedup_key") {
      auto column = stream.Find(option.value);
      if (!column) {
        in.FailAt(option.value_position, "there is no column \"" + option.value + "\"");
      }
      stream.dedup_key = stream.columns[*column].name;
    } else if (option.name == "dedup_window") {
      stream.dedup_window = in.IntervalOf(option);
    } else if (option.name == "unknown_fields") {
      stream.unknown_fields = AsUnknownFields(in, option);
    } else if (option.name == "idle_timeout") {
      if (!stream.watermark) in.FailAt(option.position, "idle_timeout needs a WATERMARK");
      stream.watermark->idle_timeout.reset();
      if (!duckdb::StringUtil::CIEquals(option.value, "never")) {
        stream.watermark->idle_timeout = in.IntervalOf(option);
      }
    }
  };
  in.Options("a stream", {"dedup_key", "dedup_window", "idle_timeout", "unknown_fields", "start"},
             take);
  if (stream.dedup_key.empty() != (stream.dedup_window == 0)) {
    if (stream.dedup_key.empty()) in.Fail("dedup_window needs a dedup_key");
    stream.dedup_window = duckdb::Interval::MICROS_PER_DAY;
  }
}

void ReadTableOptions(StatementReader& in, Stream& table) {
  bool refreshed = false;
  ReferenceFile file;
  auto take = [&](const StatementReader::Option& option) {
    if (option.name == "source") {
      file.path = option.value;
    } else if (option.name == "refresh") {
      refreshed = true;
      bool on_change = option.value == "on change";
      file.refresh = on_change ? 0 : in.IntervalOf(option);
      if (file.refresh < 0 || (file.refresh == 0 && !on_change)) {
        in.FailAt(option.value_position, "refresh is a length of time ('1 hour') or 'on change'");
      }
    } else if (option.name == "unknown_fields") {
      table.unknown_fields = AsUnknownFields(in, option);
    }
  };
  in.Options("a table", {"source", "refresh", "unknown_fields"}, take);
  if (refreshed && file.path.empty()) in.Fail("refresh needs a source");
  if (!file.path.empty()) table.reference = file;
}

}  // namespace

CreateStream ReadCreateStream(StatementReader& in) {
  CreateStream create;
  create.if_not_exists = in.TakeIfNotExists();
  Stream& stream = create.stream;
  stream.name = in.Name("stream");
  bool columns = in.TakeSymbol('(');
  if (columns) {
    do {
      if (in.Is("WATERMARK") && in.Is("FOR", 1)) {
        ReadWatermark(in, stream);
      } else {
        ReadColumn(in, stream, false);
      }
    } while (in.TakeSymbol(','));
    in.ExpectSymbol(')');
    if (stream.columns.empty()) in.Fail("a stream has at least one column");
  } else if (!in.Is("AS") && !in.Is("WITH")) {
    in.ExpectSymbol('(');
  }
  if (in.Take("WITH")) ReadStreamOptions(in, create);
  if (in.Take("AS")) {
    auto query = ReadQuery(in, "a derived stream");
    create.query = std::move(query.written);
    create.kernel_sql = std::move(query.kernel_sql);
  } else if (!columns) {
    in.Fail("expected columns in parentheses, or AS and a query");
  } else if (create.from_now) {
    in.Fail("start is an option of a stream made of a query (AS SELECT ...)");
  }
  in.ExpectEnd();
  stream.sql = in.Whole();
  return create;
}

CreateStream ReadCreateTable(StatementReader& in) {
  CreateStream create;
  create.if_not_exists = in.TakeIfNotExists();
  Stream& table = create.stream;
  table.name = in.Name("table");
  if (in.Is("AS")) {
    in.Fail(
        "a table has a primary key: CREATE TABLE name (columns, PRIMARY KEY (...)), then INSERT "
        "INTO name SELECT ...");
  }
  in.ExpectSymbol('(');
  do {
    if (in.Is("PRIMARY") && in.Is("KEY", 1)) {
      ReadPrimaryKey(in, table);
    } else {
      ReadColumn(in, table, true);
    }
  } while (in.TakeSymbol(','));
  in.ExpectSymbol(')');
  if (!table.IsTable()) {
    in.Fail(
        "a table has a PRIMARY KEY: it says which row a change is about (without one, use a "
        "stream)");
  }
  for (size_t key : table.primary_key) {
    auto& column = table.columns[key];
    column.not_null = true;
    auto id = column.type.id();
    // Values that are equal and look different (0.0 and -0.0, 1 month and 30 days).
    if (column.type.IsFloating() || column.type.IsNested() ||
        id == duckdb::LogicalTypeId::INTERVAL || id == duckdb::LogicalTypeId::TIME_TZ) {
      in.Fail("a primary key is of whole numbers, decimals, texts, dates and the like; column \"" +
              column.name + "\" is " + column.type.ToString());
    }
  }
  if (in.Take("WITH")) ReadTableOptions(in, table);
  in.ExpectEnd();
  table.columns.push_back({kDeletedColumn, duckdb::LogicalType::BOOLEAN});
  table.sql = in.Whole();
  return create;
}

}  // namespace weir
