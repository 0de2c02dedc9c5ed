// An index of kept rows by key and, within a key, in the order of a value ("ordered index" in
// EXPLAIN): for those who ask for the rows between two values (threshold.cc).
//
// Values are numbers and times; rows without one (NULL), or with a NULL in their key where that
// equals nothing, are not in the index.
//
// Cost of a change: a look-up by key and one in order (flow/sorted_list.h).  State: 16 bytes a row
// (24 of a HUGEINT or a wide DECIMAL), in blocks that are two thirds full or better; the keys.
#pragma once

#include <optional>

#include "duck/row_codec.h"
#include "flow/operators/arrange.h"
#include "flow/operators/row_values.h"
#include "flow/operators/rows.h"
#include "flow/state/key_table.h"
#include "flow/state/sorted_list.h"

namespace weir {

// A number or time as 16 bytes that compare as it does.
struct OrderedValue {
  uint64_t high = 0, low = 0;
  auto operator<=>(const OrderedValue&) const = default;
};

// Makes them of a column, ascending or descending.
class OrderedValues {
 public:
  static bool CanBeOf(const duckdb::LogicalType& type);
  OrderedValues(const duckdb::LogicalType& type, bool descending);
  // By row; what stands for NULL may be anything.
  void Read(duckdb::Vector& column, duckdb::idx_t count, OrderedValue* values);

 private:
  bool descending_;
  RowCodec codec_;  // of other types than integers
  duckdb::DataChunk column_;
};

struct OrderedKey {
  std::vector<ExpressionPtr> keys;
  std::vector<bool> null_is_value;
  ExpressionPtr value;
  bool descending = false;

  std::vector<ExpressionPtr> KeysThenValue() const {
    auto all = keys;
    all.push_back(value);
    return all;
  }
};

class OrderedIndex : public RowIndex {
 public:
  OrderedIndex(const SessionPtr& session, const OrderedKey& by, RowTypes types, bool rows_go);

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override;
  size_t StateBytes() const override;
  void CheckInvariants() const override;
  void IsGone(duckdb::idx_t row) override;
  void Forget() override;

  // Of the chunk at hand: the rows' keys, the slot of each (kNoSlot: it is not in the index) and
  // its value.
  duckdb::DataChunk& keys() const { return keys_; }
  const uint32_t* slots() const { return slots_; }
  const OrderedValue* values() const { return values_; }

  // Look-ups, at any time.
  void Find(duckdb::DataChunk& keys, uint32_t* slots) const;
  // Calls take(value, row) with each row of a key that is not below a value, in order, as long as
  // it returns true.
  template <class Take>
  void From(uint32_t slot, const OrderedValue& value, Take take) const {
    auto take_own = [&](const Item& item) {
      return item.slot == slot && take(item.value, item.row);
    };
    Item from{value, slot, kNoRow};
    is_short_ ? short_items_.From(from, take_own) : items_.From(from, take_own);
  }

 private:
  __extension__ using Wide = unsigned __int128;
  // By slot, then value, then row.
  struct Item {
    OrderedValue value;
    uint32_t slot;
    RowRef row;
    bool operator<(const Item& other) const {
      Wide own = Wide{slot} << 64 | value.high, others = Wide{other.slot} << 64 | other.value.high;
      Wide rest = Wide{value.low} << 32 | row, other_rest = Wide{other.value.low} << 32 | other.row;
      return own != others ? own < others : rest < other_rest;
    }
    bool operator==(const Item&) const = default;
  };
  // The same of a value of eight bytes at most, as one number.
  struct ShortItem {
    Wide bits;
    ShortItem(const Item& item)  // NOLINT(google-explicit-constructor): the same in short
        : bits(Wide{item.slot} << 96 | Wide{item.value.high} << 32 | item.row) {}
    operator Item() const {  // NOLINT(google-explicit-constructor)
      return {{static_cast<uint64_t>(bits >> 32), 0},
              static_cast<uint32_t>(bits >> 96),
              static_cast<RowRef>(bits)};
    }
    bool operator<(const ShortItem& other) const { return bits < other.bits; }
  };
  template <class OnFailure>
  void ResolveItems(duckdb::DataChunk& rows, OnFailure on_failure);
  Item ItemAt(duckdb::idx_t row, RowRef ref) const { return {values_[row], slots_[row], ref}; }
  void Link(const Item& item);
  void Unlink(const Item& item);
  void Clear() override;
  void PutIn(duckdb::DataChunk& rows, const RowRef* refs) override;
  void TakeOut(duckdb::DataChunk& rows, const RowRef* refs) override;

  RowTypes key_types_;
  std::vector<bool> null_is_value_;
  RowValues evaluator_;  // the keys, then the value
  OrderedValues reader_;
  std::unique_ptr<KeyTable> table_;    // null: no keys, everything is in slot 0
  std::vector<uint32_t> counts_;       // of items, by slot
  bool is_short_;                      // values have eight bytes at most
  SortedList<ShortItem> short_items_;  // then these,
  SortedList<Item> items_;             // else those
  std::vector<Item> gone_;             // rows whose weight came to 0 in this step

  // Of the chunk at hand.
  mutable duckdb::DataChunk keys_;
  duckdb::DataChunk some_keys_;
  std::vector<uint8_t> without_;
  uint32_t slots_[STANDARD_VECTOR_SIZE];
  OrderedValue values_[STANDARD_VECTOR_SIZE];
};

}  // namespace weir
