#include "query/trial_worker.h"

#include "base/memory_budget.h"
#include "duck/errors.h"
#include "io/process/deep_thread.h"
#include "io/process/process.h"
#include "io/process/sandbox.h"
#include "views/relations.h"

namespace weir {
namespace {

constexpr uint64_t kTryMessageMax = uint64_t{1} << 30;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // slower, and they reserve terabytes
#else
constexpr bool kSanitized = false;
#endif
constexpr uint64_t kSlower = kSanitized ? 20 : 1;

// Code, stacks and what an idle DuckDB has.
constexpr uint64_t kSpaceBesideTrial = uint64_t{1} << 30;

// As the engine does it, and its first step: constants are worked out there.
void PlanOnce(Kernel& kernel, const CatalogState& state, const TryMessage& message) {
  auto session = std::make_shared<Session>(kernel, state.time_zone);
  session->SetClock(0);
  Circuit circuit;
  if (message.stream == 0) {
    BuildView(circuit, state, session, "query", KernelSql(message.sql));
  } else {
    Pump pump;
    pump.kernel_sql = KernelSql(message.sql);
    pump.stream = StreamId{message.stream};
    pump.columns = message.columns;
    auto stream = state.FindStream(pump.stream);
    if (!stream) return;
    BuildPump(circuit, state, session, pump, *stream);
  }
  circuit.SetClock(0);
  circuit.SetLogTime(0);
  circuit.Flush();
}

std::optional<Error> TryOnce(Kernel& kernel, const CatalogState& state, const TryMessage& message,
                             uint64_t memory_bytes) {
  LimitCpuTime(kTrialSecondsHard * kSlower);
  double before = CpuSecondsUsed();
  try {
    OnDeepStack(
        [&] {
          MemoryBudget budget(memory_bytes);
          try {
            PlanOnce(kernel, state, message);
          } catch (...) {
            if (!budget.IsOver()) throw;
          }
          // Folding a constant fails without a word.
          if (budget.IsOver()) {
            throw Error(ErrorCode::kLimitExceeded, "planning this query takes more than " +
                                                       std::to_string(memory_bytes / 1'000'000) +
                                                       " MB of memory");
          }
        },
        kTrialStackBytes);
  } catch (...) {
    Error error = CurrentError();
    // What is wrong otherwise shows when it is planned in earnest.
    if (error.code == ErrorCode::kLimitExceeded) return error;
  }
  if (CpuSecondsUsed() - before > kTrialSeconds * static_cast<double>(kSlower)) {
    return Error(ErrorCode::kTimeout, "");
  }
  return std::nullopt;
}

}  // namespace

int RunTrialWorker(MessageSocket& socket, const HelloMessage& hello) {
  Kernel kernel(hello.memory_bytes);
  SandboxRules rules;
  if (!kSanitized) rules.address_space = 2 * hello.memory_bytes + kSpaceBesideTrial;
  EnterSandbox(rules);
  CatalogState state;
  while (auto received = socket.Receive(kTryMessageMax)) {
    if (received->kind != static_cast<uint8_t>(MessageKind::kTry)) return 1;
    TryMessage message;
    Read(received->body, message);
    if (!message.catalog.empty()) state = LoadCatalog(message.catalog);
    DoneMessage done;
    done.error = TryOnce(kernel, state, message, hello.memory_bytes);
    if (!socket.Send(static_cast<uint8_t>(MessageKind::kDone), Write(done))) return 0;
  }
  return 0;
}

}  // namespace weir
