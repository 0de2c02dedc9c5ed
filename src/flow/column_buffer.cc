#include "flow/column_buffer.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "flow/state/value_width.h"

namespace weir {

ColumnBuffer::ColumnBuffer(const RowTypes& types) {
  for (auto& type : types) {
    Column column;
    if (duckdb::TypeIsConstantSize(type.InternalType())) {
      column.width = duckdb::GetTypeIdSize(type.InternalType());
    } else {
      column.width = sizeof(duckdb::string_t);
      column.is_text = true;
      if (type.InternalType() != duckdb::PhysicalType::VARCHAR) {
        column.codec = std::make_unique<RowCodec>(RowTypes{type});
        has_nested_ = true;
      }
    }
    row_bytes_ += column.width;
    columns_.push_back(std::move(column));
  }
}

void ColumnBuffer::MakeRoom(size_t rows) {
  if (rows <= room_) return;
  room_ = std::max(rows, room_ * 2);
  for (auto& column : columns_) column.values.resize(room_ * column.width);
}

// A copy of a text that stands elsewhere than in its string_t.
duckdb::string_t ColumnBuffer::Keep(duckdb::string_t text) {
  auto* bytes = reinterpret_cast<char*>(texts_.Allocate(text.GetSize()));
  std::memcpy(bytes, text.GetData(), text.GetSize());
  texts_bytes_ += text.GetSize();
  return {bytes, static_cast<uint32_t>(text.GetSize())};
}

void ColumnBuffer::AppendNulls(Column& column, const duckdb::UnifiedVectorFormat& format,
                               const duckdb::SelectionVector& chosen, duckdb::idx_t count) {
  if (format.validity.AllValid() && column.is_null.empty()) return;
  column.is_null.resize(rows_);
  for (duckdb::idx_t i = 0; i < count; i++) {
    auto index = format.sel->get_index(chosen.get_index(i));
    column.is_null.push_back(!format.validity.RowIsValid(index));
  }
}

void ColumnBuffer::Append(duckdb::DataChunk& rows, const duckdb::SelectionVector& chosen,
                          duckdb::idx_t count) {
  CHECK(rows.ColumnCount() == columns_.size());
  CHECK(count <= rows.size() && rows_ + count <= UINT32_MAX);  // places are 32 bits wide
  MakeRoom(rows_ + count);
  for (size_t c = 0; c < columns_.size(); c++) {
    auto& column = columns_[c];
    duckdb::UnifiedVectorFormat format;
    rows.data[c].ToUnifiedFormat(rows.size(), format);
    AppendNulls(column, format, chosen, count);
    char* to = column.values.data() + rows_ * column.width;
    auto* texts_to = reinterpret_cast<duckdb::string_t*>(to);
    if (column.codec) {
      duckdb::DataChunk nested;
      nested.InitializeEmpty({rows.data[c].GetType()});
      nested.data[0].Slice(rows.data[c], chosen, count);
      nested.SetCardinality(count);
      for (auto& bytes : column.codec->Encode(nested)) {
        duckdb::string_t text(bytes.data(), static_cast<uint32_t>(bytes.size()));
        *texts_to++ = text.IsInlined() ? text : Keep(text);
      }
    } else if (column.is_text) {
      auto* texts = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::string_t>(format);
      bool all_valid = format.validity.AllValid();
      for (duckdb::idx_t i = 0; i < count; i++) {
        auto index = format.sel->get_index(chosen.get_index(i));
        if (!all_valid && !format.validity.RowIsValid(index)) {
          texts_to[i] = duckdb::string_t(uint32_t{0});
        } else {
          texts_to[i] = texts[index].IsInlined() ? texts[index] : Keep(texts[index]);
        }
      }
    } else {
      WithWidth(column.width, [&](auto width) {
        auto* from = reinterpret_cast<const char*>(format.data);
        for (duckdb::idx_t i = 0; i < count; i++) {
          std::memcpy(to + i * width, from + format.sel->get_index(chosen.get_index(i)) * width,
                      width);
        }
      });
    }
  }
  rows_ += count;
  if (kDebugChecks) CheckInvariants();
}

void ColumnBuffer::CheckInvariants() const {
  CHECK(rows_ <= room_);
  for (auto& column : columns_) {
    CHECK(column.values.size() == room_ * column.width);
    CHECK(column.is_null.empty() || column.is_null.size() == rows_);
    CHECK(column.is_text || !column.codec);
  }
}

void ColumnBuffer::Gather(const uint32_t* places, duckdb::idx_t count,
                          duckdb::DataChunk& out) const {
  CHECK(count <= STANDARD_VECTOR_SIZE && out.ColumnCount() == columns_.size());
  for (duckdb::idx_t i = 0; i < count; i++) DEBUG_ASSERT(places[i] < rows_);
  if (has_nested_) out.Reset();
  for (size_t c = 0; c < columns_.size(); c++) {
    auto& column = columns_[c];
    auto& validity = duckdb::FlatVector::Validity(out.data[c]);
    if (!validity.AllValid()) validity.Reset();
    if (!column.is_null.empty()) {
      for (duckdb::idx_t i = 0; i < count; i++) {
        if (column.is_null[places[i]]) validity.SetInvalid(i);
      }
    }
    if (column.codec) {
      auto* texts = reinterpret_cast<const duckdb::string_t*>(column.values.data());
      duckdb::DataChunk nested;
      nested.InitializeEmpty({out.data[c].GetType()});
      nested.data[0].Reference(out.data[c]);
      for (duckdb::idx_t i = 0; i < count; i++) {
        auto& bytes = texts[places[i]];
        column.codec->Decode({bytes.GetData(), bytes.GetSize()}, nested, i);
      }
      continue;
    }
    char* to = reinterpret_cast<char*>(duckdb::FlatVector::GetData(out.data[c]));
    WithWidth(column.width, [&](auto width) {
      for (duckdb::idx_t i = 0; i < count; i++) {
        std::memcpy(to + i * width, column.values.data() + places[i] * width, width);
      }
    });
  }
  out.SetCardinality(count);
}

void ColumnBuffer::Clear() {
  rows_ = 0;
  texts_bytes_ = 0;
  texts_.Reset();
  for (auto& column : columns_) column.is_null.clear();
}

}  // namespace weir
