// Allocations that fail where a test wants them to.  Replaces operator new of the test program, so
// one file of each program may include this.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

namespace weir {

// All of the calling thread.
class FailingAllocations {
 public:
  // Of those to come, some succeed and some fail then; after these all succeed again.
  static void After(int64_t succeed, int64_t fail = 1) {
    succeed_ = succeed;
    fail_ = fail;
    happened_ = false;
  }
  static void Never() { succeed_ = -1; }
  // Whether one failed since `After`.
  static bool Happened() { return happened_; }

  static void* AllocateOrNull(size_t bytes, size_t alignment = 0) noexcept {
    if (Fails()) return nullptr;
    size_t size = bytes ? bytes : 1;
    size_t whole = alignment ? (size + alignment - 1) / alignment * alignment : size;
    return alignment ? std::aligned_alloc(alignment, whole) : std::malloc(size);
  }
  static void* Allocate(size_t bytes, size_t alignment = 0) {
    void* place = AllocateOrNull(bytes, alignment);
    if (!place) throw std::bad_alloc();
    return place;
  }

 private:
  static bool Fails() {
    if (succeed_ < 0 || succeed_-- > 0) return false;
    happened_ = true;
    succeed_ = --fail_ > 0 ? 0 : -1;
    return true;
  }
  static inline thread_local int64_t succeed_ = -1, fail_ = 0;
  static inline thread_local bool happened_ = false;
};

}  // namespace weir

[[gnu::noinline]] void* operator new(size_t bytes) {
  return weir::FailingAllocations::Allocate(bytes);
}
[[gnu::noinline]] void* operator new[](size_t bytes) {
  return weir::FailingAllocations::Allocate(bytes);
}
[[gnu::noinline]] void* operator new(size_t bytes, std::align_val_t alignment) {
  return weir::FailingAllocations::Allocate(bytes, static_cast<size_t>(alignment));
}
[[gnu::noinline]] void* operator new[](size_t bytes, std::align_val_t alignment) {
  return weir::FailingAllocations::Allocate(bytes, static_cast<size_t>(alignment));
}
[[gnu::noinline]] void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return weir::FailingAllocations::AllocateOrNull(bytes);
}
[[gnu::noinline]] void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return weir::FailingAllocations::AllocateOrNull(bytes);
}
[[gnu::noinline]] void operator delete(void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete[](void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, size_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete[](void* place, size_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, const std::nothrow_t&) noexcept {
  std::free(place);
}
[[gnu::noinline]] void operator delete[](void* place, const std::nothrow_t&) noexcept {
  std::free(place);
}
[[gnu::noinline]] void operator delete(void* place, std::align_val_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete[](void* place, std::align_val_t) noexcept {
  std::free(place);
}
[[gnu::noinline]] void operator delete[](void* place, size_t, std::align_val_t) noexcept {
  std::free(place);
}
[[gnu::noinline]] void operator delete(void* place, size_t, std::align_val_t) noexcept {
  std::free(place);
}
