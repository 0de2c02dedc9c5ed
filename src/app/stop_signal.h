// Ctrl-C and SIGTERM for commands that run until they are done or told to stop.
#pragma once

#include <signal.h>

#include <atomic>

namespace weir {

inline std::atomic<bool> stop_requested{false};

// From here on both only set `stop_requested`.
inline void StopOnSignal() {
  signal(SIGINT, [](int) { stop_requested = true; });
  signal(SIGTERM, [](int) { stop_requested = true; });
}

}  // namespace weir
