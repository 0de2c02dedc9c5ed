#include "io/huge_memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace weir {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

void* Map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

// Maps more, and gives back what is before and behind a boundary of huge pages.
void* MapAligned(size_t bytes) {
  auto* begin = static_cast<char*>(Map(bytes + kHugePage));
  size_t before = -reinterpret_cast<uintptr_t>(begin) & (kHugePage - 1);
  if (before) munmap(begin, before);
  munmap(begin + before + bytes, kHugePage - before);
  return begin + before;
}

}  // namespace

HugeMemory::HugeMemory(size_t bytes) : bytes_(bytes) {
  if (bytes < kHugePage) {
    data_ = Map(bytes);
    return;
  }
  bytes_ = (bytes + kHugePage - 1) & ~(kHugePage - 1);
  data_ = MapAligned(bytes_);
  madvise(data_, bytes_, MADV_HUGEPAGE);  // where there are none, small ones do
}

HugeMemory::~HugeMemory() {
  if (data_) munmap(data_, bytes_);
}

}  // namespace weir
