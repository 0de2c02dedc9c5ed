// What window operators over ordered partitions share: the rows of each partition in the order of
// its ORDER BY, each with what it shows; the changes of a step; rows out.
//
// Ties of the order are kept in a stable order of their own, that in which the rows came; a restart
// keeps it, as what a frame reaches depends on it.  Rows and results stand in stores, once each; an
// item of the order is a key and two references.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "duck/evaluator.h"
#include "duck/row_codec.h"
#include "flow/operators/operators.h"
#include "flow/state/items_to_write.h"
#include "flow/state/key_table.h"
#include "flow/state/row_store.h"

namespace weir {

class OrderedWindow : public Operator {
 public:
  // `bounds` are expressions of the type of the only sort key, kept with each item in its order.
  OrderedWindow(std::string name, const SessionPtr& session,
                const std::vector<ExpressionPtr>& partitions, const std::vector<SortKey>& order,
                const std::vector<ExpressionPtr>& bounds, RowTypes input, RowTypes results);

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override;
  void Flush() override;
  bool HasState() const override { return true; }
  std::vector<RowStore*> RowStores() override { return {&rows_, &results_}; }
  size_t StateBytes() const override;
  void Load(StateReader& reader) override;
  void CheckInvariants() const override;

 protected:
  using Bounds = std::vector<std::string>;
  struct Item {
    std::string key;
    uint32_t tie;  // a number of the row: the place among rows of its key
    RowRef row;
    uint32_t copy;                   // equal rows are items of their own
    mutable RowRef result = kNoRow;  // what it shows; none: not computed yet
    std::shared_ptr<const Bounds> bounds = nullptr;
    mutable uint32_t saved = 0;  // flow/items_to_write.h

    // Before and behind all of a key.
    static Item First(std::string key) { return {std::move(key), 0, 0, 0}; }
    static Item Last(std::string key) {
      return {std::move(key), UINT32_MAX, UINT32_MAX, UINT32_MAX};
    }
  };
  struct Less {
    bool operator()(const Item& a, const Item& b) const {
      if (int order = a.key.compare(b.key)) return order < 0;
      if (a.tie != b.tie) return a.tie < b.tie;
      if (a.row != b.row) return a.row < b.row;
      return a.copy < b.copy;
    }
  };
  using Items = std::set<Item, Less>;
  using Place = Items::iterator;
  struct Change {
    std::string key;
    uint32_t tie;
    RowRef row;
    int64_t weight;
    std::shared_ptr<Bounds> bounds;
  };
  struct Partition {
    Items items;
    std::vector<Change> changes;  // of this step
  };

  // Brings a partition's items and what they show up to date; what it shows may follow in Finish.
  virtual void Settle(uint32_t slot) = 0;
  virtual void Finish() {}
  virtual void GrowSlots(size_t slots) {}
  virtual void ClearSlot(uint32_t slot) {}
  virtual void SaveSlot(uint32_t slot, StateWriter& writer) const {}
  virtual void LoadSlot(uint32_t slot, StateReader& reader) {}

  // One change for each row, in order; those that come to nothing are gone.
  static void Net(std::vector<Change>& changes);
  // Applies a net change; a place that may have changed (the item itself, or the one after) each.
  void Apply(uint32_t slot, const Change& change, std::vector<Place>* added);
  // Has an item of a partition show a result (bytes of the results' store).
  void SetResult(uint32_t slot, const Item& item, std::string_view result);

  static bool SamePeers(const Item& a, const Item& b) { return a.key == b.key; }

  Partition& partition(uint32_t slot) { return partitions_[slot]; }
  RowStore& rows() { return rows_; }
  const RowStore& rows() const { return rows_; }
  RowStore& results() { return results_; }

 private:
  static size_t BytesOf(const Item& item);
  enum class Kind : uint8_t { kEnd, kPartition, kItem };
  bool BeginPieces(StateWriter& writer) override;
  bool SavePieces(StateWriter& writer, const Stop& stop) override;
  void EndPieces() override;
  void SavePartition(StateWriter& writer, uint32_t slot);
  void SaveNow(StateWriter& writer, uint32_t slot, const Item& item);
  void SaveBefore(uint32_t slot, const Item& item);
  void LoadItem(uint32_t slot, StateReader& reader);

  void Resolve(duckdb::DataChunk& values, duckdb::idx_t count);
  uint32_t TieOf(RowRef row);
  void Show(RowRef row, RowRef result, int64_t weight);
  void FlushOut();
  void Release();

  size_t partition_count_, order_count_, bound_count_;
  size_t width_;  // of the input
  std::unique_ptr<Evaluator> evaluator_;
  std::unique_ptr<KeyTable> table_;  // null: one partition
  RowCodec key_codec_;
  std::unique_ptr<RowCodec> bound_codec_;
  RowStore rows_, results_;
  std::vector<Partition> partitions_;  // by slot
  std::vector<uint32_t> touched_;
  std::vector<RowRef> changed_rows_, changed_results_;
  uint32_t last_tie_ = 0;
  size_t items_bytes_ = 0;
  UnitsToWrite to_write_;               // partitions
  ItemsToWrite<Items> items_to_write_;  // of partitions_

  uint32_t slots_[STANDARD_VECTOR_SIZE];
  RowRef shown_rows_[STANDARD_VECTOR_SIZE], shown_results_[STANDARD_VECTOR_SIZE];
  int64_t shown_weights_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t shown_count_ = 0;
  duckdb::DataChunk keys_, order_, bound_, out_;
};

}  // namespace weir
