// Memory of large arrays that are read and written at random: asked for in the machine's large
// pages (2 MiB), of which the processor can keep the addresses of all that matter.  With pages of
// 4 KiB every look into a table of some hundred megabytes has to find the page first.  Small arrays
// come from the heap as ever.  Any thread.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace weir {

inline constexpr size_t kLargePageBytes = 2 << 20;

// Asks for large pages where they fit between `begin` and its end; a hint, not a promise.
void AdviseLargePages(void* begin, size_t bytes);

// Aligned to a large page; std::bad_alloc when there is none.  Given back with FreeLarge.
void* AllocateLarge(size_t bytes);
void FreeLarge(void* begin);

template <class Value>
struct LargePages {
  using value_type = Value;
  LargePages() = default;
  template <class Other>
  LargePages(const LargePages<Other>&) {}

  Value* allocate(size_t count) {
    size_t bytes = count * sizeof(Value);
    if (bytes >= kFrom) return static_cast<Value*>(AllocateLarge(bytes));
    return static_cast<Value*>(::operator new(bytes));
  }
  void deallocate(Value* begin, size_t count) {
    if (count * sizeof(Value) >= kFrom) return FreeLarge(begin);
    ::operator delete(begin);
  }
  bool operator==(const LargePages&) const { return true; }

 private:
  static constexpr size_t kFrom = 2 * kLargePageBytes;
};

template <class Value>
using LargeVector = std::vector<Value, LargePages<Value>>;

}  // namespace weir
