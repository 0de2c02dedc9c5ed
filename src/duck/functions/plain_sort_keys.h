// DuckDB's sort keys, byte for byte, of rows of numbers, times and texts: written at once, without
// a vector, an allocation and a pass over the types for each chunk.  Most chunks of a small view
// have a row or two, so what a call costs is what a row costs.  Nested values and the like are left
// to DuckDB (row_codec.h).  Not thread-safe.
//
// A value's key is a byte that says whether it is NULL and, unless it is, its bytes: numbers from
// the highest on with their sign bit turned, texts with one added to each byte and a zero behind;
// all turned over where the order descends.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "duckdb/common/types/data_chunk.hpp"

namespace weir {

class PlainSortKeys {
 public:
  struct Column {
    duckdb::LogicalType type;
    bool descending = false;
    bool nulls_first = false;
  };
  // Whether columns of the type have keys that are known here.
  static bool Takes(const duckdb::LogicalType& type);

  explicit PlainSortKeys(std::vector<Column> columns);

  // One key for each row, into `keys`; they point into memory that lives until the next call.
  void Encode(duckdb::DataChunk& rows, std::vector<std::string_view>& keys);
  // Writes one key's values into a row of the first columns, which are flat.
  void Decode(std::string_view key, duckdb::DataChunk& rows, duckdb::idx_t row) const;

 private:
  void Measure(duckdb::DataChunk& rows);
  void Write(const Column& column, duckdb::idx_t count, const duckdb::UnifiedVectorFormat& format);

  std::vector<Column> columns_;
  // Of the chunk at hand.
  std::vector<duckdb::UnifiedVectorFormat> formats_;
  std::vector<size_t> sizes_;  // by row
  std::vector<char*> to_;      // by row: where its next value goes
  std::string bytes_;
};

}  // namespace weir
