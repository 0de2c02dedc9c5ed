// Rows of given types as runs of bytes: a bitmap of NULLs, the fixed-width values packed, and the
// bytes of the others behind them.  Equal rows have equal bytes, except where equal values have
// several forms (0.0 and -0.0, 1 month and 30 days).  Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "duck/row_codec.h"
#include "flow/state/row_types.h"

namespace weir {

class RowLayout {
 public:
  explicit RowLayout(RowTypes types);

  // The rows of a chunk as bytes; views that live until the next call.
  const std::vector<std::string_view>& Encode(duckdb::DataChunk& rows);
  // The same in two steps, for rows that are written where they stay: what each takes, then the
  // bytes to the given places, while the chunk is as it was.  The places come back behind the rows.
  // REQUIRES: each Write is of the chunk measured last, and there is one for each.
  const std::vector<size_t>& Measure(duckdb::DataChunk& rows);
  void Write(char** to);
  // Writes encoded rows into columns [first_column, ...) of `out`, from its row 0 on.  Texts point
  // into the encoded rows.  REQUIRES: at most 2,048 rows, and `out` has as many columns.
  void Gather(const char* const* rows, duckdb::idx_t count, duckdb::DataChunk& out,
              size_t first_column) const;
  // Writes one encoded row into the first columns of `out`; texts are copied.
  void Get(const char* row, duckdb::DataChunk& out, duckdb::idx_t at) const;

  const RowTypes& types() const { return types_; }
  // Whether all rows are of one size, and the bytes each has at least.
  bool IsFixed() const { return behind_ == 0; }
  size_t FixedBytes() const { return fixed_bytes_; }

 private:
  struct ColumnPlace {
    bool fixed = false;
    size_t width = 0;                 // of a fixed one; of the length of another
    size_t offset = 0;                // in the row
    std::unique_ptr<RowCodec> codec;  // of nested values
  };

  RowTypes types_;
  size_t bitmap_bytes_, fixed_bytes_;  // fixed_bytes_: the bitmap and all fixed places
  size_t behind_ = 0;                  // columns whose bytes stand behind those
  std::vector<ColumnPlace> places_;

  std::string scratch_;
  std::vector<std::string_view> encoded_;
  std::vector<char*> places_to_;
  // Of the chunk that was measured.
  std::vector<duckdb::UnifiedVectorFormat> formats_;
  std::vector<size_t> sizes_;
  std::vector<std::vector<std::string_view>> nested_;
  mutable std::vector<const char*> cursor_;
};

}  // namespace weir
