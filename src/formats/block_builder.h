// The block being built from one body: rows are written in place and kept or given up one by one.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "formats/column_writer.h"
#include "formats/rows.h"

namespace weir {

class BlockBuilder {
 public:
  explicit BlockBuilder(const Stream& stream);

  // Starts a block of about so many rows; what it takes is added to `memory`, which may be null.
  void Begin(size_t rows_expected, RowMemory::Hold* memory = nullptr);

  std::vector<ColumnWriter>& columns() { return columns_; }
  duckdb::idx_t row() const { return row_; }  // where the present row is written
  // Of a table: the column that the present row must not leave NULL, and does.  A row that says it
  // is gone needs no more than its key.
  const Column* NullWhereNoneMayBe() const {
    return needed_.empty() ? nullptr : FirstNullOfNeeded();
  }
  void KeepRow() {
    if (++row_ == capacity_) NextChunk();
  }
  // The present row is not kept: its place is written again.
  void RefuseRow(RowError error);
  // A field that the stream does not have was ignored.
  void IgnoreField(std::string_view name);

  ParsedRows Finish();

 private:
  const Column* FirstNullOfNeeded() const;
  void OpenChunk();
  void CloseChunk();
  void NextChunk();

  duckdb::vector<duckdb::LogicalType> types_;
  std::vector<std::pair<size_t, Column>> needed_;  // of a table, besides its key
  std::vector<ColumnWriter> columns_;
  ParsedRows parsed_;
  duckdb::idx_t row_ = 0;
  duckdb::idx_t capacity_ = 0;
  size_t rows_expected_ = 0;
  size_t row_bytes_ = 0;    // of each row of a chunk, without long texts
  size_t chunk_bytes_ = 0;  // of a chunk, whatever its rows
  RowMemory::Hold* memory_ = nullptr;
};

}  // namespace weir
