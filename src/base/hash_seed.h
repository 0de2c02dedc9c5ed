// Numbers that differ from process to process, mixed into the hashes of tables whose keys producers
// choose: who cannot know them cannot choose keys that all fall into one place of a table, which
// would make it a list.  Nothing that is kept on a disk may depend on them.  Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <random>

namespace weir {

inline const std::array<uint64_t, 2>& HashSeeds() {
  static const std::array<uint64_t, 2> seeds = [] {
    std::random_device source;
    auto word = [&] { return uint64_t{source()} << 32 | source(); };
    uint64_t first = word();
    return std::array<uint64_t, 2>{first, word()};
  }();
  return seeds;
}

}  // namespace weir
