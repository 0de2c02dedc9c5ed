// Planning inside the server: on a deep stack, and with no more memory than a trial had twice over.
#pragma once

#include <cstdint>
#include <functional>

namespace weir {

// Before there are threads.
void SetPlanBudget(uint64_t bytes);
uint64_t PlanBudget();

// Runs `work` on a thread of its own, waits, and throws what it throws; Error(kLimitExceeded) when
// it wanted more memory.  Any thread.
void OnPlanningThread(const std::function<void()>& work);

}  // namespace weir
