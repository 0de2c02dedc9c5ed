#include "flow/state/sorted_list.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace weir {
namespace {

std::vector<int> From(const SortedList<int>& list, int from, size_t at_most = SIZE_MAX) {
  std::vector<int> items;
  if (at_most == 0) return items;
  list.From(from, [&](int item) {
    items.push_back(item);
    return items.size() < at_most;
  });
  return items;
}

TEST(SortedList, IsASet) {
  std::mt19937 random(7);
  SortedList<int> list;
  std::set<int> set;
  for (int round = 0; round < 200000; round++) {
    // Mostly added at first, mostly erased in the end.
    int item = static_cast<int>(random() % 20000);
    if (static_cast<int>(random() % 200000) >= round) {
      list.Add(item);
      set.insert(item);
    } else {
      list.Erase(item);
      set.erase(item);
    }
    if (round % 5000 > 0) continue;
    list.CheckInvariants();
    ASSERT_EQ(list.size(), set.size());
    ASSERT_EQ(From(list, INT_MIN), std::vector(set.begin(), set.end()));
    for (int from : {-1, 0, 77, 10000, 19999, 20000}) {
      auto first = set.lower_bound(from);
      auto expected = first == set.end() ? std::vector<int>() : std::vector{*first};
      ASSERT_EQ(From(list, from, 1), expected) << from;
    }
  }
  for (int item : std::set(set)) list.Erase(item);
  list.CheckInvariants();
  EXPECT_EQ(list.size(), 0u);
  EXPECT_TRUE(From(list, INT_MIN).empty());
  list.Add(5);
  EXPECT_EQ(From(list, 0), std::vector{5});
}

TEST(SortedList, ItemsInOrderFillTheirBlocks) {
  SortedList<int> list, mixed;
  for (int item = 0; item < 100000; item++) list.Add(item);
  list.CheckInvariants();
  EXPECT_LT(list.Bytes(), 100000 * sizeof(int) * 13 / 10);
  std::mt19937 random(7);
  for (int item = 0; item < 100000; item++) mixed.Add(static_cast<int>(random()));
  mixed.CheckInvariants();
  EXPECT_LT(mixed.Bytes(), mixed.size() * sizeof(int) * 22 / 10);
}

}  // namespace
}  // namespace weir
