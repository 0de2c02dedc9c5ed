// Collects rows with weights into chunks and hands each full one on.
#pragma once

#include <utility>

#include "base/error.h"
#include "flow/operator.h"

namespace weir {

class RowBuffer {
 public:
  explicit RowBuffer(const RowTypes& types) {
    chunk_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types));
  }
  duckdb::DataChunk& chunk() { return chunk_; }
  int64_t* weights() { return weights_; }

  // The place of the next row; fill it, then call Added.  REQUIRES of its weight: it is not 0.
  duckdb::idx_t next() const { return chunk_.size(); }
  template <class Emit>
  void Added(int64_t weight, Emit emit) {
    DEBUG_ASSERT(weight != 0 && chunk_.size() < STANDARD_VECTOR_SIZE);
    weights_[chunk_.size()] = weight;
    only_additions_ &= weight == 1;
    chunk_.SetCardinality(chunk_.size() + 1);
    if (chunk_.size() == STANDARD_VECTOR_SIZE) Flush(emit);
  }
  template <class Emit>
  void Flush(Emit emit) {
    if (chunk_.size()) emit(chunk_, only_additions_ ? nullptr : weights_);
    chunk_.Reset();
    only_additions_ = true;
  }

 private:
  duckdb::DataChunk chunk_;
  int64_t weights_[STANDARD_VECTOR_SIZE];
  bool only_additions_ = true;
};

}  // namespace weir
