// How much memory the rows of bodies take, from the first byte that is decompressed to the answer:
// a body of a few kilobytes can say many millions of rows.  Bounded for one body and for all at
// once.  What a body takes may be given back after the one who counts it is gone: an append that is
// under way then ends on the log's thread.  Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace weir {

class RowMemory {
  struct Counts {
    Counts(size_t each, size_t all) : each_max(each), all_max(all) {}
    const size_t each_max, all_max;
    std::atomic<size_t> used{0};
  };

 public:
  RowMemory(size_t each_max, size_t all_max)
      : counts_(std::make_shared<Counts>(each_max, all_max)) {}

  // What one body takes; given back when it goes.  One thread at a time.
  class Hold {
   public:
    Hold() = default;  // counts nothing
    explicit Hold(RowMemory& memory) : counts_(memory.counts_) {}
    Hold(Hold&& other) noexcept
        : counts_(std::move(other.counts_)), bytes_(std::exchange(other.bytes_, 0)) {}
    Hold& operator=(Hold&& other) noexcept {
      Release();
      counts_ = std::move(other.counts_);
      bytes_ = std::exchange(other.bytes_, 0);
      return *this;
    }
    ~Hold() { Release(); }

    // Throws kTooLarge when it is too much for one body, kTooManyRequests when all bodies together
    // take too much.
    void Add(size_t bytes) {
      if (counts_) Take(bytes);
    }
    size_t bytes() const { return bytes_; }

   private:
    void Take(size_t bytes);
    void Release() {
      if (counts_) counts_->used -= bytes_;
      bytes_ = 0;
    }
    std::shared_ptr<Counts> counts_;
    size_t bytes_ = 0;
  };

  size_t used() const { return counts_->used; }
  size_t each_max() const { return counts_->each_max; }

 private:
  std::shared_ptr<Counts> counts_;
};

}  // namespace weir
