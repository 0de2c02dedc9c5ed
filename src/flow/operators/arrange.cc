#include "flow/operators/arrange.h"

#include <algorithm>

#include "base/error.h"
#include "duck/errors.h"

namespace weir {
namespace {

constexpr size_t kLarge = 1 << 15;  // keys: more than the caches keep

}  // namespace

bool FindWithoutKey(duckdb::DataChunk& keys, duckdb::idx_t count,
                    const std::vector<bool>& null_is_value, std::vector<uint8_t>& without) {
  bool any = false;
  for (size_t c = 0; c < keys.ColumnCount(); c++) {
    if (null_is_value[c]) continue;
    duckdb::UnifiedVectorFormat format;
    keys.data[c].ToUnifiedFormat(count, format);
    if (format.validity.AllValid()) continue;
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (format.validity.RowIsValid(format.sel->get_index(i))) continue;
      without[i] = any = true;
    }
  }
  return any;
}

Arrangement::Arrangement(std::shared_ptr<Session> session, std::vector<ExpressionPtr> keys,
                         RowTypes types, bool rows_go)
    : RowIndex("index", std::move(types), !rows_go), rows_go_(rows_go) {
  if (keys.empty()) {
    heads_.Reserve(1);
    return;
  }
  for (auto& key : keys) key_types_.push_back(TypeOf(key));
  key_values_.emplace(std::move(session), std::move(keys));
  table_ = KeyTable::Make(key_types_);
  keys_.InitializeEmpty(DuckTypes(key_types_));
  some_keys_.InitializeEmpty(DuckTypes(key_types_));
}

void Arrangement::Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) {
  ResolveKeys(rows, [&](duckdb::idx_t row, const ExpressionFailed& why) {
    Reject(inputs[0]->TextOf(rows, row), weights ? weights[row] : 1, why);
  });
  auto* refs = this->rows().refs();
  if (heads_.size() > kLarge) {
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      if (slots_[i] != kNoSlot) __builtin_prefetch(&heads_[slots_[i]], 1);
    }
  }
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    if (slots_[i] != kNoSlot && this->rows().is_new(i)) Link(refs[i], slots_[i]);
  }
  CountOut(rows.size());
}

// Fills keys_ and slots_.  Rows on which a key fails are errors and have none.
template <class OnFailure>
void Arrangement::ResolveKeys(duckdb::DataChunk& rows, OnFailure on_failure) {
  auto count = rows.size();
  keys_.SetCardinality(count);
  std::fill_n(slots_, count, 0);
  if (!table_) return;
  auto& values = key_values_->Run(rows, on_failure);
  for (size_t c = 0; c < key_types_.size(); c++) keys_.data[c].Reference(values.data[c]);
  auto resolve = [&](duckdb::DataChunk& keys, uint32_t* slots) { table_->Resolve(keys, slots); };
  if (key_values_->any_failed()) {
    SlotsOf(keys_, count, key_values_->failed(), some_keys_, slots_, resolve);
  } else {
    resolve(keys_, slots_);
  }
  heads_.Reserve(table_->Slots());
}

void Arrangement::Link(RowRef ref, uint32_t slot) {
  auto& store = rows().store();
  size_t number = store.NumberOf(ref);
  if (number >= next_.size()) {
    next_.Reserve(store.Numbers());
    if (rows_go_) previous_.Reserve(store.Numbers());
  }
  RowRef head = heads_[slot];
  DEBUG_ASSERT(head != ref);
  next_[number] = head;
  if (rows_go_) {
    previous_[number] = kNoRow;
    if (head != kNoRow) previous_[store.NumberOf(head)] = ref;
  }
  heads_[slot] = ref;
  linked_++;
  keys_there_ += head == kNoRow;
}

void Arrangement::Unlink(RowRef ref, uint32_t slot) {
  auto& store = rows().store();
  size_t number = store.NumberOf(ref);
  RowRef next = next_[number], previous = previous_[number];
  if (previous != kNoRow) {
    next_[store.NumberOf(previous)] = next;
  } else {
    heads_[slot] = next;
  }
  if (next != kNoRow) previous_[store.NumberOf(next)] = previous;
  CHECK(rows_go_ && linked_ > 0);
  linked_--;
  if (heads_[slot] != kNoRow) return;
  keys_there_--;
  if (table_) table_->Erase(slot);
}

void Arrangement::IsGone(duckdb::idx_t row) {
  if (slots_[row] != kNoSlot) gone_.push_back({rows().refs()[row], slots_[row]});
}

void Arrangement::Forget() {
  std::sort(gone_.begin(), gone_.end());
  gone_.erase(std::unique(gone_.begin(), gone_.end()), gone_.end());
  for (auto& [ref, slot] : gone_) {
    if (rows().WeightOf(ref) == 0) Unlink(ref, slot);
  }
  gone_.clear();
}

void Arrangement::PutIn(duckdb::DataChunk& rows, const RowRef* refs) {
  ResolveKeys(rows, [](duckdb::idx_t, const ExpressionFailed&) {});
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    if (slots_[i] != kNoSlot) Link(refs[i], slots_[i]);
  }
}

void Arrangement::TakeOut(duckdb::DataChunk& rows, const RowRef* refs) {
  ResolveKeys(rows, [](duckdb::idx_t, const ExpressionFailed&) {});
  for (duckdb::idx_t i = 0; i < rows.size(); i++) {
    if (slots_[i] != kNoSlot) Unlink(refs[i], slots_[i]);
  }
}

void Arrangement::Find(duckdb::DataChunk& keys, uint32_t* slots) const {
  if (table_) {
    table_->Find(keys, slots);
  } else {
    std::fill_n(slots, keys.size(), 0);
  }
}

void Arrangement::Keys(const uint32_t* slots, size_t count, duckdb::DataChunk& keys) const {
  if (table_) table_->Keys(slots, count, keys);
  keys.SetCardinality(count);
}

void Arrangement::Clear() {
  heads_.Clear();
  next_.Clear();
  previous_.Clear();
  gone_.clear();
  linked_ = keys_there_ = 0;
  if (table_) table_ = KeyTable::Make(key_types_);
  heads_.Reserve(1);
}

double Arrangement::RowsByKey() const {
  return keys_there_ ? static_cast<double>(linked_) / static_cast<double>(keys_there_) : 1;
}

// Each row that is there stands in one list, and each key has one.
void Arrangement::CheckInvariants() const {
  Operator::CheckInvariants();
  if (table_) table_->CheckInvariants();
  auto& store = rows().store();
  size_t linked = 0, keys = 0;
  for (uint32_t slot = 0; slot < Slots(); slot++) {
    RowRef before = kNoRow;
    for (RowRef ref = heads_[slot]; ref != kNoRow; ref = Next(ref)) {
      CHECK(!rows_go_ || previous_[store.NumberOf(ref)] == before);
      before = ref;
      CHECK(++linked <= store.rows());  // no list is a ring
    }
    keys += heads_[slot] != kNoRow;
  }
  CHECK(linked == linked_ && keys == keys_there_);
  CHECK(!table_ || table_->KeysThere() == keys);
}

size_t Arrangement::StateBytes() const {
  return (table_ ? table_->Bytes() : 0) + heads_.Bytes() + next_.Bytes() + previous_.Bytes() +
         gone_.capacity() * sizeof(Gone);
}

}  // namespace weir
