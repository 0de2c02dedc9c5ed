// INTERSECT and EXCEPT, with and without ALL: for each row how often it is on either side; a step
// emits how the number of its copies in the answer changed.  State: the distinct rows of both sides
// and two counts.
#include "base/error.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/operators/operators.h"
#include "flow/row_buffer.h"
#include "flow/state/key_table.h"
#include "flow/state/weights.h"

namespace weir {
namespace {

class SetOperation : public Operator {
 public:
  SetOperation(RowTypes types, bool is_except, bool keeps_copies)
      : Operator(is_except ? "except" : "intersect", std::move(types), false),
        is_except_(is_except),
        keeps_copies_(keeps_copies),
        table_(KeyTable::Make(this->types())),
        out_(this->types()) {}

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    CHECK(port <= 1);
    table_->Resolve(rows, slots_);
    if (counts_.size() < table_->Slots()) counts_.resize(table_->Slots());
    BeforeChange([&](StateWriter& writer) {
      for (duckdb::idx_t i = 0; i < rows.size(); i++) {
        if (to_write_.Claim(slots_[i])) SaveNow(writer, slots_[i]);
      }
    });
    for (duckdb::idx_t i = 0; i < rows.size(); i++) {
      auto& count = counts_[slots_[i]];
      if (!count.touched) {
        count.touched = true;
        touched_.emplace_back(slots_[i], Copies(count));
      }
      AddWeight(count.rows[port], weights ? weights[i] : 1);
    }
  }

  void Flush() override {
    auto emit = [&](duckdb::DataChunk& rows, const int64_t* weights) { Emit(rows, weights); };
    for (auto& [slot, before] : touched_) {
      auto& count = counts_[slot];
      count.touched = false;
      int64_t change = Copies(count) - before;
      if (change != 0) {
        table_->Key(slot, out_.chunk(), out_.next());
        out_.Added(change, emit);
      }
    }
    out_.Flush(emit);
    for (auto& [slot, before] : touched_) {
      if (counts_[slot].rows[0] == 0 && counts_[slot].rows[1] == 0) table_->Erase(slot);
    }
    touched_.clear();
  }

  void CheckInvariants() const override {
    Operator::CheckInvariants();
    table_->CheckInvariants();
    CHECK(touched_.empty());
    size_t there = 0;
    for (auto& count : counts_) {
      CHECK(!count.touched);
      there += count.rows[0] != 0 || count.rows[1] != 0;
    }
    CHECK(there == table_->KeysThere());
  }
  bool HasState() const override { return true; }
  size_t StateBytes() const override {
    return table_->Bytes() + counts_.capacity() * sizeof(Count) +
           touched_.capacity() * sizeof(touched_[0]);
  }
  void Load(StateReader& reader) override {
    counts_.resize(reader.Get<uint64_t>());
    table_->BeginLoad(counts_.size());
    for (auto slot = reader.Get<uint32_t>(); slot != kNoSlot; slot = reader.Get<uint32_t>()) {
      if (slot >= counts_.size()) StateReader::Bad();
      table_->LoadKey(slot, reader);
      for (auto& rows : counts_[slot].rows) rows = reader.Get<int64_t>();
    }
    table_->EndLoad();
  }

 private:
  struct Count {
    int64_t rows[2] = {0, 0};
    bool touched = false;
  };

  static constexpr uint32_t kNoSlot = UINT32_MAX;

  void SaveNow(StateWriter& writer, uint32_t slot) const {
    auto& count = counts_[slot];
    if (count.rows[0] == 0 && count.rows[1] == 0) return;
    writer.Put(slot);
    table_->SaveKey(slot, writer);
    for (int64_t rows : count.rows) writer.Put(rows);
  }
  bool BeginPieces(StateWriter& writer) override {
    writer.Put<uint64_t>(counts_.size());
    to_write_.Begin(counts_.size());
    return true;
  }
  bool SavePieces(StateWriter& writer, const Stop& stop) override {
    auto write = [&](size_t slot) { SaveNow(writer, static_cast<uint32_t>(slot)); };
    if (!to_write_.Continue(write, stop)) return false;
    writer.Put(kNoSlot);
    return true;
  }
  void EndPieces() override { to_write_.End(); }

  int64_t Copies(const Count& count) const {
    int64_t left = count.rows[0], right = count.rows[1];
    if (keeps_copies_) {
      return is_except_ ? std::max<int64_t>(0, left - right) : std::min(left, right);
    }
    return left > 0 && (right > 0) != is_except_;
  }

  bool is_except_, keeps_copies_;
  std::unique_ptr<KeyTable> table_;
  std::vector<Count> counts_;
  std::vector<std::pair<uint32_t, int64_t>> touched_;  // slot, copies before the step
  UnitsToWrite to_write_;                              // slots
  uint32_t slots_[STANDARD_VECTOR_SIZE];
  RowBuffer out_;
};

}  // namespace

std::unique_ptr<Operator> MakeSetOperation(RowTypes types, bool is_except, bool keeps_copies) {
  return std::make_unique<SetOperation>(std::move(types), is_except, keeps_copies);
}

}  // namespace weir
