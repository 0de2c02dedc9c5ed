#include "formats/column_writer.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "duck/functions/decimal_text.h"
#include "duckdb/common/types/value.hpp"
#include "fast_float/fast_float.h"
#include "formats/json_text.h"
#include "formats/json_value.h"
#include "formats/text_scan.h"

namespace weir {

using duckdb::LogicalTypeId;

namespace {

Micros LengthOf(EpochUnit unit) {
  switch (unit) {
    case EpochUnit::kSeconds: return 1'000'000;
    case EpochUnit::kMillis: return 1'000;
    case EpochUnit::kMicros: return 1;
    case EpochUnit::kNone: break;
  }
  return 0;
}

// What is wrong with the JSON texts in a value that was cast.
std::string JsonProblemIn(const duckdb::Value& value) {
  if (value.IsNull()) return {};
  auto& type = value.type();
  if (type.IsJSONType()) return JsonTextProblem(duckdb::StringValue::Get(value));
  if (!HoldsJson(type)) return {};
  const duckdb::vector<duckdb::Value>* children = nullptr;
  switch (type.id()) {
    case LogicalTypeId::LIST: children = &duckdb::ListValue::GetChildren(value); break;
    case LogicalTypeId::MAP: children = &duckdb::MapValue::GetChildren(value); break;
    case LogicalTypeId::ARRAY: children = &duckdb::ArrayValue::GetChildren(value); break;
    case LogicalTypeId::STRUCT: children = &duckdb::StructValue::GetChildren(value); break;
    default: return {};
  }
  for (auto& child : *children) {
    if (auto problem = JsonProblemIn(child); !problem.empty()) return problem;
  }
  return {};
}

}  // namespace

ColumnWriter::ColumnWriter(const Column& column)
    : reader_(ReaderFor(column)), epoch_unit_(LengthOf(column.epoch)), column_(column) {
  MakeChildren();
}

void ColumnWriter::Open(duckdb::Vector& vector, RowMemory::Hold* memory) {
  memory_ = memory;
  vector_ = &vector;
  values_ = duckdb::FlatVector::GetData(vector);
  validity_ = &duckdb::FlatVector::Validity(vector);
  room_.Open(vector);
  if (!children_.empty()) OpenChildren();
}

ColumnWriter::Reader ColumnWriter::ReaderFor(const Column& column) {
  if (column.type.IsJSONType()) return Reader::kJson;
  switch (column.type.id()) {
    case LogicalTypeId::VARCHAR: return Reader::kText;
    case LogicalTypeId::UUID: return Reader::kUuid;
    case LogicalTypeId::TIMESTAMP: return Reader::kTimestamp;
    case LogicalTypeId::TIMESTAMP_TZ: return Reader::kTimestampTz;
    case LogicalTypeId::BOOLEAN: return Reader::kBoolean;
    case LogicalTypeId::BIGINT: return Reader::kInt64;
    case LogicalTypeId::INTEGER: return Reader::kInt32;
    case LogicalTypeId::SMALLINT: return Reader::kInt16;
    case LogicalTypeId::TINYINT: return Reader::kInt8;
    case LogicalTypeId::UBIGINT: return Reader::kUint64;
    case LogicalTypeId::UINTEGER: return Reader::kUint32;
    case LogicalTypeId::USMALLINT: return Reader::kUint16;
    case LogicalTypeId::UTINYINT: return Reader::kUint8;
    case LogicalTypeId::DOUBLE: return Reader::kDouble;
    case LogicalTypeId::FLOAT: return Reader::kFloat;
    case LogicalTypeId::DECIMAL: return Reader::kDecimal;
    case LogicalTypeId::DATE: return Reader::kDate;
    case LogicalTypeId::LIST: return Reader::kList;
    case LogicalTypeId::STRUCT: return Reader::kStruct;
    case LogicalTypeId::MAP: return Reader::kMap;
    case LogicalTypeId::ARRAY: return Reader::kArray;
    default: return Reader::kCast;
  }
}

std::string ColumnWriter::NoValue() const { return NotA(column_.type); }

std::string ColumnWriter::WriteNull(duckdb::idx_t row) {
  if (column_.not_null) return "must not be NULL";
  duckdb::FlatVector::SetNull(*vector_, row, true);
  return {};
}

std::string ColumnWriter::Write(duckdb::idx_t row, TokenKind kind, std::string_view text) {
  if (kind == TokenKind::kNull) return WriteNull(row);
  switch (reader_) {
    case Reader::kText: return WriteText(row, text);
    case Reader::kUuid: {
      auto uuid = kind == TokenKind::kString ? ReadUuid(text) : std::nullopt;
      if (!uuid) return WriteCast(row, kind, text);
      Put(row, *uuid);
      return {};
    }
    case Reader::kTimestamp:
    case Reader::kTimestampTz: return WriteTime(row, kind, text);
    case Reader::kBoolean:
      if (kind == TokenKind::kTrue || kind == TokenKind::kFalse || text == "1" || text == "0") {
        Put(row, kind == TokenKind::kTrue || text == "1");
        return {};
      }
      return WriteCast(row, kind, text);
    case Reader::kInt64: return WriteInteger<int64_t>(row, kind, text);
    case Reader::kInt32: return WriteInteger<int32_t>(row, kind, text);
    case Reader::kInt16: return WriteInteger<int16_t>(row, kind, text);
    case Reader::kInt8: return WriteInteger<int8_t>(row, kind, text);
    case Reader::kUint64: return WriteInteger<uint64_t>(row, kind, text);
    case Reader::kUint32: return WriteInteger<uint32_t>(row, kind, text);
    case Reader::kUint16: return WriteInteger<uint16_t>(row, kind, text);
    case Reader::kUint8: return WriteInteger<uint8_t>(row, kind, text);
    case Reader::kDouble: return WriteReal<double>(row, kind, text);
    case Reader::kFloat: return WriteReal<float>(row, kind, text);
    case Reader::kDecimal: return WriteDecimal(row, kind, text);
    case Reader::kDate: {
      auto date = ReadDate(text);
      if (!date) return WriteCast(row, kind, text);
      Put(row, *date);
      return {};
    }
    case Reader::kJson: {
      if (kind != TokenKind::kString) return WriteText(row, text);
      return WriteText(row, QuoteJson(text));
    }
    case Reader::kList:
    case Reader::kArray:
    case Reader::kStruct:
    case Reader::kMap: return WriteNested(row, kind, text);
    case Reader::kCast: return WriteCast(row, kind, text);
  }
  return NoValue();
}

template <class Int>
std::string ColumnWriter::WriteInteger(duckdb::idx_t row, TokenKind kind, std::string_view text) {
  Int value;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) {
    Put(row, value);
    return {};
  }
  if (error == std::errc::result_out_of_range) return "out of range for " + column_.type.ToString();
  if (kind == TokenKind::kNumber) {
    // 5.0 and 5e3 are whole numbers to whoever writes JSON.
    long double number;
    auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    bool whole = parsed.ec == std::errc() && number == std::floor(number);
    if (!whole) return NoValue();
    constexpr auto kBeyond = static_cast<long double>(std::numeric_limits<Int>::max()) + 1;
    constexpr auto kLeast = static_cast<long double>(std::numeric_limits<Int>::min());
    if (number < kLeast || number >= kBeyond) return "out of range for " + column_.type.ToString();
    Put(row, static_cast<Int>(number));
    return {};
  }
  return WriteCast(row, kind, text);
}

