// Whether all rows of a vector belong to one group, as those of neighbouring events often do: then
// there is one sum to add to, not one a row.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir {

inline bool AllOne(const uint32_t* slots, size_t count) {
  if (count == 0) return true;
  // Three looks settle it where groups are mixed.
  uint32_t one = slots[0];
  if (slots[count - 1] != one || slots[count / 2] != one) return false;
  uint32_t difference = 0;
  for (size_t i = 0; i < count; i++) difference |= slots[i] ^ one;
  return difference == 0;
}

}  // namespace weir
