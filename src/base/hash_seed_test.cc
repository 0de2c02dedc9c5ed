// Keys that somebody chose so that hashes without a seed are equal are spread like any others.
#include "base/hash_seed.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "base/hash_bytes.h"

namespace weir {
namespace {

// A well-known finalizer of one word, without a seed.
uint64_t Unseeded(uint64_t word) {
  constexpr uint64_t kMix = 0xd6e8feb86659fd93ull;
  word = (word ^ word >> 32) * kMix;
  word = (word ^ word >> 32) * kMix;
  return word ^ word >> 32;
}

// The same of texts: multiply and fold, a word at a time.
uint64_t Unseeded(std::string_view text) {
  constexpr uint64_t kMix = 0x9fb21c651e98df25ull;
  uint64_t hash = text.size() * kMix;
  for (size_t at = 0; at + 8 <= text.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    hash = (hash ^ word) * kMix;
    hash ^= hash >> 32;
  }
  return hash;
}

TEST(HashSeed, WordsThatWereChosenDoNotMeet) {
  constexpr uint64_t kPlaces = 1 << 14;
  std::set<uint64_t> places;
  int keys = 0;
  for (uint64_t word = 0; keys < 100; word++) {
    if (Unseeded(word) % kPlaces != 7) continue;
    keys++;
    places.insert(HashWord(word) % kPlaces);
  }
  EXPECT_GT(places.size(), 90u);
}

TEST(HashSeed, TextsThatWereChosenDoNotMeet) {
  // What the highest bit changes, the word behind undoes, whatever came before.
  constexpr uint64_t kHigh = uint64_t{1} << 63, kUndo = kHigh | uint64_t{1} << 31;
  std::vector<std::string> texts = {""};
  for (int pair = 0; pair < 8; pair++) {
    std::vector<std::string> longer;
    for (auto& text : texts) {
      for (bool changed : {false, true}) {
        uint64_t words[2] = {0x6161616161616161ull ^ (changed ? kHigh : 0),
                             0x6262626262626262ull ^ (changed ? kUndo : 0)};
        longer.push_back(text + std::string(reinterpret_cast<const char*>(words), sizeof(words)));
      }
    }
    texts = longer;
  }
  std::set<uint64_t> plain, seeded;
  for (auto& text : texts) {
    plain.insert(Unseeded(text));
    seeded.insert(HashBytes(text));
  }
  EXPECT_EQ(plain.size(), 1u);
  EXPECT_EQ(seeded.size(), texts.size());
}

}  // namespace
}  // namespace weir
