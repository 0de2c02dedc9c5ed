#include "flow/operators/ordered_window.h"

#include <algorithm>

#include "base/error.h"
#include "flow/operators/sort_order.h"
#include "flow/state/allocated.h"
#include "flow/state/weights.h"

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
    partition.changes.push_back(
        {std::string(keys[i]), TieOf(row), row, weights ? weights[i] : 1, nullptr});
  }
  for (size_t b = 0; b < bound_count_; b++) {
    bound_.data[0].Reference(values.data[partition_count_ + order_count_ + b]);
    bound_.SetCardinality(count);
    auto& bounds = bound_codec_->Encode(bound_);
    for (duckdb::idx_t i = 0; i < count; i++) {
      auto& kept = partitions_[slots_[i]].changes[places[i]].bounds;
      if (!kept) kept = std::make_shared<Bounds>();
      kept->emplace_back(bounds[i]);
    }
  }
}

// The rows' order is their only list: what would link a row in another is its number.
uint32_t OrderedWindow::TieOf(RowRef row) {
  auto& entry = rows_.At(row);
  if (entry.next == 0) {
    if (++last_tie_ == 0) last_tie_ = 1;
    entry.next = last_tie_;
  }
  return entry.next;
}

void OrderedWindow::Flush() {
  if (touched_.empty()) return;
  BeforeChange([&](StateWriter& writer) {
    for (uint32_t slot : touched_) SavePartition(writer, slot);
  });
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
    if (a.tie != b.tie) return a.tie < b.tie;
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

void OrderedWindow::Apply(uint32_t slot, const Change& change, std::vector<Place>* added) {
  auto& items = partitions_[slot].items;
  auto& weight = rows_.At(change.row).weight;
  for (int64_t left = change.weight; left > 0; left--) {
    Item item{change.key,
              change.tie,
              change.row,
              static_cast<uint32_t>(weight),
              kNoRow,
              change.bounds,
              items_to_write_.number()};
    items_bytes_ += BytesOf(item);
    auto place = items.insert(items.end(), std::move(item));
    if (added) added->push_back(place);
    weight++;
  }
  for (int64_t left = change.weight; left < 0; left++) {
    weight--;
    auto place = items.find({change.key, change.tie, change.row, static_cast<uint32_t>(weight)});
    CHECK(place != items.end());
    SaveBefore(slot, *place);
    items_to_write_.Goes(place);
    if (place->result != kNoRow) {
      CHECK(results_.At(place->result).weight > 0);
      Show(place->row, place->result, -1);
      results_.At(place->result).weight--;
      changed_results_.push_back(place->result);
    }
    items_bytes_ -= BytesOf(*place);
    items.erase(place);
  }
}

void OrderedWindow::SetResult(uint32_t slot, const Item& item, std::string_view result) {
  RowRef head = kNoRow;
  RowRef now = results_.FindOrAdd(result, head);
  if (now == item.result) return;
  SaveBefore(slot, item);
  if (item.result != kNoRow) {
    CHECK(results_.At(item.result).weight > 0);
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
      if (store->At(ref).weight == 0) store->Remove(ref);
    }
    refs->clear();
  }
}

// Each copy of a row is an item, and shows a result.
void OrderedWindow::CheckInvariants() const {
  Operator::CheckInvariants();
  if (table_) table_->CheckInvariants();
  rows_.CheckInvariants();
  results_.CheckInvariants();
  CHECK(touched_.empty() && shown_count_ == 0);
  size_t items = 0, bytes = 0, partitions = 0;
  for (auto& partition : partitions_) {
    CHECK(partition.changes.empty());
    partitions += !partition.items.empty();
    items += partition.items.size();
    for (auto& item : partition.items) {
      CHECK(item.result != kNoRow && item.copy < static_cast<uint64_t>(rows_.At(item.row).weight));
      bytes += BytesOf(item);
    }
  }
  CHECK(bytes == items_bytes_ && (!table_ || partitions == table_->KeysThere()));
  for (auto* store : {&rows_, &results_}) {
    size_t copies = 0;
    store->ForEach([&](RowRef ref) { copies += static_cast<size_t>(store->At(ref).weight); });
    CHECK(copies == items);
  }
}

