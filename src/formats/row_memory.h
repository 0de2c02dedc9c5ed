// How much memory the rows of bodies take, from the first byte that is decompressed to the answer:
// a body of a few kilobytes can say many millions of rows.  Bounded for one body and for all at
// once.  Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace weir {

class RowMemory {
 public:
  RowMemory(size_t each_max, size_t all_max) : each_max_(each_max), all_max_(all_max) {}

  // What one body takes; given back when it goes.  One thread at a time.
  class Hold {
   public:
    Hold() = default;  // counts nothing
    explicit Hold(RowMemory& memory) : memory_(&memory) {}
    Hold(Hold&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Hold& operator=(Hold&& other) noexcept {
      Release();
      memory_ = std::exchange(other.memory_, nullptr);
      bytes_ = std::exchange(other.bytes_, 0);
      return *this;
    }
    ~Hold() { Release(); }

    // Throws kTooLarge when it is too much for one body, kTooManyRequests when all bodies together
    // take too much.
    void Add(size_t bytes) {
      if (memory_) memory_->Take(*this, bytes);
    }
    size_t bytes() const { return bytes_; }

   private:
    friend class RowMemory;
    void Release() {
      if (memory_) memory_->used_ -= bytes_;
      bytes_ = 0;
    }
    RowMemory* memory_ = nullptr;
    size_t bytes_ = 0;
  };

  size_t used() const { return used_; }
  size_t each_max() const { return each_max_; }

 private:
  void Take(Hold& hold, size_t bytes);

  const size_t each_max_, all_max_;
  std::atomic<size_t> used_{0};
};

}  // namespace weir
