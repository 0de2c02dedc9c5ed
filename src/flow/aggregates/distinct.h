// DISTINCT inside aggregates: how often each group has each value.  The aggregates themselves hear
// of a value when it is there for the first time and when it is gone.
//
// Calls over the same values share one set, whatever their FILTERs: a row is looked up once. State:
// the values of each group, and for each call a count, or a bit while input only grows.
#pragma once

#include <optional>
#include <vector>

#include "flow/aggregates/aggregate_state.h"
#include "flow/key_table.h"
#include "io/large_pages.h"

namespace weir {

class DistinctSet {
 public:
  struct Member {
    AggregateState* state;         // of the call, without its DISTINCT
    std::optional<size_t> filter;  // column of the evaluated expressions
  };

  DistinctSet(const RowTypes& argument_types, bool append_only);
  void Add(Member member) { members_.push_back(member); }
  size_t members() const { return members_.size(); }

  // Row i of `arguments` belongs to slots[i]; `values` has the filters.
  void Update(duckdb::DataChunk& arguments, duckdb::DataChunk& values, const uint32_t* slots,
              const int64_t* weights);

  // From now on a group's values can be forgotten together, when the group is over.
  void TrackGroups() { tracks_groups_ = true; }
  void Forget(uint32_t group);

  size_t Bytes() const;
  Upkeep HowKept() const;
  // Of the set only; the members' states are saved by their owner.
  void Save(StateWriter& writer) const;
  void Load(StateReader& reader);

 private:
  bool Seen(size_t member, uint32_t value, int64_t weight, int64_t& change);
  void ForgetGone(duckdb::idx_t rows);
  bool IsHere(uint32_t value) const;
  void Note(uint32_t group, uint32_t value);

  bool append_only_;
  std::vector<Member> members_;
  std::unique_ptr<KeyTable> values_;  // of (group, value)
  std::vector<int64_t> counts_;       // by value and member, when rows can go
  LargeVector<uint64_t> bits_;        // by value, a bit for each member, when none can

  bool tracks_groups_ = false;
  std::vector<std::vector<uint32_t>> of_group_;  // its values; some may be others' by now
  std::vector<uint32_t> group_of_;               // by value

  // Of the chunk at hand.
  std::vector<uint32_t> at_;
  duckdb::DataChunk keys_, changed_;
  duckdb::SelectionVector rows_{STANDARD_VECTOR_SIZE};
  uint32_t row_slots_[STANDARD_VECTOR_SIZE];
  int64_t row_weights_[STANDARD_VECTOR_SIZE];
};

}  // namespace weir
