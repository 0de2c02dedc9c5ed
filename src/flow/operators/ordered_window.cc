#include "flow/operators/ordered_window.h"

#include <algorithm>

#include "flow/allocated.h"
#include "flow/operators/sort_order.h"
#include "flow/weights.h"

namespace weir {
namespace {

RowTypes Joined(RowTypes a, const RowTypes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

void SortAndUnique(std::vector<RowRef>& refs) {
  std::sort(refs.begin(), refs.end());
  refs.erase(std::unique(refs.begin(), refs.end()), refs.end());
}

}  // namespace

OrderedWindow::OrderedWindow(std::string name, const SessionPtr& session,
                             const std::vector<ExpressionPtr>& partitions,
                             const std::vector<SortKey>& order,
                             const std::vector<ExpressionPtr>& bounds, RowTypes input,
                             RowTypes results)
    : Operator(std::move(name), Joined(input, results), false),
      partition_count_(partitions.size()),
      order_count_(order.size()),
      bound_count_(bounds.size()),
      width_(input.size()),
      key_codec_(TypesOf(order), Directions(order)),
      rows_(std::move(input), true),
      results_(std::move(results), true) {
  auto expressions = partitions;
  for (auto& key : order) expressions.push_back(key.by);
  expressions.insert(expressions.end(), bounds.begin(), bounds.end());
  evaluator_ = std::make_unique<Evaluator>(session, expressions);
  auto& types = evaluator_->types();
  RowTypes key_types(types.begin(), types.begin() + static_cast<ptrdiff_t>(partition_count_));
  if (partition_count_) {
    table_ = KeyTable::Make(key_types);
    keys_.InitializeEmpty(DuckTypes(key_types));
  }
  order_.InitializeEmpty(DuckTypes(TypesOf(order)));
  if (bound_count_) {
    bound_codec_ = std::make_unique<RowCodec>(TypesOf(order), Directions(order));
    bound_.InitializeEmpty(DuckTypes(TypesOf(order)));
  }
  out_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(this->types()));
}

void OrderedWindow::Resolve(duckdb::DataChunk& values, duckdb::idx_t count) {
  if (table_) {
    for (size_t i = 0; i < partition_count_; i++) keys_.data[i].Reference(values.data[i]);
    keys_.SetCardinality(count);
    table_->Resolve(keys_, slots_);
  } else {
    std::fill_n(slots_, count, 0);
  }
  size_t slots = table_ ? table_->Slots() : 1;
  if (partitions_.size() < slots) partitions_.resize(slots);
  GrowSlots(partitions_.size());
}

void OrderedWindow::Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) {
  auto& values = evaluator_->Run(rows);
  auto count = rows.size();
  Resolve(values, count);
  for (size_t i = 0; i < order_count_; i++) {
    order_.data[i].Reference(values.data[partition_count_ + i]);
  }
  order_.SetCardinality(count);
  auto& keys = key_codec_.Encode(order_);
  auto& encoded = rows_.Encode(rows);
  rows_.Prefetch(encoded);
  std::vector<size_t> places(count);
  for (duckdb::idx_t i = 0; i < count; i++) {
    auto& partition = partitions_[slots_[i]];
    if (partition.changes.empty()) touched_.push_back(slots_[i]);
    places[i] = partition.changes.size();
    RowRef head = kNoRow;  // the order is the only list
    RowRef row = rows_.FindOrAdd(encoded[i], head);
    changed_rows_.push_back(row);
    partition.changes.push_back({std::string(keys[i]), {}, row, weights ? weights[i] : 1});
  }
  for (size_t b = 0; b < bound_count_; b++) {
    bound_.data[0].Reference(values.data[partition_count_ + order_count_ + b]);
    bound_.SetCardinality(count);
    auto& bounds = bound_codec_->Encode(bound_);
    for (duckdb::idx_t i = 0; i < count; i++) {
      partitions_[slots_[i]].changes[places[i]].bounds.emplace_back(bounds[i]);
    }
  }
}

void OrderedWindow::Flush() {
  if (touched_.empty()) return;
  for (uint32_t slot : touched_) {
    Net(partitions_[slot].changes);
    Settle(slot);
    std::vector<Change>().swap(
        partitions_[slot].changes);  // of many partitions, few change at once
  }
  Finish();
  FlushOut();
  Release();
  for (uint32_t slot : touched_) {
    if (!partitions_[slot].items.empty()) continue;
    ClearSlot(slot);
    if (table_) table_->Erase(slot);
  }
  touched_.clear();
}

void OrderedWindow::Net(std::vector<Change>& changes) {
  auto before = [](const Change& a, const Change& b) {
    if (int order = a.key.compare(b.key)) return order < 0;
    return a.row < b.row;
  };
  if (!std::is_sorted(changes.begin(), changes.end(), before)) {
    std::sort(changes.begin(), changes.end(), before);
  }
  size_t kept = 0;
  for (size_t i = 0; i < changes.size(); i++) {
    if (kept > 0 && changes[kept - 1].row == changes[i].row) {
      AddWeight(changes[kept - 1].weight, changes[i].weight);
    } else {
      if (kept != i) changes[kept] = std::move(changes[i]);
      kept++;
    }
  }
  changes.resize(kept);
  std::erase_if(changes, [](auto& change) { return change.weight == 0; });
}

