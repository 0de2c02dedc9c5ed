#include <algorithm>

#include "base/error.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/operators/operators.h"

namespace weir {

EmitOperator::EmitOperator(RowTypes types, std::vector<std::string> not_null_names)
    : Operator("emit", std::move(types), true), not_null_(std::move(not_null_names)) {}

void EmitOperator::Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) {
  rows.Flatten();
  for (size_t column = 0; column < not_null_.size(); column++) {
    if (not_null_[column].empty()) continue;
    if (duckdb::FlatVector::Validity(rows.data[column]).CountValid(rows.size()) < rows.size()) {
      throw Error(ErrorCode::kQueryFailed,
                  "NULL in column \"" + not_null_[column] + "\", which is NOT NULL");
    }
  }
  if (!weights) return Append(rows);
  // Rows that came several times; rare, so one at a time.
  duckdb::DataChunk one;
  for (duckdb::idx_t row = 0; row < rows.size(); row++) {
    if (weights[row] < 0) {
      throw Error(ErrorCode::kInternal, "a row went that had been emitted");
    }
    if (weights[row] == 0) continue;
    duckdb::SelectionVector selection(1);
    selection.set_index(0, row);
    one.Destroy();
    one.InitializeEmpty(rows.GetTypes());
    one.Reference(rows);
    one.Slice(selection, 1);
    one.Flatten();
    for (int64_t copies = weights[row]; copies > 0; copies--) Append(one);
  }
}

void EmitOperator::Append(duckdb::DataChunk& rows) {
  for (duckdb::idx_t done = 0; done < rows.size();) {
    if (rows_.rows % STANDARD_VECTOR_SIZE == 0) {
      rows_.chunks.push_back(std::make_unique<duckdb::DataChunk>());
      rows_.chunks.back()->Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types()));
    }
    auto& last = *rows_.chunks.back();
    CHECK(last.size() == rows_.rows % STANDARD_VECTOR_SIZE);
    duckdb::idx_t some =
        std::min<duckdb::idx_t>(rows.size() - done, STANDARD_VECTOR_SIZE - last.size());
    for (duckdb::idx_t column = 0; column < last.ColumnCount(); column++) {
      duckdb::VectorOperations::Copy(rows.data[column], last.data[column], done + some, done,
                                     last.size());
    }
    last.SetCardinality(last.size() + some);
    rows_.rows += some;
    done += some;
  }
}

Columns EmitOperator::Take() {
  Columns taken = std::move(rows_);
  rows_ = Columns();
  return taken;
}

}  // namespace weir
