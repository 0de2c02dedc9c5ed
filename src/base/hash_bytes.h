// A hash of a run of bytes, for keys and rows of some ten to some hundred: a word at a time, in
// place.  Not kept anywhere: it differs from one process to the next (base/hash_seed.h).
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/hash_seed.h"

namespace weir {

inline uint64_t HashBytes(std::string_view bytes) {
  constexpr uint64_t kMix = 0x9fb21c651e98df25ull;
  const uint64_t multiply = kHashSeeds.multiply;
  uint64_t hash = bytes.size() * kMix ^ kHashSeeds.add;
  auto add = [&](uint64_t word) { hash = FoldedProduct(hash ^ word, multiply); };
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    add(word);
  }
  // The rest by reads of fixed size, which may overlap what was read.
  if (left > 0 && bytes.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, at + left - 8, 8);
    add(word);
  } else if (left >= 4) {
    uint32_t first, last;
    std::memcpy(&first, at, 4);
    std::memcpy(&last, at + left - 4, 4);
    add(uint64_t{first} << 32 | last);
  } else if (left > 0) {
    auto byte = [&](size_t i) { return uint64_t{static_cast<unsigned char>(at[i])}; };
    add(byte(0) | byte(left / 2) << 8 | byte(left - 1) << 16);
  }
  add(kMix);
  return hash;
}

}  // namespace weir
