#include "views/planning.h"

#include <atomic>

#include "base/error.h"
#include "base/memory_budget.h"
#include "io/process/deep_thread.h"

namespace weir {
namespace {

std::atomic<uint64_t> plan_budget{512 << 20};

}  // namespace

void SetPlanBudget(uint64_t bytes) { plan_budget = bytes; }
uint64_t PlanBudget() { return plan_budget; }

void OnPlanningThread(const std::function<void()>& work) {
  OnDeepStack([&] {
    MemoryBudget budget(PlanBudget());
    try {
      work();
    } catch (...) {
      if (!budget.IsOver()) throw;
    }
    if (budget.IsOver()) {
      throw Error(ErrorCode::kLimitExceeded, "planning this query takes more than " +
                                                 std::to_string(PlanBudget() / 1'000'000) +
                                                 " MB of memory");
    }
  });
}

}  // namespace weir
