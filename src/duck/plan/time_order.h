// What a join's condition says about the times of the two rows of a pair: how long one may come
// before the other.
#pragma once

#include <vector>

#include "duck/plan/plan_node.h"

namespace weir {

// In every pair: `later` - `earlier` >= `least`, each an expression of one side's row, of type
// TIMESTAMP or TIMESTAMPTZ (both of the same).
struct TimeOrder {
  size_t later_side = 0;  // an index into the join's inputs; `earlier` is the other side's
  ExpressionPtr later, earlier;
  Micros least = 0;
};

// All that comparisons of times, BETWEEN, equal keys and bounds on a difference say, in the join's
// condition and in `filters` over its rows.
std::vector<TimeOrder> TimesInOrder(const PlanNode& join,
                                    const std::vector<ExpressionPtr>& filters = {});

// Whether a side's rows are only shown, or only matter, with a partner of the other side: of those
// that meet none nothing has to be known.
bool NeedsPartner(JoinKind kind, size_t side);

}  // namespace weir
