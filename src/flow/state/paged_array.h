// An array that grows by pages: values stay where they are, and a growth costs one page, however
// long the array is.  Not thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/error.h"
#include "flow/state/allocated.h"

namespace weir {

template <class Value>
class PagedArray {
 public:
  size_t size() const { return pages_.size() * kPage; }
  // Room for so many; new values are Value().
  void Reserve(size_t size) {
    while (this->size() < size) pages_.push_back(std::make_unique<Value[]>(kPage));
  }
  void Clear() { pages_.clear(); }

  Value& operator[](size_t at) {
    DEBUG_ASSERT(at < size());
    return pages_[at / kPage][at % kPage];
  }
  const Value& operator[](size_t at) const {
    DEBUG_ASSERT(at < size());
    return pages_[at / kPage][at % kPage];
  }

  size_t Bytes() const {
    return pages_.capacity() * sizeof(pages_[0]) +
           pages_.size() * AllocatedBytes(kPage * sizeof(Value));
  }

 private:
  static constexpr size_t kPage = 1024;
  std::vector<std::unique_ptr<Value[]>> pages_;
};

}  // namespace weir
