#include "lake/read_ahead.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace weir {
namespace {

// Says 1 to `count`, as offsets, until nobody wants more; then how many were wanted.
std::function<bool(const PieceSink&)> Counts(uint64_t count, uint64_t& said) {
  return [count, &said](const PieceSink& sink) {
    for (said = 0; said < count;) {
      if (!sink(Columns(), Offset{++said})) return false;
    }
    return true;
  };
}

TEST(ReadAhead, PiecesComeInOrderAndAllOfThem) {
  uint64_t said;
  std::vector<uint64_t> seen;
  EXPECT_TRUE(ReadAhead(Counts(1000, said), [&](Columns&&, Offset last) {
    seen.push_back(last.value);
    return true;
  }));
  ASSERT_EQ(seen.size(), 1000u);
  for (size_t i = 0; i < seen.size(); i++) EXPECT_EQ(seen[i], i + 1);
}

TEST(ReadAhead, WhoWantsNoMoreGetsNoMore) {
  uint64_t said, taken = 0;
  EXPECT_FALSE(ReadAhead(Counts(1000, said), [&](Columns&&, Offset) { return ++taken < 10; }));
  EXPECT_EQ(taken, 10u);
  EXPECT_LT(said, 20u);
}

TEST(ReadAhead, WhatEitherSideThrowsIsThrown) {
  uint64_t said;
  auto fails = [](Columns&&, Offset) -> bool { throw std::runtime_error("sink"); };
  EXPECT_THROW(ReadAhead(Counts(1000, said), fails), std::runtime_error);
  uint64_t taken = 0;
  auto breaks = [](const PieceSink& sink) -> bool {
    sink(Columns(), Offset{1});
    throw std::logic_error("file");
  };
  EXPECT_THROW(ReadAhead(breaks, [&](Columns&&, Offset) { return ++taken > 0; }), std::logic_error);
  EXPECT_EQ(taken, 1u);
}

}  // namespace
}  // namespace weir
