// Shuts this process in: what a query worker does before it looks at a query.
//
// Three walls, each where the kernel offers it: resource limits; Landlock, so that only the folders
// named can be read and nothing written; seccomp, so that only the system calls of computing and
// reading files work (no sockets, no new processes, no signals to others).
// For the whole process, for good; call it before other threads exist.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weir {

struct SandboxRules {
  std::vector<std::string> readable;  // folders; anything else is out of reach
  uint64_t address_space = 0;         // bytes; 0: no limit
};

// Which walls stand.
struct Sandbox {
  bool landlock = false;
  bool seccomp = false;
};

Sandbox EnterSandbox(const SandboxRules& rules);

// From now on at most this much more processor time; then the kernel ends the process.
void LimitCpuTime(uint64_t seconds);

}  // namespace weir
