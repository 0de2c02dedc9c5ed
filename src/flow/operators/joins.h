// The operators of joins (JoinSpec in operators.h), and what each needs of its two sides.
#pragma once

#include "flow/operators/arrange.h"
#include "flow/operators/operators.h"
#include "flow/operators/ordered_index.h"

namespace weir {

// How a join has a side's rows.
enum class JoinSide {
  kShared,   // an index that others may use, too
  kOwn,      // an index of its own, since it keeps something beside each row or key
  kCounted,  // none: it counts them by key
};
JoinSide SideOf(const JoinSpec& spec, int side);
RowTypes KeyTypes(const JoinSpec& spec);

// Inputs are indexes where SideOf says so, otherwise the rows.
std::unique_ptr<Operator> MakeJoin(const SessionPtr& session, const JoinSpec& spec);

// By kind: where keys alone say who has a partner (join.cc); where each row counts those for which
// a condition holds (matching_join.cc); NOT IN (mark_join.cc).
std::unique_ptr<Operator> MakeKeyJoin(const SessionPtr& session, const JoinSpec& spec,
                                      RowTypes types, bool append_only);
std::unique_ptr<Operator> MakeMatchingJoin(const SessionPtr& session, const JoinSpec& spec,
                                           RowTypes types, bool append_only);
std::unique_ptr<Operator> MakeMarkJoin(const SessionPtr& session, const JoinSpec& spec,
                                       RowTypes types, bool append_only);

// Rows above thresholds of the same key (threshold.cc).  The first input is an ordered index of the
// rows, by the same order; the second has the thresholds.
struct ThresholdSpec {
  OrderedKey by;  // of the thresholds
  bool or_equal = false;
};
std::unique_ptr<Operator> MakeThreshold(const SessionPtr& session, const ThresholdSpec& spec,
                                        RowTypes types, bool append_only);

// Of a join without an equality.
void SayAllWithAll(Operator& join, const JoinSpec& spec);
// The reason of rows with several partners where one is allowed.
ExpressionFailed Crowd();

}  // namespace weir
