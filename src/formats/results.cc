#include "formats/results.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/time.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/types/uuid.hpp"
#include "duckdb/common/types/value.hpp"
#include "formats/json_value.h"

namespace weir {
namespace {

using duckdb::LogicalTypeId;
using duckdb::Value;

void AppendJson(const Value& value, bool exact, std::string& out);

void AppendDouble(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "\"NaN\"";
  } else if (std::isinf(value)) {
    out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  } else {
    fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), value);
  }
}

template <class Values>
void AppendJsonList(const Values& values, bool exact, std::string& out) {
  out += '[';
  for (size_t i = 0; i < values.size(); i++) {
    if (i) out += ',';
    AppendJson(values[i], exact, out);
  }
  out += ']';
}

// Between the tokens of JSON a line may end, and readers of lines must not see that.
void AppendJsonText(std::string_view json, std::string& out) {
  size_t begin = out.size();
  out += json;
  std::replace_if(
      out.begin() + static_cast<ptrdiff_t>(begin), out.end(),
      [](char c) { return c == '\n' || c == '\r'; }, ' ');
}

void AppendJsonStruct(const Value& value, bool exact, std::string& out) {
  auto& fields = duckdb::StructType::GetChildTypes(value.type());
  auto& values = duckdb::StructValue::GetChildren(value);
  out += '{';
  for (size_t i = 0; i < fields.size(); i++) {
    if (i) out += ',';
    AppendQuotedJson(out, fields[i].first);
    out += ':';
    AppendJson(values[i], exact, out);
  }
  out += '}';
}

void AppendJsonMap(const Value& value, bool exact, std::string& out) {
  out += '{';
  bool first = true;
  for (auto& entry : duckdb::MapValue::GetChildren(value)) {
    auto& pair = duckdb::StructValue::GetChildren(entry);
    if (!first) out += ',';
    first = false;
    AppendQuotedJson(out, pair[0].ToString());
    out += ':';
    AppendJson(pair[1], exact, out);
  }
  out += '}';
}

// Any value, by way of duckdb::Value: for nested types and those without a path of their own.
void AppendJson(const Value& value, bool exact, std::string& out) {
  if (value.IsNull()) {
    out += "null";
    return;
  }
  auto& type = value.type();
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN: out += value.GetValue<bool>() ? "true" : "false"; return;
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::UINTEGER: out += value.ToString(); return;
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
    case LogicalTypeId::DECIMAL:
      if (exact) {
        AppendQuotedJson(out, value.ToString());
      } else {
        out += value.ToString();
      }
      return;
    case LogicalTypeId::FLOAT: {
      float number = value.GetValue<float>();
      if (std::isfinite(number)) {
        fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), number);
      } else {
        AppendDouble(number, out);
      }
      return;
    }
    case LogicalTypeId::DOUBLE: AppendDouble(value.GetValue<double>(), out); return;
    case LogicalTypeId::LIST:
      return AppendJsonList(duckdb::ListValue::GetChildren(value), exact, out);
    case LogicalTypeId::ARRAY:
      return AppendJsonList(duckdb::ArrayValue::GetChildren(value), exact, out);
    case LogicalTypeId::STRUCT: return AppendJsonStruct(value, exact, out);
    case LogicalTypeId::MAP: return AppendJsonMap(value, exact, out);
    default:
      if (type.IsJSONType()) {
        AppendJsonText(duckdb::StringValue::Get(value), out);
      } else {
        AppendQuotedJson(out, value.ToString());
      }
  }
}

// One column of a chunk, ready to give single values as JSON without making a Value.
class CellWriter {
 public:
  CellWriter(duckdb::Vector& vector, duckdb::idx_t count, bool exact)
      : vector_(vector), type_(vector.GetType()), exact_(exact) {
    vector.ToUnifiedFormat(count, format_);
  }

