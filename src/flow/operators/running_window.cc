// Running aggregates and numbers: from the start of the partition to the row at hand (or to the
// last of its peers).
//
// Rows that come after all others of their partition, in order, cost the same however long it is:
// the accumulators go on where they stood.  A row that comes before another, or goes, has them
// start again for its partition; only rows whose result changed come out.
#include <algorithm>

#include "base/error.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/aggregates/aggregate_state.h"
#include "flow/operators/ordered_window.h"

namespace weir {
namespace {

class RunningWindow : public OrderedWindow {
 public:
  RunningWindow(const SessionPtr& session, const WindowCall& call, const RowTypes& input,
                const RowTypes& results)
      : OrderedWindow("running window", session, call.partitions, call.order, {}, input, results),
        peers_share_(call.peers_share) {
    std::vector<ExpressionPtr> expressions;
    for (auto& running : call.running) {
      Column column{running, nullptr, expressions.size(), std::nullopt, nullptr, nullptr};
      if (running.kind == RunningCall::Kind::kAggregate) {
        auto& aggregate = running.aggregate;
        column.state = MakeAggregateState(aggregate, true);
        expressions.insert(expressions.end(), aggregate.arguments.begin(),
                           aggregate.arguments.end());
        if (aggregate.filter) {
          column.filter = expressions.size();
          expressions.push_back(aggregate.filter);
        }
        column.arguments = std::make_unique<duckdb::DataChunk>();
        column.arguments->InitializeEmpty(DuckTypes(aggregate.argument_types));
        column.result = std::make_unique<duckdb::DataChunk>();
        column.result->Initialize(duckdb::Allocator::DefaultAllocator(),
                                  DuckTypes({aggregate.type}), 1);
      }
      columns_.push_back(std::move(column));
    }
    if (!expressions.empty()) arguments_ = std::make_unique<Evaluator>(session, expressions);
    page_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(input));
    built_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(results));
  }

 protected:
  void Settle(uint32_t slot) override {
    auto& items = partition(slot).items;
    auto& changes = partition(slot).changes;
    if (changes.empty()) return;
    bool in_order =
        std::all_of(changes.begin(), changes.end(), [](auto& change) { return change.weight > 0; });
    bool goes_on = false;  // with the peers of the last row
    if (in_order && !items.empty()) {
      auto& last = *items.rbegin();
      auto& first = changes.front();
      in_order = last.key < first.key;
      if (last.key == first.key) {
        // New peers of the last: all of them may show something else now.
        in_order = peers_share_ || last.tie < first.tie;
        goes_on = peers_share_;
      }
    }
    std::vector<Place> added;
    for (auto& change : changes) Apply(slot, change, &added);
    if (items.empty()) return;
    if (!in_order) {
      ClearSlot(slot);
      Advance(slot, items.begin(), false);
    } else if (goes_on) {
      // A row of which there are more now may be the first of its peers.
      Advance(slot, items.lower_bound(Item::First(changes.front().key)), true);
    } else {
      Advance(slot, added.front(), false);
    }
  }

  void GrowSlots(size_t slots) override {
    if (counts_.size() >= slots) return;
    slots = std::max(slots, counts_.size() + counts_.size() / 2);
    counts_.resize(slots);
    for (auto& column : columns_) {
      if (column.state) column.state->Grow(slots);
    }
  }
  void ClearSlot(uint32_t slot) override {
    counts_[slot] = {};
    for (auto& column : columns_) {
      if (column.state) column.state->Clear(slot);
    }
  }
  void SaveSlot(uint32_t slot, StateWriter& writer) const override {
    writer.Put(counts_[slot]);
    for (auto& column : columns_) {
      if (column.state) column.state->SaveSlot(slot, writer);
    }
  }
  void LoadSlot(uint32_t slot, StateReader& reader) override {
    counts_[slot] = reader.Get<Counts>();
    for (auto& column : columns_) {
      if (column.state) column.state->LoadSlot(slot, reader);
    }
  }
  size_t StateBytes() const override {
    size_t bytes = OrderedWindow::StateBytes() + counts_.capacity() * sizeof(Counts);
    for (auto& column : columns_) bytes += column.state ? column.state->Bytes() : 0;
    return bytes;
  }

 private:
  struct Column {
    RunningCall call;
    std::unique_ptr<AggregateState> state;
    size_t first_argument;
    std::optional<size_t> filter;
    std::unique_ptr<duckdb::DataChunk> arguments, result;
  };
  struct Counts {
    int64_t rows = 0, peer_groups = 0, rank = 0;
  };

