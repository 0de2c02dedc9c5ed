#include "duck/functions/plain_sort_keys.h"

#include <cstring>

#include "duckdb/common/radix.hpp"

namespace weir {
namespace {

using duckdb::LogicalTypeId;
using duckdb::PhysicalType;

constexpr uint64_t kOneEach = 0x0101010101010101;

bool IsText(const duckdb::LogicalType& type) { return type.id() == LogicalTypeId::VARCHAR; }

// Calls `work` for the type that values are of.
template <class Work>
void WithType(PhysicalType type, Work work) {
  switch (type) {
    case PhysicalType::BOOL: return work.template operator()<bool>();
    case PhysicalType::INT8: return work.template operator()<int8_t>();
    case PhysicalType::INT16: return work.template operator()<int16_t>();
    case PhysicalType::INT32: return work.template operator()<int32_t>();
    case PhysicalType::INT64: return work.template operator()<int64_t>();
    case PhysicalType::INT128: return work.template operator()<duckdb::hugeint_t>();
    case PhysicalType::UINT8: return work.template operator()<uint8_t>();
    case PhysicalType::UINT16: return work.template operator()<uint16_t>();
    case PhysicalType::UINT32: return work.template operator()<uint32_t>();
    case PhysicalType::UINT64: return work.template operator()<uint64_t>();
    case PhysicalType::UINT128: return work.template operator()<duckdb::uhugeint_t>();
    case PhysicalType::FLOAT: return work.template operator()<float>();
    default: return work.template operator()<double>();
  }
}

void TurnOver(char* bytes, size_t count) {
  for (size_t i = 0; i < count; i++) bytes[i] = static_cast<char>(~bytes[i]);
}

// Adds `by`, one or its opposite in each byte, to all bytes: eight at a time, as none overflows.
void Shift(const char* from, size_t count, char* to, uint64_t by) {
  size_t at = 0;
  for (; at + 8 <= count; at += 8) {
    uint64_t word;
    std::memcpy(&word, from + at, 8);
    word += by;
    std::memcpy(to + at, &word, 8);
  }
  for (; at < count; at++) to[at] = static_cast<char>(from[at] + static_cast<char>(by));
}

}  // namespace

bool PlainSortKeys::Takes(const duckdb::LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::BOOLEAN:
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::UINTEGER:
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::UHUGEINT:
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
    case LogicalTypeId::DECIMAL:
    case LogicalTypeId::DATE:
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS:
    case LogicalTypeId::UUID:
    case LogicalTypeId::ENUM: return true;
    default: return false;
  }
}

PlainSortKeys::PlainSortKeys(std::vector<Column> columns)
    : columns_(std::move(columns)), formats_(columns_.size()) {}

// What each row's key takes.
void PlainSortKeys::Measure(duckdb::DataChunk& rows) {
  auto count = rows.size();
  size_t fixed = columns_.size();
  for (auto& column : columns_) {
    fixed += IsText(column.type) ? 1 : duckdb::GetTypeIdSize(column.type.InternalType());
  }
  sizes_.assign(count, fixed);
  for (size_t c = 0; c < columns_.size(); c++) {
    auto& format = formats_[c];
    rows.data[c].ToUnifiedFormat(count, format);
    bool all_valid = format.validity.AllValid();
    bool is_text = IsText(columns_[c].type);
    if (all_valid && !is_text) continue;
    size_t width = is_text ? 1 : duckdb::GetTypeIdSize(columns_[c].type.InternalType());
    auto* texts = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::string_t>(format);
    for (duckdb::idx_t i = 0; i < count; i++) {
      auto index = format.sel->get_index(i);
      if (!all_valid && !format.validity.RowIsValid(index)) {
        sizes_[i] -= width;
      } else if (is_text) {
        sizes_[i] += texts[index].GetSize();
      }
    }
  }
}

void PlainSortKeys::Encode(duckdb::DataChunk& rows, std::vector<std::string_view>& keys) {
  auto count = rows.size();
  Measure(rows);
  size_t bytes = 0;
  for (size_t size : sizes_) bytes += size;
  if (bytes_.size() < bytes) bytes_.resize(bytes);
  keys.clear();
  to_.clear();
  char* to = bytes_.data();
  for (size_t size : sizes_) {
    keys.emplace_back(to, size);
    to_.push_back(to);
    to += size;
  }
  for (size_t c = 0; c < columns_.size(); c++) Write(columns_[c], count, formats_[c]);
}

void PlainSortKeys::Write(const Column& column, duckdb::idx_t count,
                          const duckdb::UnifiedVectorFormat& format) {
  char null = column.nulls_first ? 1 : 2, valid = column.nulls_first ? 2 : 1;
  bool all_valid = format.validity.AllValid();
  // Calls `value` with the place of each that is not NULL and with what it is to be written to;
  // it returns how many bytes it wrote.
  auto each = [&](auto value) {
    for (duckdb::idx_t i = 0; i < count; i++) {
      auto index = format.sel->get_index(i);
      char*& to = to_[i];
      if (!all_valid && !format.validity.RowIsValid(index)) {
        *to++ = null;
        continue;
      }
      *to++ = valid;
      size_t size = value(index, to);
      if (column.descending) TurnOver(to, size);
      to += size;
    }
  };
  if (IsText(column.type)) {
    auto* texts = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::string_t>(format);
    return each([&](duckdb::idx_t index, char* to) -> size_t {
      size_t size = texts[index].GetSize();
      Shift(texts[index].GetData(), size, to, kOneEach);
      to[size] = 0;
      return size + 1;
    });
  }
  WithType(column.type.InternalType(), [&]<class Value>() {
    auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<Value>(format);
    each([&](duckdb::idx_t index, char* to) {
      duckdb::Radix::EncodeData<Value>(duckdb::data_ptr_cast(to), values[index]);
      return sizeof(Value);
    });
  });
}

void PlainSortKeys::Decode(std::string_view key, duckdb::DataChunk& rows, duckdb::idx_t row) const {
  const char* at = key.data();
  for (size_t c = 0; c < columns_.size(); c++) {
    auto& column = columns_[c];
    auto& out = rows.data[c];
    if (*at++ == (column.nulls_first ? 1 : 2)) {
      duckdb::FlatVector::SetNull(out, row, true);
    } else if (IsText(column.type)) {
      char end = column.descending ? -1 : 0;
      auto* after = static_cast<const char*>(
          std::memchr(at, end, static_cast<size_t>(key.data() + key.size() - at)));
      auto size = static_cast<size_t>(after - at);
      auto text = duckdb::StringVector::EmptyString(out, size);
      char* to = text.GetDataWriteable();
      std::memcpy(to, at, size);
      if (column.descending) TurnOver(to, size);
      Shift(to, size, to, -kOneEach);
      text.Finalize();
      duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(out)[row] = text;
      at = after + 1;
    } else {
      WithType(column.type.InternalType(), [&]<class Value>() {
        char bytes[sizeof(Value)];
        std::memcpy(bytes, at, sizeof(Value));
        if (column.descending) TurnOver(bytes, sizeof(Value));
        duckdb::FlatVector::GetDataUnsafe<Value>(out)[row] =
            duckdb::Radix::DecodeData<Value>(duckdb::const_data_ptr_cast(bytes));
        at += sizeof(Value);
      });
    }
  }
}

}  // namespace weir
