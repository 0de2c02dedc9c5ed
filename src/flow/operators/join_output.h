// Rows of one side of a join with NULLs for the other, as chunks of the join's output.
#pragma once

#include "duck/constant.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/operator.h"

namespace weir {

class JoinOutput {
 public:
  // Columns of the left side and of the right one in the output; none of the right for joins that
  // show left rows only (and perhaps a mark).
  JoinOutput(const RowTypes& types, size_t left, size_t right) : widths_{left, right} {
    chunk_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types));
    sliced_.InitializeEmpty(DuckTypes(types));
  }

  size_t FirstColumn(int side) const { return side == 0 ? 0 : widths_[0]; }

  // An empty chunk in which the other side's columns are NULL; the caller writes this side's.
  duckdb::DataChunk& Begin(int side) {
    chunk_.Reset();
    ForEachOther(side, [&](size_t column) { SetNull(chunk_.data[column]); });
    return chunk_;
  }

  // Emits chosen rows of a chunk of one side.
  template <class EmitRows>
  void ShowAlone(int side, duckdb::DataChunk& rows, const duckdb::SelectionVector& chosen,
                 duckdb::idx_t count, const int64_t* weights, EmitRows emit) {
    if (count == 0) return;
    for (size_t c = 0; c < widths_[side]; c++) {
      sliced_.data[FirstColumn(side) + c].Slice(rows.data[c], chosen, count);
    }
    ForEachOther(side, [&](size_t column) { SetNull(sliced_.data[column]); });
    sliced_.SetCardinality(count);
    emit(sliced_, weights);
  }

 private:
  template <class Work>
  void ForEachOther(int side, Work work) {
    size_t first = FirstColumn(1 - side);
    for (size_t c = 0; c < widths_[1 - side]; c++) work(first + c);
  }

  size_t widths_[2];
  duckdb::DataChunk chunk_, sliced_;
};

}  // namespace weir
