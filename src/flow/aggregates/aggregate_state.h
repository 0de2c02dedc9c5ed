// The state of one aggregate call for all groups, in arrays by slot.
//
// Closed forms (count, sum, avg by weights; min and max by an ordered multiset, or plainly while
// input only grows) take rows that go as well as rows that come.  Everything else is DuckDB's own
// state while rows only come, and otherwise computed again from the rows of a touched group.  Not
// thread-safe; owned by the aggregate operator.
#pragma once

#include <memory>

#include "duck/plan/plan_node.h"
#include "flow/operator.h"
#include "flow/state/state_io.h"
#include "flow/upkeep.h"
#include "io/memory/large_pages.h"

namespace weir {

class AggregateState : public StatePart {
 public:
  virtual void Grow(size_t slots) = 0;
  // Row i of `arguments` belongs to slots[i]; weights as in Operator::Push.
  virtual void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
                      const int64_t* weights) = 0;
  // Before Update, where there are many slots: has what it is about to change fetched.
  virtual void Prefetch(const uint32_t* slots, duckdb::idx_t count) const {}
  virtual void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) = 0;
  virtual void Clear(uint32_t slot) = 0;
  virtual size_t Bytes() const = 0;
  virtual Upkeep HowKept() const { return {}; }
  virtual bool CanSave() const { return true; }
  // One slot's state; it is loaded into a slot that is as Grow made it.  Where that is many values,
  // they are not in it: those are the state's pieces, and what is to be written ahead of Clear.
  virtual void SaveSlot(uint32_t slot, StateWriter& writer) const = 0;
  virtual void LoadSlot(uint32_t slot, StateReader& reader) = 0;
  virtual void SaveBeforeClear(uint32_t slot, StateWriter& writer) {}
};

// True when the call is of one of the families below that need no rows kept.
bool HasClosedForm(const AggregateCall& call);

// True when equal values must be told apart from one another (distinct.h): where it matters.
bool NeedsDistinct(const AggregateCall& call);

// True when the call's state is one of DuckDB's, whose memory is not given back group by group.
bool IsNative(const AggregateCall& call, bool append_only);

// The state of a call without its FILTER and DISTINCT.  `append_only`: no row ever goes; `once`: a
// group's result is asked for once, and then the group is cleared.
std::unique_ptr<AggregateState> MakeAggregateState(const AggregateCall& call, bool append_only,
                                                   bool once = false);

// The families (each in the file of its name).
std::unique_ptr<AggregateState> MakeCount(bool count_rows);
std::unique_ptr<AggregateState> MakeSum(const AggregateCall& call);  // null: not of this family
std::unique_ptr<AggregateState> MakeExtreme(const AggregateCall& call, bool append_only);
// Merges of partial results, by the names kSumOfCounts and kAverageOfParts.
inline constexpr const char* kSumOfCounts = "sum of counts";
inline constexpr const char* kAverageOfParts = "average of parts";
std::unique_ptr<AggregateState> MakeSumOfCounts();
std::unique_ptr<AggregateState> MakeAverageOfParts(const AggregateCall& call);
std::unique_ptr<AggregateState> MakeNative(const AggregateCall& call);
std::unique_ptr<AggregateState> MakeKeptRows(const AggregateCall& call, bool append_only,
                                             bool once);

}  // namespace weir
