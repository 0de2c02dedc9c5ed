// An index of kept rows by key ("index" in EXPLAIN; an arrangement, as differential dataflow calls
// it): what joins look up partners in.  All joins that need the same rows by the same key share it.
//
// It holds no rows: a list by key through 4-byte places beside the rows (rows.h).  NULL is a value
// like any: it is for the join to know what it equals.  An index is told of a chunk before its
// readers are, and has the chunk's keys ready for them.
//
// An index may forget rows before they go, as when a watermark proves that nobody will ask for them
// again: Forget is where rows leave their lists.
//
// Cost of a change: a look-up by key.  State: the keys, and a place or two a row.
#pragma once

#include <algorithm>
#include <optional>

#include "flow/operators/row_values.h"
#include "flow/operators/rows.h"
#include "flow/state/key_table.h"
#include "flow/state/paged_array.h"

namespace weir {

inline constexpr uint32_t kNoSlot =
    KeyTable::kNone;  // of a row without a key, or a key without rows

// Marks the rows whose key has a NULL that equals nothing; false: there are none.
bool FindWithoutKey(duckdb::DataChunk& keys, duckdb::idx_t count,
                    const std::vector<bool>& null_is_value, std::vector<uint8_t>& without);
// The slots of the rows that are not `without`, which get kNoSlot; `look_up(keys, slots)` is asked
// for the others, `some` is room for their keys.
template <class LookUp>
void SlotsOf(duckdb::DataChunk& keys, duckdb::idx_t count, const std::vector<uint8_t>& without,
             duckdb::DataChunk& some, uint32_t* slots, LookUp look_up) {
  duckdb::SelectionVector with(count);
  duckdb::idx_t there = 0;
  for (duckdb::idx_t i = 0; i < count; i++) {
    if (!without[i]) with.set_index(there++, i);
  }
  for (size_t c = 0; c < some.ColumnCount(); c++) {
    if (there == count) {
      some.data[c].Reference(keys.data[c]);
    } else {
      some.data[c].Slice(keys.data[c], with, there);
    }
  }
  some.SetCardinality(there);
  if (there == count) return look_up(some, slots);
  std::fill_n(slots, count, kNoSlot);
  if (there == 0) return;
  uint32_t found[STANDARD_VECTOR_SIZE];
  look_up(some, found);
  for (duckdb::idx_t i = 0; i < there; i++) slots[with.get_index(i)] = found[i];
}

class Arrangement : public RowIndex {
 public:
  // Without keys all rows are under one.
  // `rows_go`: from the index, be it as a change or because they have ended.
  Arrangement(std::shared_ptr<Session> session, std::vector<ExpressionPtr> keys, RowTypes types,
              bool rows_go);

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override;
  size_t StateBytes() const override;
  void CheckInvariants() const override;
  void IsGone(duckdb::idx_t row) override;
  void Forget() override;

  // Of the chunk at hand: the rows' keys, and the slot of each; kNoSlot where the key has failed.
  duckdb::DataChunk& keys() const { return keys_; }
  const uint32_t* slots() const { return slots_; }

  // Look-ups, at any time.
  const RowTypes& key_types() const { return key_types_; }
  void Find(duckdb::DataChunk& keys, uint32_t* slots) const;
  RowRef First(uint32_t slot) const { return heads_[slot]; }
  RowRef Next(RowRef ref) const { return next_[rows().store().NumberOf(ref)]; }
  size_t Slots() const { return table_ ? table_->Slots() : 1; }
  double RowsByKey() const;  // on average; 1 while there are none
  // Writes the keys of slots into rows 0, 1, ... of `keys`.
  void Keys(const uint32_t* slots, size_t count, duckdb::DataChunk& keys) const;

 private:
  struct Gone {
    RowRef ref;
    uint32_t slot;
    auto operator<=>(const Gone&) const = default;
  };
  template <class OnFailure>
  void ResolveKeys(duckdb::DataChunk& rows, OnFailure on_failure);
  void Link(RowRef ref, uint32_t slot);
  void Unlink(RowRef ref, uint32_t slot);
  void Clear() override;
  void PutIn(duckdb::DataChunk& rows, const RowRef* refs) override;
  void TakeOut(duckdb::DataChunk& rows, const RowRef* refs) override;

  RowTypes key_types_;
  bool rows_go_;
  std::optional<RowValues> key_values_;  // nothing: no keys
  std::unique_ptr<KeyTable> table_;      // null: no keys, everything is in slot 0
  PagedArray<RowRef> heads_;             // by slot
  PagedArray<RowRef> next_, previous_;   // by the row's number; previous_ where rows go
  size_t linked_ = 0, keys_there_ = 0;   // rows in lists, and lists
  std::vector<Gone> gone_;               // rows whose weight came to 0 in this step

  // Of the chunk at hand.
  mutable duckdb::DataChunk keys_;
  duckdb::DataChunk some_keys_;
  uint32_t slots_[STANDARD_VECTOR_SIZE];
};

}  // namespace weir
