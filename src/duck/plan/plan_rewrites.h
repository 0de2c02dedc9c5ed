// What is made of a plan once it is translated whole.
#pragma once

#include <memory>

#include "duck/plan/plan_node.h"

namespace weir {

// Inner joins over one another so that as few as can be are products; connected_joins.cc.  Returns
// the root.
std::shared_ptr<PlanNode> ConnectJoins(const std::shared_ptr<PlanNode>& root);

// Marks joins with a threshold (JoinCall::threshold); thresholds.cc.
void MarkThresholds(const std::shared_ptr<PlanNode>& root);

}  // namespace weir
