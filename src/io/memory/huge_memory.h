// Zeroed memory for large tables that are read here and there, in large pages (io/large_pages.h
// says why, and has those for arrays that are written before they are read).
//
// Owned by whoever holds it; as thread-safe as memory is.
#pragma once

#include <cstddef>
#include <utility>

namespace weir {

class HugeMemory {
 public:
  HugeMemory() = default;
  // At a 64-byte boundary at least; what is not touched costs nothing.  Throws std::bad_alloc.
  explicit HugeMemory(size_t bytes);
  HugeMemory(HugeMemory&& other) noexcept { *this = std::move(other); }
  HugeMemory& operator=(HugeMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~HugeMemory();

  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace weir
