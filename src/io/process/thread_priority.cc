#include "io/process/thread_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weir {

void LowerThreadPriority() {
  constexpr int kNicest = 19;
  // On Linux a "process" here is a thread.
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNicest);
}

}  // namespace weir