  void AppendJsonCell(duckdb::idx_t row, std::string& out) {
    auto index = format_.sel->get_index(row);
    if (!format_.validity.RowIsValid(index)) {
      out += "null";
      return;
    }
    switch (type_.id()) {
      case LogicalTypeId::BIGINT:
        if (exact_) out += '"';
        fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), Get<int64_t>(index));
        if (exact_) out += '"';
        return;
      case LogicalTypeId::INTEGER:
        fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), Get<int32_t>(index));
        return;
      case LogicalTypeId::DOUBLE: return AppendDouble(Get<double>(index), out);
      case LogicalTypeId::VARCHAR: {
        auto text = Get<duckdb::string_t>(index);
        if (type_.IsJSONType()) {
          AppendJsonText(std::string_view(text.GetData(), text.GetSize()), out);
        } else {
          AppendQuotedJson(out, std::string_view(text.GetData(), text.GetSize()));
        }
        return;
      }
      default: AppendJson(vector_.GetValue(row), exact_, out);
    }
  }

  void AppendCsvCell(duckdb::idx_t row, std::string& out) {
    auto index = format_.sel->get_index(row);
    if (!format_.validity.RowIsValid(index)) return;
    std::string text = vector_.GetValue(row).ToString();
    bool quote = text.empty() || text.find_first_of(",\"\r\n") != std::string::npos;
    if (!quote) {
      out += text;
      return;
    }
    out += '"';
    for (char c : text) {
      if (c == '"') out += '"';
      out += c;
    }
    out += '"';
  }

 private:
  template <class T>
  T Get(duckdb::idx_t index) {
    return duckdb::UnifiedVectorFormat::GetDataUnsafe<T>(format_)[index];
  }
  duckdb::Vector& vector_;
  duckdb::LogicalType type_;
  bool exact_;
  duckdb::UnifiedVectorFormat format_;
};

std::vector<CellWriter> Cells(duckdb::DataChunk& rows, bool exact) {
  std::vector<CellWriter> cells;
  for (auto& column : rows.data) cells.emplace_back(column, rows.size(), exact);
  return cells;
}

}  // namespace

std::string JsonColumns(const std::vector<Column>& columns) {
  std::string out;
  for (auto& column : columns) {
    if (!out.empty()) out += ',';
    out += "{\"name\":";
    AppendQuotedJson(out, column.name);
    out += ",\"type\":";
    AppendQuotedJson(out, column.type.ToString());
    out += '}';
  }
  return out;
}

void AppendJsonRows(duckdb::DataChunk& rows, bool exact, std::string& out) {
  auto cells = Cells(rows, exact);
  for (duckdb::idx_t row = 0; row < rows.size(); row++) {
    if (row) out += ',';
    out += '[';
    for (size_t column = 0; column < cells.size(); column++) {
      if (column) out += ',';
      cells[column].AppendJsonCell(row, out);
    }
    out += ']';
  }
}

std::string JsonRowsOf(const Columns& columns, bool exact) {
  std::string out = "[";
  for (auto& chunk : columns.chunks) {
    if (chunk->size() == 0) continue;
    if (out.size() > 1) out += ',';
    AppendJsonRows(*chunk, exact, out);
  }
  return out + "]";
}

void AppendNdjsonRows(const std::vector<Column>& columns, duckdb::DataChunk& rows, bool exact,
                      std::string& out) {
  auto cells = Cells(rows, exact);
  std::vector<std::string> keys;
  for (auto& column : columns) keys.push_back(QuoteJson(column.name) + ":");
  for (duckdb::idx_t row = 0; row < rows.size(); row++) {
    out += '{';
    for (size_t column = 0; column < cells.size(); column++) {
      if (column) out += ',';
      out += keys[column];
      cells[column].AppendJsonCell(row, out);
    }
    out += "}\n";
  }
}

std::string CsvHeader(const std::vector<Column>& columns) {
  std::string out;
  for (size_t i = 0; i < columns.size(); i++) {
    if (i) out += ',';
    const std::string& name = columns[i].name;
    if (name.find_first_of(",\"\r\n") == std::string::npos) {
      out += name;
      continue;
    }
    out += '"';
    for (char c : name) {
      if (c == '"') out += '"';
      out += c;
    }
    out += '"';
  }
  return out + "\r\n";
}

void AppendCsvRows(duckdb::DataChunk& rows, std::string& out) {
  auto cells = Cells(rows, false);
  for (duckdb::idx_t row = 0; row < rows.size(); row++) {
    for (size_t column = 0; column < cells.size(); column++) {
      if (column) out += ',';
      cells[column].AppendCsvCell(row, out);
    }
    out += "\r\n";
  }
}

std::string IsoTime(Micros micros) {
  duckdb::timestamp_t time(micros);
  auto date = duckdb::Timestamp::GetDate(time);
  auto clock = duckdb::Timestamp::GetTime(time);
  int32_t year, month, day, hour, minute, second, fraction;
  duckdb::Date::Convert(date, year, month, day);
  duckdb::Time::Convert(clock, hour, minute, second, fraction);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", year, month, day, hour, minute,
                     second, fraction / 1000);
}

}  // namespace weir
