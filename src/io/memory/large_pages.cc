#include "io/memory/large_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>

namespace weir {

void AdviseLargePages(void* begin, size_t bytes) {
#ifdef MADV_HUGEPAGE
  auto from = (reinterpret_cast<uintptr_t>(begin) + kLargePageBytes - 1) & ~(kLargePageBytes - 1);
  auto to = (reinterpret_cast<uintptr_t>(begin) + bytes) & ~(kLargePageBytes - 1);
  // A machine without them says no, and nothing is lost.
  if (from < to) (void)madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#endif
}

void* AllocateLarge(size_t bytes) {
  void* begin = nullptr;
  if (posix_memalign(&begin, kLargePageBytes, bytes) != 0) throw std::bad_alloc();
  AdviseLargePages(begin, bytes);
  return begin;
}

void FreeLarge(void* begin) { std::free(begin); }

}  // namespace weir