template <class Real>
std::string ColumnWriter::WriteReal(duckdb::idx_t row, TokenKind kind, std::string_view text) {
  Real value;
  auto parsed = duckdb_fast_float::from_chars(text.data(), text.data() + text.size(), value);
  bool whole = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  if (whole && std::isfinite(value)) {  // quoted, too
    Put(row, value);
    return {};
  }
  if (kind == TokenKind::kNumber) return "out of range for " + column_.type.ToString();
  return WriteCast(row, kind, text);
}

bool ColumnWriter::WriteShortDecimal(duckdb::idx_t row, std::string_view text) {
  auto& type = column_.type;
  auto value =
      ReadFixed(text, duckdb::DecimalType::GetWidth(type), duckdb::DecimalType::GetScale(type));
  if (value) PutDecimal(row, duckdb::hugeint_t(*value));
  return value.has_value();
}

void ColumnWriter::PutDecimal(duckdb::idx_t row, const duckdb::hugeint_t& value) {
  auto low = static_cast<int64_t>(value.lower);
  switch (column_.type.InternalType()) {
    case duckdb::PhysicalType::INT16: Put(row, static_cast<int16_t>(low)); break;
    case duckdb::PhysicalType::INT32: Put(row, static_cast<int32_t>(low)); break;
    case duckdb::PhysicalType::INT64: Put(row, low); break;
    default: Put(row, value);
  }
}

// DuckDB's cast rounds 9e-07 up to 0.01.
std::string ColumnWriter::WriteDecimal(duckdb::idx_t row, TokenKind kind, std::string_view text) {
  if (WriteShortDecimal(row, text)) return {};
  auto& type = column_.type;
  duckdb::hugeint_t value;
  switch (ReadDecimalText(text, duckdb::DecimalType::GetWidth(type),
                          duckdb::DecimalType::GetScale(type), value)) {
    case DecimalText::kGood: PutDecimal(row, value); return {};
    case DecimalText::kBeyond: return "out of range for " + type.ToString();
    case DecimalText::kNone: break;
  }
  return WriteCast(row, kind, text);
}

