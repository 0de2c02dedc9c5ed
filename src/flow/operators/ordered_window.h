// What window operators over ordered partitions share: the rows of each partition in the order of
// its ORDER BY, each with what it shows; the changes of a step; rows out.
//
// Ties of the order are kept in a stable order of their own.  Rows and results stand in stores,
// once each; an item of the order is a key and two references.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "duck/evaluator.h"
#include "duck/row_codec.h"
#include "flow/key_table.h"
#include "flow/operators/operators.h"
#include "flow/row_store.h"

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
  void Save(StateWriter& writer) const override;
  void Load(StateReader& reader) override;

 protected:
  struct Item {
    std::string key;
    RowRef row;
    uint32_t copy;  // equal rows are items of their own
    std::vector<std::string> bounds;
    mutable RowRef result = kNoRow;  // what it shows; none: not computed yet
  };
  struct Less {
    bool operator()(const Item& a, const Item& b) const {
      if (int order = a.key.compare(b.key)) return order < 0;
      if (a.row != b.row) return a.row < b.row;
      return a.copy < b.copy;
    }
  };
  using Items = std::set<Item, Less>;
  using Place = Items::iterator;
  struct Change {
    std::string key;
    std::vector<std::string> bounds;
    RowRef row;
    int64_t weight;
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
  virtual void SaveSlots(StateWriter& writer) const {}
  virtual void LoadSlots(StateReader& reader) {}

  // One change for each row, in order; those that come to nothing are gone.
  static void Net(std::vector<Change>& changes);
  // Applies a net change; a place that may have changed (the item itself, or the one after) each.
  void Apply(Partition& partition, const Change& change, std::vector<Place>* added);
  // Has an item show a result (bytes of the results' store).
  void SetResult(const Item& item, std::string_view result);

  static bool SamePeers(const Item& a, const Item& b) { return a.key == b.key; }

  Partition& partition(uint32_t slot) { return partitions_[slot]; }
  RowStore& rows() { return rows_; }
  const RowStore& rows() const { return rows_; }
  RowStore& results() { return results_; }

 private:
  static size_t BytesOf(const Item& item);
  void Resolve(duckdb::DataChunk& values, duckdb::idx_t count);
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
  size_t items_bytes_ = 0;

  uint32_t slots_[STANDARD_VECTOR_SIZE];
  RowRef shown_rows_[STANDARD_VECTOR_SIZE], shown_results_[STANDARD_VECTOR_SIZE];
  int64_t shown_weights_[STANDARD_VECTOR_SIZE];
  duckdb::idx_t shown_count_ = 0;
  duckdb::DataChunk keys_, order_, bound_, out_;
};

}  // namespace weir
