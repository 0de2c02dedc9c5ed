// Rows that are collected, a chunk's at a time, and taken out some at a time in another order: they
// stand column by column, so that both are a plain loop for each column and nothing is taken apart
// or put together.  Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "duck/row_codec.h"
#include "duckdb/storage/arena_allocator.hpp"
#include "flow/operator.h"

namespace weir {

class ColumnBuffer {
 public:
  explicit ColumnBuffer(const RowTypes& types);

  // Adds rows chosen[0, count) of `rows`; the first row of all is in place 0.
  // REQUIRES: `rows` has these types, and there are less than 2^32 rows in all.
  void Append(duckdb::DataChunk& rows, const duckdb::SelectionVector& chosen, duckdb::idx_t count);
  // Makes `out`, initialized with these types, the rows in those places.  Texts point into the
  // buffer.  REQUIRES: at most 2,048 places, all below rows().
  void Gather(const uint32_t* places, duckdb::idx_t count, duckdb::DataChunk& out) const;
  // Keeps the room.
  void Clear();

  size_t rows() const { return rows_; }
  size_t bytes() const { return rows_ * row_bytes_ + texts_bytes_; }
  void CheckInvariants() const;

 private:
  struct Column {
    size_t width;                     // of its values; texts stand elsewhere, as string_t here
    bool is_text = false;             // or the bytes of a nested value
    std::unique_ptr<RowCodec> codec;  // of nested values
    std::vector<char> values;         // for room_ rows
    std::vector<uint8_t> is_null;     // empty while there is none
  };

  void MakeRoom(size_t rows);
  void AppendNulls(Column& column, const duckdb::UnifiedVectorFormat& format,
                   const duckdb::SelectionVector& chosen, duckdb::idx_t count);
  duckdb::string_t Keep(duckdb::string_t text);

  std::vector<Column> columns_;
  size_t rows_ = 0, room_ = 0;
  size_t row_bytes_ = 0, texts_bytes_ = 0;
  bool has_nested_ = false;
  duckdb::ArenaAllocator texts_{duckdb::Allocator::DefaultAllocator()};
};

}  // namespace weir