const char* ColumnWriter::WriteQuickDecimal(duckdb::idx_t row, const char* at) {
  constexpr ptrdiff_t kBytesMax = 20;
  const char* first = at + (*at == '-');
  if (*first == '0' && first[1] >= '0' && first[1] <= '9') return nullptr;
  const char* end = first;
  while (((*end >= '0' && *end <= '9') || *end == '.') && end - first < kBytesMax) end++;
  if ((*end | 0x20) == 'e') return nullptr;
  return WriteShortDecimal(row, {at, static_cast<size_t>(end - at)}) ? end : nullptr;
}

std::string ColumnWriter::WriteText(duckdb::idx_t row, std::string_view text) {
  if (text.size() <= duckdb::string_t::INLINE_LENGTH) {
    Put(row, duckdb::string_t(text.data(), static_cast<uint32_t>(text.size())));
  } else {
    Put(row, duckdb::string_t(room_.Copy(text), static_cast<uint32_t>(text.size())));
  }
  return {};
}

std::string ColumnWriter::WriteTime(duckdb::idx_t row, TokenKind kind, std::string_view text) {
  Micros micros;
  if (kind == TokenKind::kString) {
    auto time = ReadTime(text);
    if (!time) {
      if (!epoch_unit_) return WriteCast(row, kind, text);
      kind = TokenKind::kNumber;  // an epoch may come quoted
    } else {
      Put(row, time->micros);
      return {};
    }
  }
  if (kind != TokenKind::kNumber) return NoValue();
  if (!epoch_unit_ && inside_) return "a number; a time inside of another value is text";
  if (!epoch_unit_) {
    return "a number, but the column does not say in which unit; declare it, for example "
           "TIMESTAMP WITH (epoch = 'ms')";
  }
  if (auto whole = ReadInteger(text)) {
    if (__builtin_mul_overflow(*whole, epoch_unit_, &micros)) return "out of range for a time";
  } else {
    long double value;
    auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return NoValue();
    value = std::floor(value * static_cast<long double>(epoch_unit_) + 0.5L);
    if (!(std::abs(value) < 9.2e18L)) return "out of range for a time";
    micros = static_cast<Micros>(value);
  }
  Put(row, micros);
  return {};
}

// As DuckDB casts text: whatever it takes, we take.
std::string ColumnWriter::WriteCast(duckdb::idx_t row, TokenKind kind, std::string_view text) {
  if (kind == TokenKind::kArray || kind == TokenKind::kObject) return NoValue();
  if (column_.type.id() == LogicalTypeId::UNION && kind != TokenKind::kString) {
    return WriteUnion(row, kind, text);
  }
  duckdb::Value value;
  std::string message;
  // A UUID may come without its dashes, which is not strict.
  bool strict = column_.type.id() != LogicalTypeId::UUID;
  try {
    if (!duckdb::Value(std::string(text)).DefaultTryCastAs(column_.type, value, &message, strict)) {
      return NoValue();
    }
  } catch (const std::exception&) {  // of a MAP with a key twice, for one
    return NoValue();
  }
  bool real =
      column_.type.id() == LogicalTypeId::FLOAT || column_.type.id() == LogicalTypeId::DOUBLE;
  bool digits = text.find_first_of("0123456789") != std::string_view::npos;
  if (real && digits && std::isinf(value.GetValue<double>())) {
    return "out of range for " + column_.type.ToString();
  }
  if (HoldsJson(column_.type)) {
    if (auto problem = JsonProblemIn(value); !problem.empty()) return problem;
  }
  vector_->SetValue(row, value);
  return {};
}

// A number or a truth value is of the first member that takes it and is no text, if there is one.
std::string ColumnWriter::WriteUnion(duckdb::idx_t row, TokenKind kind, std::string_view text) {
  auto members = duckdb::UnionType::CopyMemberTypes(column_.type);
  bool boolean = kind == TokenKind::kTrue || kind == TokenKind::kFalse;
  for (bool texts : {false, true}) {
    for (size_t i = 0; i < members.size(); i++) {
      auto& type = members[i].second;
      bool fits = texts     ? type.id() == LogicalTypeId::VARCHAR
                  : boolean ? type.id() == LogicalTypeId::BOOLEAN
                            : type.IsNumeric();
      duckdb::Value value;
      std::string message;
      if (!fits ||
          !duckdb::Value(std::string(text)).DefaultTryCastAs(type, value, &message, true)) {
        continue;
      }
      bool real = type.id() == LogicalTypeId::FLOAT || type.id() == LogicalTypeId::DOUBLE;
      if (real && std::isinf(value.GetValue<double>())) continue;
      vector_->SetValue(row, duckdb::Value::UNION(members, static_cast<uint8_t>(i), value));
      return {};
    }
  }
  return NoValue();
}

}  // namespace weir
