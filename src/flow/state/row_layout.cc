#include "flow/state/row_layout.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "duckdb/common/types/vector.hpp"
#include "flow/state/value_width.h"

namespace weir {
namespace {

using duckdb::PhysicalType;

// Copies one fixed-width value of a column into each row.
template <size_t kWidth>
void PutFixed(const duckdb::UnifiedVectorFormat& format, duckdb::idx_t count, char* const* rows,
              size_t offset) {
  auto* data = reinterpret_cast<const char*>(format.data);
  for (duckdb::idx_t i = 0; i < count; i++) {
    std::memcpy(rows[i] + offset, data + format.sel->get_index(i) * kWidth, kWidth);
  }
}

template <size_t kWidth>
void GetFixed(const char* const* rows, duckdb::idx_t count, size_t offset, char* to) {
  for (duckdb::idx_t i = 0; i < count; i++) {
    std::memcpy(to + i * kWidth, rows[i] + offset, kWidth);
  }
}

}  // namespace

RowLayout::RowLayout(RowTypes types)
    : types_(std::move(types)), bitmap_bytes_(types_.size() / 8 + 1), fixed_bytes_(bitmap_bytes_) {
  for (auto& type : types_) {
    ColumnPlace place;
    auto physical = type.InternalType();
    place.fixed = duckdb::TypeIsConstantSize(physical);
    place.width = place.fixed ? duckdb::GetTypeIdSize(physical) : sizeof(uint32_t);
    place.offset = fixed_bytes_;
    if (!place.fixed && physical != PhysicalType::VARCHAR) {
      place.codec = std::make_unique<RowCodec>(RowTypes{type});
    }
    fixed_bytes_ += place.width;
    behind_ += !place.fixed;
    places_.push_back(std::move(place));
  }
  nested_.resize(types_.size());
}

const std::vector<std::string_view>& RowLayout::Encode(duckdb::DataChunk& rows) {
  auto count = rows.size();
  auto& sizes = Measure(rows);
  size_t bytes = 0;
  for (size_t size : sizes) bytes += size;
  if (scratch_.size() < bytes) scratch_.resize(bytes);
  places_to_.resize(count);
  encoded_.clear();
  char* to = scratch_.data();
  for (duckdb::idx_t i = 0; i < count; i++) {
    places_to_[i] = to;
    encoded_.emplace_back(to, sizes[i]);
    to += sizes[i];
  }
  Write(places_to_.data());
  for (duckdb::idx_t i = 0; i < count; i++) {
    DEBUG_ASSERT(places_to_[i] == encoded_[i].data() + encoded_[i].size());
  }
  return encoded_;
}

const std::vector<size_t>& RowLayout::Measure(duckdb::DataChunk& rows) {
  CHECK(rows.ColumnCount() >= types_.size());
  auto count = rows.size();
  auto& formats = formats_;
  formats.resize(types_.size());
  sizes_.assign(count, fixed_bytes_);
  for (size_t c = 0; c < types_.size(); c++) {
    auto& place = places_[c];
    rows.data[c].ToUnifiedFormat(count, formats[c]);
    if (place.fixed) continue;
    auto& texts = nested_[c];
    texts.clear();
    if (place.codec) {
      duckdb::DataChunk column;
      column.InitializeEmpty({types_[c]});
      column.data[0].Reference(rows.data[c]);
      column.SetCardinality(count);
      texts = place.codec->Encode(column);
    } else {
      auto* data = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::string_t>(formats[c]);
      for (duckdb::idx_t i = 0; i < count; i++) {
        auto index = formats[c].sel->get_index(i);
        // Not a view of an inlined text in a temporary: the vector's own place.
        bool valid = formats[c].validity.RowIsValid(index);
        texts.push_back(valid ? std::string_view(data[index].GetData(), data[index].GetSize())
                              : std::string_view());
      }
    }
    for (duckdb::idx_t i = 0; i < count; i++) sizes_[i] += texts[i].size();
  }
  return sizes_;
}

void RowLayout::Write(char** to) {
  CHECK(formats_.size() == types_.size());
  auto count = sizes_.size();
  for (duckdb::idx_t i = 0; i < count; i++) std::memset(to[i], 0, bitmap_bytes_);
  for (size_t c = 0; c < types_.size(); c++) {
    auto& place = places_[c];
    auto& format = formats_[c];
    if (place.fixed) {
      WithWidth(place.width, [&](auto width) {
        PutFixed<decltype(width)::value>(format, count, to, place.offset);
      });
    } else {
      for (duckdb::idx_t i = 0; i < count; i++) {
        DEBUG_ASSERT(nested_[c][i].size() <= UINT32_MAX);
        auto size = static_cast<uint32_t>(nested_[c][i].size());
        std::memcpy(to[i] + place.offset, &size, sizeof(size));
      }
    }
    if (format.validity.AllValid()) continue;
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (format.validity.RowIsValid(format.sel->get_index(i))) continue;
      to[i][c / 8] = static_cast<char>(to[i][c / 8] | (1 << (c % 8)));
      std::memset(to[i] + place.offset, 0, place.fixed ? place.width : 0);
    }
  }
  for (duckdb::idx_t i = 0; i < count; i++) to[i] += fixed_bytes_;
  for (size_t c = 0; c < types_.size(); c++) {
    if (places_[c].fixed) continue;
    for (duckdb::idx_t i = 0; i < count; i++) {
      to[i] = std::copy(nested_[c][i].begin(), nested_[c][i].end(), to[i]);
    }
  }
  formats_.clear();  // they hold on to the chunk
}