size_t OrderedWindow::BytesOf(const Item& item) {
  size_t bytes = TreeNodeBytes<Item>() + TextBytes(item.key.size());
  if (!item.bounds) return bytes;
  constexpr size_t kCounts = 2 * sizeof(uint64_t);  // beside what is shared
  bytes += AllocatedBytes(kCounts + sizeof(Bounds)) +
           AllocatedBytes(item.bounds->capacity() * sizeof(std::string));
  for (auto& bound : *item.bounds) bytes += TextBytes(bound.size());
  return bytes;
}

size_t OrderedWindow::StateBytes() const {
  return (table_ ? table_->Bytes() : 0) + rows_.Bytes() + results_.Bytes() + items_bytes_ +
         partitions_.capacity() * sizeof(Partition) +
         (touched_.capacity() + changed_rows_.capacity() + changed_results_.capacity()) *
             sizeof(RowRef);
}

// ---- saved: each partition ahead of its first item, items in any order

bool OrderedWindow::BeginPieces(StateWriter& writer) {
  writer.Put<uint64_t>(partitions_.size());
  to_write_.Begin(partitions_.size());
  items_to_write_.Begin(partitions_.size());
  return true;
}

bool OrderedWindow::SavePieces(StateWriter& writer, const Stop& stop) {
  auto items_of = [&](size_t slot) -> const Items& { return partitions_[slot].items; };
  auto write = [&](size_t slot, const Item& item) {
    SaveNow(writer, static_cast<uint32_t>(slot), item);
  };
  if (!items_to_write_.Continue(items_of, write, stop)) return false;
  writer.Put(Kind::kEnd);
  return true;
}

void OrderedWindow::EndPieces() {
  to_write_.End();
  items_to_write_.End();
}

void OrderedWindow::SavePartition(StateWriter& writer, uint32_t slot) {
  if (!to_write_.Claim(slot) || partitions_[slot].items.empty()) return;
  writer.Put(Kind::kPartition);
  writer.Put(slot);
  if (table_) table_->SaveKey(slot, writer);
  SaveSlot(slot, writer);
}

void OrderedWindow::SaveNow(StateWriter& writer, uint32_t slot, const Item& item) {
  SavePartition(writer, slot);
  writer.Put(Kind::kItem);
  writer.Put(slot);
  writer.PutString(item.key);
  for (size_t b = 0; b < bound_count_; b++) writer.PutString((*item.bounds)[b]);
  writer.PutString(rows_.Bytes(item.row));
  writer.Put(item.tie);
  writer.Put(item.copy);
  writer.PutString(results_.Bytes(item.result));
}

void OrderedWindow::SaveBefore(uint32_t slot, const Item& item) {
  BeforeChange([&](StateWriter& writer) {
    if (items_to_write_.Claim(item)) SaveNow(writer, slot, item);
  });
}

void OrderedWindow::Load(StateReader& reader) {
  auto slots = reader.Get<uint64_t>();
  partitions_.resize(slots);
  if (table_) table_->BeginLoad(slots);
  GrowSlots(slots);
  for (auto kind = reader.Get<Kind>(); kind != Kind::kEnd; kind = reader.Get<Kind>()) {
    auto slot = reader.Get<uint32_t>();
    if (slot >= slots) StateReader::Bad();
    if (kind == Kind::kItem) {
      LoadItem(slot, reader);
    } else {
      if (table_) table_->LoadKey(slot, reader);
      LoadSlot(slot, reader);
    }
  }
  if (table_) table_->EndLoad();
}

void OrderedWindow::LoadItem(uint32_t slot, StateReader& reader) {
  Item item = Item::First(std::string(reader.GetString()));
  if (bound_count_) {
    auto bounds = std::make_shared<Bounds>();
    for (size_t b = 0; b < bound_count_; b++) bounds->emplace_back(reader.GetString());
    item.bounds = std::move(bounds);
  }
  RowRef head = kNoRow;
  item.row = rows_.FindOrAdd(reader.GetString(), head);
  item.tie = reader.Get<uint32_t>();
  item.copy = reader.Get<uint32_t>();
  rows_.At(item.row).weight++;
  rows_.At(item.row).next = item.tie;
  last_tie_ = std::max(last_tie_, item.tie);
  head = kNoRow;
  item.result = results_.FindOrAdd(reader.GetString(), head);
  results_.At(item.result).weight++;
  items_bytes_ += BytesOf(item);
  auto& items = partitions_[slot].items;
  items.insert(items.end(), std::move(item));
}

}  // namespace weir
