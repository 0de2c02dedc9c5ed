// Rows that an expression of an operator failed on: what, why and where, with how many there are.
// They are part of the answer: a row that goes takes its entry with it.
//
// Ten thousand different ones are kept; beyond them rows are only counted, under one entry for each
// place they failed at, so that a stream of bad rows costs no memory without bound.
//
// What a step adds or takes is held back until TakeChanges, so that all views see it at once. Owned
// by its operator; one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/ids.h"
#include "flow/state/state_io.h"

namespace weir {

struct FailedRow {
  std::string row;     // its values as text, cut when long
  std::string reason;  // what the expression said
  std::string where;   // the operator and the expression
  auto operator<=>(const FailedRow&) const = default;
};

void SaveFailed(StateWriter& writer, const FailedRow& row);
FailedRow LoadFailed(StateReader& reader);
void SaveFailedBySlot(StateWriter& writer, const std::map<uint32_t, FailedRow>& rows);
std::map<uint32_t, FailedRow> LoadFailedBySlot(StateReader& reader);

class FailedRows {
 public:
  void Add(FailedRow row, int64_t weight);

  // Takes all of them back, those of this step included.
  void WithdrawAll();

  // Called with the log position at which a row failed first, and how many more (or fewer) there
  // are.
  using Sink = std::function<void(const FailedRow& row, Offset first, int64_t count)>;
  // What changed since the last call; rows not seen before failed first at `position`.
  void TakeChanges(Offset position, const Sink& sink);
  bool HasChanges() const { return !changes_.empty(); }
  // One that came since the last call; null when none did.
  const FailedRow* New() const;
  // All rows as of the last TakeChanges.
  void ForEach(const Sink& sink) const;

  void CheckInvariants() const;

  uint64_t count() const { return count_; }
  size_t Bytes() const { return bytes_; }
  void Save(StateWriter& writer) const;
  void Load(StateReader& reader);

 private:
  struct Kept {
    Offset first;
    int64_t count = 0;
  };
  void Keep(const FailedRow& row, Offset first, int64_t count);
  bool IsThere(const FailedRow& row) const;

  std::map<FailedRow, Kept> rows_;
  std::map<FailedRow, int64_t> changes_;
  uint64_t count_ = 0;
  size_t bytes_ = 0;
};

}  // namespace weir
