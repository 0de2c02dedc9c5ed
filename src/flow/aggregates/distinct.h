// DISTINCT inside aggregates: how often each group has each value.  The aggregates themselves hear
// of a value when it is there for the first time and when it is gone.
//
// Calls over the same values share one set, whatever their FILTERs: a row is looked up once. State:
// the values of each group, and for each call a count, or a bit while input only grows.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "flow/aggregates/aggregate_state.h"

namespace weir {

class DistinctSet : public StatePart {  // the members' states are saved by their owner
 public:
  struct Member {
    AggregateState* state;         // of the call, without its DISTINCT
    std::optional<size_t> filter;  // column of the evaluated expressions
  };
  static constexpr size_t kMembers = 32;  // at most

  static std::unique_ptr<DistinctSet> Make(const RowTypes& argument_types, bool append_only);
  // REQUIRES: before the first row; there are less than kMembers.
  void Add(Member member) {
    CHECK(member.state && members_.size() < kMembers);  // each has a bit
    members_.push_back(member);
  }
  size_t members() const { return members_.size(); }

  // Row i of `arguments` belongs to slots[i]; `values` has the filters.
  virtual void Update(duckdb::DataChunk& arguments, duckdb::DataChunk& values,
                      const uint32_t* slots, const int64_t* weights) = 0;

  // From now on a group's values can be forgotten together, when the group is over.
  virtual void TrackGroups() = 0;
  virtual void Forget(uint32_t group) = 0;
  // Ahead of that, where a snapshot is taken.
  virtual void SaveGroup(uint32_t group, StateWriter& writer) = 0;

  virtual size_t Bytes() const = 0;
  virtual void CheckInvariants() const = 0;
  Upkeep HowKept() const;

 protected:
  std::vector<Member> members_;
};

// The families (each in the file of its name): any values, and words of rows that only come.
std::unique_ptr<DistinctSet> MakeDistinctKeys(const RowTypes& argument_types, bool append_only);
std::unique_ptr<DistinctSet> MakeDistinctWords(const duckdb::LogicalType& type);

}  // namespace weir
