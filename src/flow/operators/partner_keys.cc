#include "flow/operators/partner_keys.h"
#include "flow/state/weights.h"

#include <algorithm>

#include "base/error.h"

namespace weir {

KeyCounts::KeyCounts(const RowTypes& key_types) {
  if (!key_types.empty()) table_ = KeyTable::Make(key_types);
  counts_.Reserve(1);
}

void KeyCounts::Resolve(duckdb::DataChunk& keys, uint32_t* slots) {
  if (!table_) return void(std::fill_n(slots, keys.size(), 0));
  table_->Resolve(keys, slots);
  counts_.Reserve(table_->Slots());
}

void KeyCounts::Find(duckdb::DataChunk& keys, uint32_t* slots) const {
  if (!table_) return void(std::fill_n(slots, keys.size(), 0));
  table_->Find(keys, slots);
}

void KeyCounts::Add(uint32_t slot, int64_t weight) {
  AddWeight(counts_[slot], weight);
  if (counts_[slot] == 0) maybe_empty_.push_back(slot);
}

void KeyCounts::Keys(const uint32_t* slots, size_t count, duckdb::DataChunk& keys) const {
  if (table_) table_->Keys(slots, count, keys);
  keys.SetCardinality(count);
}

void KeyCounts::ForgetEmpty() {
  std::sort(maybe_empty_.begin(), maybe_empty_.end());
  maybe_empty_.erase(std::unique(maybe_empty_.begin(), maybe_empty_.end()), maybe_empty_.end());
  for (uint32_t slot : maybe_empty_) {
    if (counts_[slot] == 0 && table_) table_->Erase(slot);
  }
  maybe_empty_.clear();
}

void KeyCounts::CheckInvariants() const {
  CHECK(maybe_empty_.empty());
  if (!table_) return;
  table_->CheckInvariants();
  size_t keys = 0;
  for (uint32_t slot = 0; slot < table_->Slots(); slot++) keys += counts_[slot] != 0;
  CHECK(keys == table_->KeysThere());
}

size_t KeyCounts::Bytes() const {
  return (table_ ? table_->Bytes() : 0) + counts_.Bytes() +
         maybe_empty_.capacity() * sizeof(uint32_t);
}

void KeyCounts::Begin(StateWriter& writer) {
  size_t slots = table_ ? table_->Slots() : 1;
  writer.Put<uint64_t>(slots);
  to_write_.Begin(slots);
}

void KeyCounts::SaveNow(StateWriter& writer, uint32_t slot) const {
  if (counts_[slot] == 0) return;
  writer.Put(mark());
  writer.Put(slot);
  if (table_) table_->SaveKey(slot, writer);
  writer.Put(counts_[slot]);
}

void KeyCounts::SaveBefore(const uint32_t* slots, size_t count, StateWriter& writer) {
  for (size_t i = 0; i < count; i++) {
    if (to_write_.Claim(slots[i])) SaveNow(writer, slots[i]);  // kNoSlot is none
  }
}

bool KeyCounts::SavePieces(StateWriter& writer, const StopSnapshot& stop) {
  auto write = [&](size_t slot) { SaveNow(writer, static_cast<uint32_t>(slot)); };
  return to_write_.Continue(write, stop);
}

void KeyCounts::BeginLoad(StateReader& reader) {
  auto slots = reader.Get<uint64_t>();
  if (table_) table_->BeginLoad(slots);
  counts_.Reserve(slots);
}

void KeyCounts::LoadPiece(StateReader& reader) {
  auto slot = reader.Get<uint32_t>();
  if (slot >= counts_.size()) StateReader::Bad();
  if (table_) table_->LoadKey(slot, reader);
  counts_[slot] = reader.Get<int64_t>();
}

void KeyCounts::EndLoad() {
  if (table_) table_->EndLoad();
}

void PartnerKeys::Find(duckdb::DataChunk& keys, uint32_t* slots) const {
  counts_ ? counts_->Find(keys, slots) : index_->Find(keys, slots);
}

void PartnerKeys::Keys(const uint32_t* slots, size_t count, duckdb::DataChunk& keys) const {
  counts_ ? counts_->Keys(slots, count, keys) : index_->Keys(slots, count, keys);
}

Partners PartnerKeys::Now(uint32_t slot) const {
  if (slot == kNoSlot) return Partners::kNone;
  int64_t rows = 0;
  if (counts_) {
    rows = counts_->At(slot);
  } else {
    for (RowRef ref = index_->First(slot); ref != kNoRow && rows < 2; ref = index_->Next(ref)) {
      rows += index_->rows().WeightOf(ref);
    }
  }
  return rows <= 0 ? Partners::kNone : rows == 1 ? Partners::kOne : Partners::kMany;
}

Partners PartnerKeys::AtStart(uint32_t slot) const {
  bool is_touched = slot < before_.size() && before_[slot] > 0;
  return is_touched ? static_cast<Partners>(before_[slot] - 1) : Now(slot);
}

void PartnerKeys::Touch(uint32_t slot) {
  before_.Reserve(size_t{slot} + 1);
  if (before_[slot] > 0) return;
  before_[slot] = static_cast<uint8_t>(1 + static_cast<uint8_t>(Now(slot)));
  touched_.push_back(slot);
}

void PartnerKeys::StartAnew(uint32_t slot) {
  if (slot >= before_.size() || before_[slot] == 0) return;
  before_[slot] = static_cast<uint8_t>(1 + static_cast<uint8_t>(Now(slot)));
}

std::vector<PartnerKeys::Change> PartnerKeys::Changes() const {
  std::vector<Change> changes;
  for (uint32_t slot : touched_) changes.push_back({slot, AtStart(slot), Now(slot)});
  return changes;
}

void PartnerKeys::EndStep() {
  for (uint32_t slot : touched_) before_[slot] = 0;
  touched_.clear();
  if (counts_) counts_->ForgetEmpty();
}

size_t PartnerKeys::Bytes() const {
  return (counts_ ? counts_->Bytes() : 0) + before_.Bytes() +
         touched_.capacity() * sizeof(uint32_t);
}

}  // namespace weir
