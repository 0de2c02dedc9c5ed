#include "io/process/process.h"

#include <sys/resource.h>
#include <unistd.h>

namespace weir {

void ExitAtOnce(int code) { _exit(code); }

double CpuSecondsUsed() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

}  // namespace weir
