#include "base/memory_budget.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace weir {

constinit thread_local ThreadMemory thread_memory;

namespace {

std::atomic<uint64_t> memory_line{0};
std::atomic<uint64_t> row_budget{256 << 20};
uint64_t (*memory_in_use)() = nullptr;

// After a refusal so much goes through before the next look: what is thrown, and who cleans up,
// allocates, too.
constexpr uint64_t kToCleanUp = 4 << 20;

}  // namespace

bool MayAllocateSlow(size_t bytes) {
  auto& memory = thread_memory;
  bool small = bytes < (64 << 10);
  if (memory.net > memory.most && !(small && memory.over_budget)) {
    memory.over_budget = true;
    memory.net -= static_cast<int64_t>(bytes);
    return false;
  }
  if (memory.since_look < ThreadMemory::kBetweenLooks) return true;
  memory.since_look = 0;
  uint64_t line = memory_line.load(std::memory_order_relaxed);
  if (line == 0 || memory_in_use == nullptr) return true;
  uint64_t large = bytes >= ThreadMemory::kBetweenLooks ? bytes : 0;
  if (memory_in_use() + large <= line) return true;
  memory.since_look = ThreadMemory::kBetweenLooks - kToCleanUp;
  memory.net -= static_cast<int64_t>(bytes);
  return false;
}

void SetMemoryLine(uint64_t bytes, uint64_t (*in_use)()) {
  memory_in_use = in_use;
  memory_line = bytes;
}

uint64_t MemoryLine() { return memory_line; }

void SetRowBudget(uint64_t bytes) { row_budget = bytes; }
uint64_t RowBudget() { return row_budget.load(std::memory_order_relaxed); }

MemoryBudget::MemoryBudget(uint64_t bytes)
    : outer_most_(thread_memory.most), outer_over_(thread_memory.over_budget) {
  auto& memory = thread_memory;
  memory.scopes++;
  memory.over_budget = false;
  memory.most = std::min(outer_most_, memory.net + static_cast<int64_t>(bytes));
}

MemoryBudget::~MemoryBudget() {
  auto& memory = thread_memory;
  memory.scopes--;
  memory.most = outer_most_;
  memory.over_budget = outer_over_ || (memory.over_budget && memory.scopes > 0);
}

void ReturnFreePages() { malloc_trim(0); }

}  // namespace weir

// The sanitizers bring their own; so may a test, therefore weak.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

// What Free will say of it.
void* Noted(void* memory, std::size_t bytes) noexcept {
  if (weir::thread_memory.scopes > 0 && memory != nullptr) {
    weir::thread_memory.net += static_cast<int64_t>(malloc_usable_size(memory) - bytes);
  }
  return memory;
}

void* Allocated(std::size_t bytes) noexcept {
  if (!weir::MayAllocate(bytes)) return nullptr;
  return Noted(std::malloc(bytes == 0 ? 1 : bytes), bytes);
}

void* AllocatedAligned(std::size_t bytes, std::align_val_t alignment) noexcept {
  void* memory = nullptr;
  if (!weir::MayAllocate(bytes)) return nullptr;
  if (posix_memalign(&memory, std::max(static_cast<std::size_t>(alignment), sizeof(void*)),
                     bytes == 0 ? 1 : bytes) != 0) {
    return nullptr;
  }
  return Noted(memory, bytes);
}

void* OrThrow(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void Free(void* memory) noexcept {
  if (weir::thread_memory.scopes > 0 && memory != nullptr) {
    weir::NoteFreed(malloc_usable_size(memory));
  }
  std::free(memory);
}

}  // namespace

[[gnu::weak]] void* operator new(std::size_t bytes) { return OrThrow(Allocated(bytes)); }
[[gnu::weak]] void* operator new[](std::size_t bytes) { return OrThrow(Allocated(bytes)); }
[[gnu::weak]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return Allocated(bytes);
}
[[gnu::weak]] void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return Allocated(bytes);
}
[[gnu::weak]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return OrThrow(AllocatedAligned(bytes, alignment));
}
[[gnu::weak]] void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return OrThrow(AllocatedAligned(bytes, alignment));
}
[[gnu::weak]] void operator delete(void* memory) noexcept { Free(memory); }
[[gnu::weak]] void operator delete[](void* memory) noexcept { Free(memory); }
[[gnu::weak]] void operator delete(void* memory, std::size_t) noexcept { Free(memory); }
[[gnu::weak]] void operator delete[](void* memory, std::size_t) noexcept { Free(memory); }
[[gnu::weak]] void operator delete(void* memory, const std::nothrow_t&) noexcept { Free(memory); }
[[gnu::weak]] void operator delete[](void* memory, const std::nothrow_t&) noexcept { Free(memory); }
[[gnu::weak]] void operator delete(void* memory, std::align_val_t) noexcept { Free(memory); }
[[gnu::weak]] void operator delete[](void* memory, std::align_val_t) noexcept { Free(memory); }
[[gnu::weak]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  Free(memory);
}
[[gnu::weak]] void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  Free(memory);
}

#endif
