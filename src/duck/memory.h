// Memory that is free inside the process goes back to the machine.
#pragma once

namespace weir {

// DuckDB's allocator and the C library's keep what was freed for the next burst.  Takes some
// milliseconds; to be called when it is quiet.  Any thread.
void ReturnFreeMemory();

}  // namespace weir
