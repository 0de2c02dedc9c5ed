// In a process of its own: plans what it is asked to, and says whether that went well.
#pragma once

#include "io/process/child_process.h"
#include "query/messages.h"

namespace weir {

// Serves kTry messages until the other side is gone; the exit code.
int RunTrialWorker(MessageSocket& socket, const HelloMessage& hello);

// Processor time that planning one query may take, and what the kernel allows before it ends the
// process.
inline constexpr double kTrialSeconds = 1;
inline constexpr uint64_t kTrialSecondsHard = 1;

}  // namespace weir
