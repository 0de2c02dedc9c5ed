// A log that was cut back where a group ends looks whole by itself; other files, which were written
// after it, may know better.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"

namespace weir {

struct KnownOffset {
  std::string file;  // that says the log had come this far
  Offset offset;
};

// Throws Error(kCorruption), naming each file that knows of more, when the log ends before it.
void CheckLogReaches(Offset end, const std::string& log_folder,
                     const std::vector<KnownOffset>& known);

}  // namespace weir
