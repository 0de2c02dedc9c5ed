// What rows of a join's side are shown as, from their places: collected and emitted by chunks.
#pragma once

#include "base/error.h"
#include "flow/operators/join_output.h"
#include "flow/state/row_store.h"

namespace weir {

// How a row is shown, if at all: as it is, or with a mark.
enum class Shown : uint8_t { kNot, kPlain, kFalse, kTrue, kUnknown };

class RowDisplay {
 public:
  RowDisplay(JoinOutput& out, bool has_mark) : out_(out), has_mark_(has_mark) {}

  template <class EmitRows>
  void Show(int side, const RowStore& rows, RowRef ref, Shown as, int64_t weight, EmitRows emit) {
    if (as == Shown::kNot || weight == 0) return;
    if (side != side_) Flush(emit);
    DEBUG_ASSERT(count_ < STANDARD_VECTOR_SIZE && (count_ == 0 || rows_ == &rows));
    side_ = side;
    rows_ = &rows;
    refs_[count_] = ref;
    as_[count_] = as;
    weights_[count_++] = weight;
    if (count_ == STANDARD_VECTOR_SIZE) Flush(emit);
  }

  template <class EmitRows>
  void Flush(EmitRows emit) {
    if (count_ == 0) return;
    auto& chunk = out_.Begin(side_);
    rows_->Gather(refs_, count_, chunk, out_.FirstColumn(side_));
    if (has_mark_) {
      auto& mark = chunk.data[chunk.ColumnCount() - 1];
      for (duckdb::idx_t i = 0; i < count_; i++) SetMark(mark, i, as_[i]);
    }
    chunk.SetCardinality(std::exchange(count_, 0));
    emit(chunk, weights_);
  }

  static void SetMark(duckdb::Vector& mark, duckdb::idx_t row, Shown as) {
    duckdb::FlatVector::GetDataUnsafe<bool>(mark)[row] = as == Shown::kTrue;
    if (as == Shown::kUnknown) duckdb::FlatVector::SetNull(mark, row, true);
  }

 private:
  JoinOutput& out_;
  bool has_mark_;
  int side_ = 0;
  const RowStore* rows_ = nullptr;
  RowRef refs_[STANDARD_VECTOR_SIZE];
  Shown as_[STANDARD_VECTOR_SIZE];
  int64_t weights_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t count_ = 0;
};

}  // namespace weir
