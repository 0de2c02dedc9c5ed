// One side of a join as the other sees it: which keys have rows there, now and when the step began.
//
// A side whose rows are looked at has an index, which knows; of one whose rows are not, as that of
// a semi join, a count by key is all there is.  Owned by its join.
#pragma once

#include <memory>
#include <vector>

#include "flow/operators/arrange.h"
#include "flow/state/key_table.h"
#include "flow/state/paged_array.h"

namespace weir {

enum class Partners : uint8_t { kNone, kOne, kMany };

// A count of rows by key.  Without keys everything is in slot 0.
class KeyCounts : public StatePart {
 public:
  explicit KeyCounts(const RowTypes& key_types);
  void Resolve(duckdb::DataChunk& keys, uint32_t* slots);
  void Find(duckdb::DataChunk& keys, uint32_t* slots) const;
  void Add(uint32_t slot, int64_t weight);
  int64_t At(uint32_t slot) const { return counts_[slot]; }
  void Keys(const uint32_t* slots, size_t count, duckdb::DataChunk& keys) const;
  void ForgetEmpty();  // between steps: keys without rows
  size_t Bytes() const;
  void CheckInvariants() const;  // between steps

  // In a snapshot, ahead of Add.
  void SaveBefore(const uint32_t* slots, size_t count, StateWriter& writer);
  bool SavePieces(StateWriter& writer, const StopSnapshot& stop) override;
  void BeginLoad(StateReader& reader) override;
  void LoadPiece(StateReader& reader) override;
  void EndLoad() override;

 private:
  void Begin(StateWriter& writer) override;
  void End() override { to_write_.End(); }
  void SaveNow(StateWriter& writer, uint32_t slot) const;

  std::unique_ptr<KeyTable> table_;
  PagedArray<int64_t> counts_;  // by slot
  std::vector<uint32_t> maybe_empty_;
  UnitsToWrite to_write_;  // slots
};

class PartnerKeys {
 public:
  struct Change {
    uint32_t slot;
    Partners before, now;
  };

  explicit PartnerKeys(std::unique_ptr<KeyCounts> counts = nullptr) : counts_(std::move(counts)) {}
  void StandOn(const Arrangement* index) { index_ = index; }  // unless there are counts
  KeyCounts* counts() const { return counts_.get(); }

  void Find(duckdb::DataChunk& keys, uint32_t* slots) const;
  void Keys(const uint32_t* slots, size_t count, duckdb::DataChunk& keys) const;
  Partners Now(uint32_t slot) const;
  // As the step began; what rows of the other side are shown by until it ends.
  Partners AtStart(uint32_t slot) const;
  // Rows of this key are about to come or go.
  void Touch(uint32_t slot);
  // Nobody has been shown anything by this key yet: it may as well have begun as it is now.
  void StartAnew(uint32_t slot);
  // Keys that were touched, with what they were and are.
  std::vector<Change> Changes() const;
  void EndStep();
  size_t Bytes() const;

 private:
  const Arrangement* index_ = nullptr;
  std::unique_ptr<KeyCounts> counts_;
  PagedArray<uint8_t> before_;  // by slot: 0, or 1 + Partners before the step
  std::vector<uint32_t> touched_;
};

}  // namespace weir
