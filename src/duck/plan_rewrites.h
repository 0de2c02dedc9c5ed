// What is made of a plan once it is translated whole.
#pragma once

#include <memory>

#include "duck/plan_node.h"

namespace weir {

// Marks joins with a threshold (JoinCall::threshold); thresholds.cc.
void MarkThresholds(const std::shared_ptr<PlanNode>& root);

}  // namespace weir
