// The keys of a chunk of changes of one side of a join: where they stand in the side's own index,
// and where in what the join knows of the other side.  Rows with a NULL that equals nothing stand
// in the index like others; it is the join that does not look for them.
#pragma once

#include "base/error.h"
#include "flow/operators/arrange.h"

namespace weir {

class JoinKeys {
 public:
  JoinKeys(const RowTypes& key_types, std::vector<bool> null_is_value)
      : null_is_value_(std::move(null_is_value)) {
    some_.InitializeEmpty(DuckTypes(key_types));
  }

  // `find(keys, slots)` looks up the other side.  REQUIRES: `own` has that chunk at hand.
  template <class FindOther>
  void Resolve(const Arrangement& own, duckdb::idx_t count, FindOther find) {
    CHECK(own.keys().size() == count);
    without_.assign(count, false);
    any_without_ = FindWithoutKey(own.keys(), count, null_is_value_, without_);
    hidden_.resize(count);
    for (duckdb::idx_t i = 0; i < count; i++) {
      own_[i] = without_[i] ? kNoSlot : own.slots()[i];
      hidden_[i] = own_[i] == kNoSlot;
    }
    SlotsOf(own.keys(), count, hidden_, some_, other_, find);
  }

  // By row; kNoSlot for rows without a key, and for keys that are not there.
  const uint32_t* own() const { return own_; }
  uint32_t* other() { return other_; }
  bool any_without() const { return any_without_; }
  bool is_without(duckdb::idx_t row) const { return without_[row]; }

 private:
  std::vector<bool> null_is_value_;
  duckdb::DataChunk some_;
  std::vector<uint8_t> without_, hidden_;
  bool any_without_ = false;
  uint32_t own_[STANDARD_VECTOR_SIZE], other_[STANDARD_VECTOR_SIZE];
};

}  // namespace weir
