#include "io/memory/huge_memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#include "io/memory/large_pages.h"

namespace weir {
namespace {

void* Map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

// Maps more, and gives back what is before and behind a boundary of huge pages.
void* MapAligned(size_t bytes) {
  auto* begin = static_cast<char*>(Map(bytes + kLargePageBytes));
  size_t before = -reinterpret_cast<uintptr_t>(begin) & (kLargePageBytes - 1);
  if (before) munmap(begin, before);
  munmap(begin + before + bytes, kLargePageBytes - before);
  return begin + before;
}

}  // namespace

HugeMemory::HugeMemory(size_t bytes) : bytes_(bytes) {
  if (bytes < kLargePageBytes) {
    data_ = Map(bytes);
    return;
  }
  bytes_ = (bytes + kLargePageBytes - 1) & ~(kLargePageBytes - 1);
  data_ = MapAligned(bytes_);
  AdviseLargePages(data_, bytes_);
}

HugeMemory::~HugeMemory() {
  if (data_) munmap(data_, bytes_);
}

}  // namespace weir
