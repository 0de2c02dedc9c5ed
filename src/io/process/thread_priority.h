// Work that may wait: takes only the processor time that others leave.
#pragma once

namespace weir {

// For the calling thread, until it ends; where the system refuses, nothing changes.
void LowerThreadPriority();

}  // namespace weir
