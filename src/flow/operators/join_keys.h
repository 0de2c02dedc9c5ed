// The keys of a chunk of changes of one side of a join: where they stand in the side's own index,
// and where in what the join knows of the other side.  Rows with a NULL that equals nothing stand
// in the index like others; it is the join that does not look for them.
#pragma once

#include "flow/operators/arrange.h"

namespace weir {

class JoinKeys {
 public:
  JoinKeys(const RowTypes& key_types, std::vector<bool> null_is_value)
      : null_is_value_(std::move(null_is_value)) {
    some_.InitializeEmpty(DuckTypes(key_types));
  }

  // `find(keys, slots)` looks up the other side.
  template <class FindOther>
  void Resolve(const Arrangement& own, duckdb::idx_t count, FindOther find) {
    without_.assign(count, false);
    any_without_ = FindWithoutKey(own.keys(), count, null_is_value_, without_);
    duckdb::SelectionVector with(count);
    duckdb::idx_t some = 0;
    for (duckdb::idx_t i = 0; i < count; i++) {
      own_[i] = without_[i] ? kNoSlot : own.slots()[i];
      if (own_[i] != kNoSlot) with.set_index(some++, i);
    }
    for (size_t c = 0; c < some_.ColumnCount(); c++) {
      if (some == count) {
        some_.data[c].Reference(own.keys().data[c]);
      } else {
        some_.data[c].Slice(own.keys().data[c], with, some);
      }
    }
    some_.SetCardinality(some);
    if (some == count) return find(some_, other_);
    std::fill_n(other_, count, kNoSlot);
    if (some == 0) return;
    uint32_t found[STANDARD_VECTOR_SIZE];
    find(some_, found);
    for (duckdb::idx_t i = 0; i < some; i++) other_[with.get_index(i)] = found[i];
  }

  // By row; kNoSlot for rows without a key, and for keys that are not there.
  const uint32_t* own() const { return own_; }
  uint32_t* other() { return other_; }
  bool any_without() const { return any_without_; }
  bool is_without(duckdb::idx_t row) const { return without_[row]; }

 private:
  std::vector<bool> null_is_value_;
  duckdb::DataChunk some_;
  std::vector<uint8_t> without_;
  bool any_without_ = false;
  uint32_t own_[STANDARD_VECTOR_SIZE], other_[STANDARD_VECTOR_SIZE];
};

}  // namespace weir
