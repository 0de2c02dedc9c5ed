// Memory that is free inside the process goes back to the machine.
#pragma once

#include "duckdb/common/unique_ptr.hpp"

namespace duckdb {
class Allocator;
}

namespace weir {

// DuckDB's allocator and the C library's keep what was freed for the next burst.  Takes some
// milliseconds; to be called when it is quiet.  Any thread.
void ReturnFreeMemory();

// From here on DuckDB asks base/memory_budget before it allocates.  Called by Kernel; the first
// call counts.
void WatchDuckMemory();
duckdb::unique_ptr<duckdb::Allocator> MakeWatchedAllocator();

}  // namespace weir
