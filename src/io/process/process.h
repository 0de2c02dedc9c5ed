// This process as the system sees it.  Any thread.
#pragma once

namespace weir {

// Ends the process without running anything else: no destructor, no handler, no flush.
[[noreturn]] void ExitAtOnce(int code);

// Processor time it has taken, of all its threads, in the program and in the system.
double CpuSecondsUsed();

}  // namespace weir