  // Goes on from an item to the end of the partition.  With `goes_on` those that show something are
  // in the accumulators already, and of the peer group that the first item is of.
  void Advance(uint32_t slot, Place from, bool goes_on) {
    auto end = partition(slot).items.end();
    bool begins = !goes_on;  // a peer group
    std::vector<Place> page;
    while (from != end) {
      page.clear();
      for (; from != end && page.size() < STANDARD_VECTOR_SIZE; ++from) page.push_back(from);
      auto* values = Arguments(page);
      for (size_t i = 0; i < page.size(); i++) {
        auto& item = *page[i];
        auto& counts = counts_[slot];
        if (begins) {
          counts.peer_groups++;
          counts.rank = counts.rows + 1;
        }
        if (!goes_on || item.result == kNoRow) {
          counts.rows++;
          for (auto& column : columns_) Accumulate(slot, column, values, i);
        }
        waiting_.push_back(page[i]);
        auto next = i + 1 < page.size() ? page[i + 1] : from;
        begins = !peers_share_ || next == end || !SamePeers(*next, item);
        if (begins) BuildResult(slot);
      }
    }
    ShowResults(slot);
    CHECK(waiting_.empty() && assigned_.empty());  // every row shows something
  }

  duckdb::DataChunk* Arguments(const std::vector<Place>& page) {
    if (!arguments_) return nullptr;
    RowRef refs[STANDARD_VECTOR_SIZE];
    for (size_t i = 0; i < page.size(); i++) refs[i] = page[i]->row;
    page_.Reset();
    rows().Gather(refs, page.size(), page_, 0);
    page_.SetCardinality(page.size());
    auto& values = arguments_->Run(page_);
    for (auto& value : values.data) value.Flatten(page.size());
    return &values;
  }

  void Accumulate(uint32_t slot, Column& column, duckdb::DataChunk* values, size_t row) {
    if (!column.state) return;
    if (column.filter) {
      auto& filter = values->data[*column.filter];
      if (duckdb::FlatVector::IsNull(filter, row) ||
          !duckdb::FlatVector::GetDataUnsafe<bool>(filter)[row]) {
        return;
      }
    }
    auto& arguments = *column.arguments;
    for (size_t i = 0; i < arguments.ColumnCount(); i++) {
      arguments.data[i].Slice(values->data[column.first_argument + i], row, row + 1);
    }
    arguments.SetCardinality(1);
    column.state->Update(arguments, &slot, nullptr);
  }

  // What the items that wait show, as one more row of built_.
  void BuildResult(uint32_t slot) {
    auto row = built_.size();
    auto& counts = counts_[slot];
    for (size_t i = 0; i < columns_.size(); i++) {
      auto& column = columns_[i];
      auto& out = built_.data[i];
      auto* numbers = reinterpret_cast<int64_t*>(duckdb::FlatVector::GetData(out));
      switch (column.call.kind) {
        case RunningCall::Kind::kRowNumber: numbers[row] = counts.rows; break;
        case RunningCall::Kind::kRank: numbers[row] = counts.rank; break;
        case RunningCall::Kind::kDenseRank: numbers[row] = counts.peer_groups; break;
        case RunningCall::Kind::kAggregate:
          column.result->Reset();
          column.state->Result(&slot, 1, column.result->data[0]);
          duckdb::VectorOperations::Copy(column.result->data[0], out, 1, 0, row);
      }
    }
    built_.SetCardinality(row + 1);
    for (auto& item : waiting_) assigned_.emplace_back(item, row);
    waiting_.clear();
    if (built_.size() == STANDARD_VECTOR_SIZE) ShowResults(slot);
  }

  void ShowResults(uint32_t slot) {
    if (built_.size() == 0) return;
    auto& encoded = results().Encode(built_);
    for (auto& [item, row] : assigned_) SetResult(slot, *item, encoded[row]);
    assigned_.clear();
    built_.Reset();
  }

  bool peers_share_;
  std::vector<Column> columns_;
  std::unique_ptr<Evaluator> arguments_;
  std::vector<Counts> counts_;  // by slot
  duckdb::DataChunk page_, built_;
  std::vector<Place> waiting_;
  std::vector<std::pair<Place, duckdb::idx_t>> assigned_;
};

}  // namespace

std::unique_ptr<Operator> MakeRunningWindow(const SessionPtr& session, const WindowCall& call,
                                            const RowTypes& input) {
  RowTypes results;
  for (auto& running : call.running) {
    results.push_back(running.kind == RunningCall::Kind::kAggregate ? running.aggregate.type
                                                                    : duckdb::LogicalType::BIGINT);
  }
  return std::make_unique<RunningWindow>(session, call, input, results);
}

}  // namespace weir