void OrderedWindow::Apply(Partition& partition, const Change& change, std::vector<Place>* added) {
  auto& weight = rows_.At(change.row).weight;
  for (int64_t left = change.weight; left > 0; left--) {
    Item item{change.key, change.row, static_cast<uint32_t>(weight), change.bounds};
    items_bytes_ += BytesOf(item);
    auto place = partition.items.insert(partition.items.end(), std::move(item));
    if (added) added->push_back(place);
    weight++;
  }
  for (int64_t left = change.weight; left < 0; left++) {
    weight--;
    auto place = partition.items.find({change.key, change.row, static_cast<uint32_t>(weight), {}});
    CHECK(place != partition.items.end());
    if (place->result != kNoRow) {
      Show(place->row, place->result, -1);
      results_.At(place->result).weight--;
      changed_results_.push_back(place->result);
    }
    items_bytes_ -= BytesOf(*place);
    partition.items.erase(place);
  }
}

void OrderedWindow::SetResult(const Item& item, std::string_view result) {
  RowRef head = kNoRow;
  RowRef now = results_.FindOrAdd(result, head);
  if (now == item.result) return;
  if (item.result != kNoRow) {
    Show(item.row, item.result, -1);
    results_.At(item.result).weight--;
    changed_results_.push_back(item.result);
  }
  results_.At(now).weight++;
  item.result = now;
  Show(item.row, now, 1);
}

void OrderedWindow::Show(RowRef row, RowRef result, int64_t weight) {
  shown_rows_[shown_count_] = row;
  shown_results_[shown_count_] = result;
  shown_weights_[shown_count_++] = weight;
  if (shown_count_ == STANDARD_VECTOR_SIZE) FlushOut();
}

void OrderedWindow::FlushOut() {
  if (shown_count_ == 0) return;
  out_.Reset();
  rows_.Gather(shown_rows_, shown_count_, out_, 0);
  results_.Gather(shown_results_, shown_count_, out_, width_);
  out_.SetCardinality(shown_count_);
  bool only_additions = std::all_of(shown_weights_, shown_weights_ + shown_count_,
                                    [](int64_t weight) { return weight == 1; });
  Emit(out_, only_additions ? nullptr : shown_weights_);
  shown_count_ = 0;
}

// Rows and results that nothing refers to any more.
void OrderedWindow::Release() {
  for (auto [store, refs] : {std::pair(&rows_, &changed_rows_), {&results_, &changed_results_}}) {
    SortAndUnique(*refs);
    for (RowRef ref : *refs) {
      RowRef head = ref;  // removing it needs no other
      if (store->At(ref).weight == 0) store->Remove(ref, head);
    }
    refs->clear();
  }
}

size_t OrderedWindow::BytesOf(const Item& item) {
  size_t bytes = TreeNodeBytes<Item>() + TextBytes(item.key.size());
  if (item.bounds.empty()) return bytes;
  bytes += AllocatedBytes(item.bounds.size() * sizeof(std::string));
  for (auto& bound : item.bounds) bytes += TextBytes(bound.size());
  return bytes;
}

size_t OrderedWindow::StateBytes() const {
  return (table_ ? table_->Bytes() : 0) + rows_.Bytes() + results_.Bytes() + items_bytes_ +
         partitions_.capacity() * sizeof(Partition) +
         (touched_.capacity() + changed_rows_.capacity() + changed_results_.capacity()) *
             sizeof(RowRef);
}

void OrderedWindow::Save(StateWriter& writer) const {
  if (table_) table_->Save(writer);
  writer.Put<uint64_t>(partitions_.size());
  for (auto& partition : partitions_) {
    writer.Put<uint64_t>(partition.items.size());
    for (auto& item : partition.items) {
      writer.PutString(item.key);
      for (auto& bound : item.bounds) writer.PutString(bound);
      writer.PutString(rows_.Bytes(item.row));
      writer.PutString(results_.Bytes(item.result));
    }
  }
  SaveSlots(writer);
}

void OrderedWindow::Load(StateReader& reader) {
  if (table_) table_->Load(reader);
  partitions_.resize(reader.Get<uint64_t>());
  for (auto& partition : partitions_) {
    for (auto left = reader.Get<uint64_t>(); left > 0; left--) {
      Item item{std::string(reader.GetString()), kNoRow, 0, {}};
      for (size_t b = 0; b < bound_count_; b++) item.bounds.emplace_back(reader.GetString());
      RowRef head = kNoRow;
      item.row = rows_.FindOrAdd(reader.GetString(), head);
      item.copy = static_cast<uint32_t>(rows_.At(item.row).weight++);
      head = kNoRow;
      item.result = results_.FindOrAdd(reader.GetString(), head);
      results_.At(item.result).weight++;
      items_bytes_ += BytesOf(item);
      partition.items.insert(partition.items.end(), std::move(item));
    }
  }
  GrowSlots(partitions_.size());
  LoadSlots(reader);
}

}  // namespace weir
