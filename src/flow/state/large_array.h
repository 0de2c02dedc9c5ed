// An array for much state: it grows as a vector does until it is large, and then by pages of some
// megabytes.  So nothing large is ever copied, memory is touched once, and little of it is unused.
// The values of one index, `width` of them, stand side by side.  Not thread-safe.
#pragma once

#include <bit>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/memory/large_pages.h"

namespace weir {

// kWidth 0: as many as the constructor says.
template <class Value, size_t kWidth = 1>
class LargeArray {
 public:
  explicit LargeArray(size_t width = kWidth) : pages_(1), width_(width) {}

  size_t size() const { return (pages_.size() - 1) * kPage + pages_.back().size() / width(); }
  Value* At(size_t at) {
    DEBUG_ASSERT(at < size());
    return &pages_[at / kPage][at % kPage * width()];
  }
  const Value* At(size_t at) const {
    DEBUG_ASSERT(at < size());
    return &pages_[at / kPage][at % kPage * width()];
  }
  Value& operator[](size_t at) { return *At(at); }
  const Value& operator[](size_t at) const { return *At(at); }

  // Never makes it shorter; new values are Value().
  void Resize(size_t size) {
    while (size > pages_.size() * kPage) {
      pages_.back().resize(kPage * width());
      AddPage();
    }
    if (size > this->size()) pages_.back().resize((size - (pages_.size() - 1) * kPage) * width());
  }
  // Appends the values of one index.
  void Add(const Value* values) {
    if (pages_.back().size() == kPage * width()) AddPage();
    for (size_t i = 0; i < width(); i++) pages_.back().push_back(values[i]);
  }
  void Add(Value&& value) {
    if (pages_.back().size() == kPage * width()) AddPage();
    pages_.back().push_back(std::move(value));
  }
  void CheckInvariants() const {
    for (size_t page = 0; page < pages_.size(); page++) {
      CHECK(pages_[page].size() % width() == 0 && pages_[page].size() <= kPage * width());
      CHECK(page + 1 == pages_.size() || pages_[page].size() == kPage * width());
    }
  }

  // Keeps the room of the first page.
  void Clear() {
    pages_.resize(1);
    pages_[0].clear();
  }

  size_t Bytes() const {
    size_t values = 0;
    for (auto& page : pages_) values += page.capacity();
    return values * sizeof(Value) + pages_.capacity() * sizeof(pages_[0]);
  }

 private:
  static constexpr size_t kPage = std::bit_ceil((2 * kLargePageBytes) / sizeof(Value));

  size_t width() const { return kWidth ? kWidth : width_; }
  void AddPage() { pages_.emplace_back().reserve(kPage * width()); }

  std::vector<LargeVector<Value>> pages_;  // all but the last are full
  size_t width_;
};

}  // namespace weir
