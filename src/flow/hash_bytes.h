// A hash of a run of bytes, for keys and rows of some ten to some hundred: a word at a time, in
// place.  Not kept anywhere: it may differ from one version to the next.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace weir {

inline uint64_t HashBytes(std::string_view bytes) {
  constexpr uint64_t kMix = 0x9fb21c651e98df25ull;
  uint64_t hash = bytes.size() * kMix;
  auto add = [&](uint64_t word) {
    hash = (hash ^ word) * kMix;
    hash ^= hash >> 32;
  };
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    add(word);
  }
  uint64_t rest = 0;
  for (size_t i = 0; i < left; i++) {
    rest |= uint64_t{static_cast<unsigned char>(at[i])} << 8 * i;
  }
  add(rest);
  add(kMix);
  return hash;
}

}  // namespace weir
