// The rows of a table out of its changes: for each key the last change says what the row is from
// now on, or that there is none.  A step emits the row that was and the row that is, where they
// differ.  State: the current row of each key.  Cost: a hash lookup and a copy for each change, a
// row out and a row in for each key whose row is another one at the end of the step.
#include "flow/operators/table.h"

#include "base/error.h"
#include "flow/row_buffer.h"
#include "flow/state/key_table.h"
#include "flow/state/row_store.h"

namespace weir {
namespace {

RowTypes OutputTypes(const TableSpec& spec) {
  RowTypes types(spec.changes.begin(), spec.changes.begin() + static_cast<long>(spec.columns));
  if (spec.with_hidden) types.insert(types.end(), spec.changes.end() - 2, spec.changes.end());
  return types;
}

RowTypes KeyTypes(const TableSpec& spec) {
  RowTypes types;
  for (size_t column : spec.key) types.push_back(spec.changes[column]);
  return types;
}

class Table : public Operator {
 public:
  explicit Table(TableSpec spec)
      : Operator("table", OutputTypes(spec), false),
        spec_(std::move(spec)),
        keys_(KeyTable::Make(KeyTypes(spec_))),
        store_(types(), false) {
    key_chunk_.InitializeEmpty(DuckTypes(KeyTypes(spec_)));
    row_chunk_.InitializeEmpty(DuckTypes(types()));
    out_.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types()));
  }

