#include "duck/memory.h"

#include <malloc.h>

#include "duckdb/common/allocator.hpp"

namespace weir {

void ReturnFreeMemory() {
  duckdb::Allocator::FlushAll();
  malloc_trim(0);
}

}  // namespace weir
