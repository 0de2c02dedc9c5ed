// Planning a query where it harms nobody.
//
// DuckDB's parser, planner and constant folding have no limit of their own: a query can take them
// all memory, all time or the stack.  So what a user wrote is planned once in a process of its own
// before the server plans it, and only what came through goes on: the same work takes the same
// again.  Implemented by query/.
#pragma once

#include <string>

#include "catalog/catalog.h"

namespace weir {

class PlanTrial {
 public:
  virtual ~PlanTrial() = default;
  // Throws Error(kLimitExceeded) when planning needs more than it may; waits for the trial.  What
  // else is wrong with the query shows when it is planned.  Any thread.
  virtual void Try(const CatalogState& state, const KernelSql& query) = 0;
  virtual void Try(const CatalogState& state, const Pump& pump) = 0;
};

}  // namespace weir