  void Push(size_t, duckdb::DataChunk& rows, const int64_t*) override {
    CHECK(rows.ColumnCount() == spec_.changes.size());
    for (size_t i = 0; i < spec_.key.size(); i++) {
      key_chunk_.data[i].Reference(rows.data[spec_.key[i]]);
    }
    key_chunk_.SetCardinality(rows.size());
    keys_->Resolve(key_chunk_, slots_);
    if (current_.size() < keys_->Slots()) {
      current_.resize(keys_->Slots(), kNoRow);
      touch_.resize(keys_->Slots(), kUntouched);
    }
    BeforeChange([&](StateWriter& writer) {
      for (duckdb::idx_t i = 0; i < rows.size(); i++) {
        if (to_write_.Claim(slots_[i])) SaveNow(writer, slots_[i]);
      }
    });
    for (size_t i = 0; i < spec_.columns; i++) row_chunk_.data[i].Reference(rows.data[i]);
    for (size_t i = spec_.columns; i < types().size(); i++) {  // the hidden two stand last
      row_chunk_.data[i].Reference(rows.data[rows.ColumnCount() - types().size() + i]);
    }
    row_chunk_.SetCardinality(rows.size());
    auto& encoded = store_.Encode(row_chunk_);
    duckdb::UnifiedVectorFormat deleted;
    rows.data[spec_.columns].ToUnifiedFormat(rows.size(), deleted);
    auto* flags = duckdb::UnifiedVectorFormat::GetData<bool>(deleted);
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      auto flag = deleted.sel->get_index(i);
      bool gone = deleted.validity.RowIsValid(flag) && flags[flag];
      Change(slots_[i], gone ? std::string_view() : encoded[i]);
    }
  }

  void Flush() override {
    for (auto& [slot, before] : touched_) {
      touch_[slot] = kUntouched;
      RowRef& now = current_[slot];
      if (before == now) continue;
      bool same = before != kNoRow && now != kNoRow && store_.Bytes(before) == store_.Bytes(now);
      if (same) {
        Forget(now);
        now = before;
        continue;
      }
      if (before != kNoRow) Say(before, -1);
      if (now != kNoRow) Say(now, 1);
      if (before != kNoRow) gone_.push_back(before);
    }
    EmitSaid();
    for (RowRef row : gone_) Forget(row);
    for (auto& [slot, before] : touched_) {
      if (current_[slot] == kNoRow) keys_->Erase(slot);
    }
    gone_.clear();
    touched_.clear();
  }

  void CheckInvariants() const override {
    Operator::CheckInvariants();
    keys_->CheckInvariants();
    store_.CheckInvariants();
    CHECK(touched_.empty() && touch_.size() == current_.size());
    size_t rows = 0;
    for (RowRef row : current_) rows += row != kNoRow;
    CHECK(rows == store_.rows() && rows == keys_->KeysThere());
  }
  bool HasState() const override { return true; }
  size_t StateBytes() const override {
    return keys_->Bytes() + store_.Bytes() + current_.capacity() * sizeof(RowRef) +
           touch_.capacity() * sizeof(uint32_t);
  }
  void Save(StateWriter& writer) const override {
    writer.Put<uint64_t>(current_.size());
    for (uint32_t slot = 0; slot < current_.size(); slot++) SaveNow(writer, slot);
    writer.Put(kNoSlot);
  }
  void Load(StateReader& reader) override {
    auto slots = reader.Get<uint64_t>();
    keys_->BeginLoad(slots);
    current_.assign(slots, kNoRow);
    for (auto slot = reader.Get<uint32_t>(); slot != kNoSlot; slot = reader.Get<uint32_t>()) {
      if (slot >= slots) StateReader::Bad();
      keys_->LoadKey(slot, reader);
      store_.FindOrAdd(reader.GetString(), current_[slot]);
    }
    keys_->EndLoad();
    touch_.assign(current_.size(), kUntouched);
  }

 private:
  static constexpr uint32_t kUntouched = UINT32_MAX, kNoSlot = UINT32_MAX;

  void SaveNow(StateWriter& writer, uint32_t slot) const {
    if (current_[slot] == kNoRow) return;
    writer.Put(slot);
    keys_->SaveKey(slot, writer);
    writer.PutString(store_.Bytes(current_[slot]));
  }
  bool BeginPieces(StateWriter& writer) override {
    writer.Put<uint64_t>(current_.size());
    to_write_.Begin(current_.size());
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    auto write = [&](size_t slot) { SaveNow(writer, static_cast<uint32_t>(slot)); };
    if (!to_write_.Continue(write, stop)) return false;
    writer.Put(kNoSlot);
    return true;
  }
  void EndPieces() override { to_write_.End(); }

  // The row of a slot is another one, or (no bytes) gone.
  void Change(uint32_t slot, std::string_view row) {
    RowRef& now = current_[slot];
    if (touch_[slot] == kUntouched) {
      touch_[slot] = static_cast<uint32_t>(touched_.size());
      touched_.emplace_back(slot, now);
    }
    DEBUG_ASSERT(touched_.at(touch_[slot]).first == slot);
    if (now != kNoRow && store_.Bytes(now) == row) return;
    // What was there before the step is kept until its end, where it is taken back.
    if (now != kNoRow && now != touched_[touch_[slot]].second) Forget(now);
    now = kNoRow;
    if (!row.empty()) store_.FindOrAdd(row, now);  // every encoded row has bytes
  }

  // Each row is a list of its own.
  void Forget(RowRef row) { store_.Remove(row, row); }

  void Say(RowRef row, int64_t weight) {
    said_.push_back(row);
    weights_.push_back(weight);
    if (said_.size() == STANDARD_VECTOR_SIZE) EmitSaid();
  }
  void EmitSaid() {
    if (said_.empty()) return;
    out_.Reset();
    store_.Gather(said_.data(), said_.size(), out_, 0);
    out_.SetCardinality(said_.size());
    Emit(out_, weights_.data());
    said_.clear();
    weights_.clear();
  }

  TableSpec spec_;
  std::unique_ptr<KeyTable> keys_;
  RowStore store_;
  std::vector<RowRef> current_;                       // by slot
  std::vector<uint32_t> touch_;                       // by slot: its place in touched_
  std::vector<std::pair<uint32_t, RowRef>> touched_;  // slot, its row before the step
  UnitsToWrite to_write_;                             // slots
  std::vector<RowRef> gone_, said_;
  std::vector<int64_t> weights_;
  duckdb::DataChunk key_chunk_, row_chunk_, out_;
  uint32_t slots_[STANDARD_VECTOR_SIZE];
};

}  // namespace

std::unique_ptr<Operator> MakeTable(TableSpec spec) {
  return std::make_unique<Table>(std::move(spec));
}

}  // namespace weir
