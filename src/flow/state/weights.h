// Weights are counts of equal rows, of those that came less those that went.  They are added up and
// multiplied (by joins); one that does not fit its type fails the view and changes nothing, instead
// of going on as another number.
#pragma once

#include <cstdint>
#include <limits>

#include "base/error.h"

namespace weir {

[[noreturn]] inline void TooManyCopies() {
  throw Error(ErrorCode::kLimitExceeded, "there are more copies of one row than can be counted",
              "Group equal rows with a count where they arise, or give them a column that tells "
              "them apart.");
}

// The lowest number of a type is no weight: stores of rows mark free places with it.
template <class Number>
inline void AddWeight(Number& weight, int64_t change) {
  Number sum;
  if (__builtin_add_overflow(weight, change, &sum) || sum == std::numeric_limits<Number>::min())
      [[unlikely]] {
    TooManyCopies();
  }
  weight = sum;
}

inline int64_t WeightProduct(int64_t one, int64_t other) {
  int64_t product;
  if (__builtin_mul_overflow(one, other, &product)) [[unlikely]] {
    TooManyCopies();
  }
  return product;
}

}  // namespace weir
