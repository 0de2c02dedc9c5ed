// Loops over values of fixed width, which the compiler is to know the width of.
#pragma once

#include <cstddef>
#include <type_traits>

#include "base/error.h"

namespace weir {

// Calls `work` with the width as a constant.
template <class Work>
void WithWidth(size_t width, Work work) {
  switch (width) {
    case 1: return work(std::integral_constant<size_t, 1>());
    case 2: return work(std::integral_constant<size_t, 2>());
    case 4: return work(std::integral_constant<size_t, 4>());
    case 8: return work(std::integral_constant<size_t, 8>());
    default: CHECK(width == 16); return work(std::integral_constant<size_t, 16>());
  }
}

}  // namespace weir
