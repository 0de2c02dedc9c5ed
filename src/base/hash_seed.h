// Numbers that differ from process to process, mixed into the hashes of tables whose keys producers
// choose: who cannot know them cannot choose keys that all fall into one place of a table, which
// would make it a list.  Nothing that is kept on a disk may depend on them.  Thread-safe.
#pragma once

#include <cstdint>
#include <random>

namespace weir {

struct HashSeeds {
  uint64_t add;       // to what is hashed
  uint64_t multiply;  // odd

  static HashSeeds Make() {
    std::random_device source;
    auto word = [&] { return uint64_t{source()} << 32 | source(); };
    uint64_t add = word();
    return {add, word() | 1};
  }
};
inline const HashSeeds kHashSeeds = HashSeeds::Make();

// Both halves of a product, folded (Wang Yi's wyhash): every bit of the word reaches every bit.
inline uint64_t FoldedProduct(uint64_t a, uint64_t b) {
  auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// A hash of one word.
inline uint64_t HashWord(uint64_t word) {
  constexpr uint64_t kMix = 0xd6e8feb86659fd93ull;
  uint64_t hash = FoldedProduct(word ^ kHashSeeds.add, kHashSeeds.multiply) * kMix;
  return hash ^ hash >> 32;
}

}  // namespace weir