void RowLayout::Gather(const char* const* rows, duckdb::idx_t count, duckdb::DataChunk& out,
                       size_t first_column) const {
  CHECK(count <= STANDARD_VECTOR_SIZE && first_column + types_.size() <= out.ColumnCount());
  cursor_.assign(rows, rows + count);
  for (auto& cursor : cursor_) cursor += fixed_bytes_;
  for (size_t c = 0; c < types_.size(); c++) {
    auto& place = places_[c];
    auto& column = out.data[first_column + c];
    auto& validity = duckdb::FlatVector::Validity(column);
    auto is_null = [&](duckdb::idx_t i) { return (rows[i][c / 8] >> (c % 8)) & 1; };
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (is_null(i)) validity.SetInvalid(i);
    }
    if (place.fixed) {
      WithWidth(place.width, [&](auto width) {
        GetFixed<decltype(width)::value>(
            rows, count, place.offset,
            reinterpret_cast<char*>(duckdb::FlatVector::GetData(column)));
      });
      continue;
    }
    auto* texts =
        place.codec ? nullptr : duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(column);
    duckdb::DataChunk nested;
    if (place.codec) {
      nested.InitializeEmpty({types_[c]});
      nested.data[0].Reference(column);
    }
    for (duckdb::idx_t i = 0; i < count; i++) {
      uint32_t size;
      std::memcpy(&size, rows[i] + place.offset, sizeof(size));
      if (place.codec) {
        place.codec->Decode({cursor_[i], size}, nested, i);
      } else {
        texts[i] = duckdb::string_t(cursor_[i], size);
      }
      cursor_[i] += size;
    }
  }
}

void RowLayout::Get(const char* row, duckdb::DataChunk& out, duckdb::idx_t at) const {
  const char* cursor = row + fixed_bytes_;
  for (size_t c = 0; c < types_.size(); c++) {
    auto& place = places_[c];
    auto& column = out.data[c];
    if ((row[c / 8] >> (c % 8)) & 1) {
      duckdb::FlatVector::SetNull(column, at, true);
      continue;
    }
    if (place.fixed) {
      std::memcpy(duckdb::FlatVector::GetData(column) + at * place.width, row + place.offset,
                  place.width);
      continue;
    }
    uint32_t size;
    std::memcpy(&size, row + place.offset, sizeof(size));
    if (place.codec) {
      duckdb::DataChunk nested;
      nested.InitializeEmpty({types_[c]});
      nested.data[0].Reference(column);
      place.codec->Decode({cursor, size}, nested, at);
    } else {
      duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(column)[at] =
          duckdb::StringVector::AddStringOrBlob(column, duckdb::string_t(cursor, size));
    }
    cursor += size;
  }
}

}  // namespace weir
