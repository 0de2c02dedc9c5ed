// What the C library's allocator takes for the small things operators keep, so that bytes of state
// are those of the process and not those of the values.
#pragma once

#include <algorithm>
#include <cstddef>

namespace weir {

// A block of `bytes`: with its header, in steps of 16.
constexpr size_t AllocatedBytes(size_t bytes) {
  return std::max<size_t>(32, (bytes + sizeof(size_t) + 15) & ~size_t{15});
}
// What a std::string of this size has outside of itself.
constexpr size_t TextBytes(size_t size) { return size > 15 ? AllocatedBytes(size + 1) : 0; }
// A node of a std::map or std::set, of an unordered one with its share of the buckets.
template <class Value>
constexpr size_t TreeNodeBytes() {
  return AllocatedBytes(4 * sizeof(void*) + sizeof(Value));
}
template <class Value>
constexpr size_t HashNodeBytes() {
  return AllocatedBytes(2 * sizeof(void*) + sizeof(Value)) + sizeof(void*);
}

}  // namespace weir
