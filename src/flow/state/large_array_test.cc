#include "flow/state/large_array.h"

#include <gtest/gtest.h>

#include <string>

namespace weir {
namespace {

constexpr size_t kSome = 1'300'000;  // more than two pages

TEST(LargeArray, ValuesOfOneIndexStandTogetherAcrossPages) {
  LargeArray<uint64_t, 0> array(3);
  for (uint64_t i = 0; i < kSome; i++) {
    uint64_t values[] = {i, i * 7, ~i};
    array.Add(values);
    ASSERT_EQ(array.size(), i + 1);
  }
  array.CheckInvariants();
  for (uint64_t i = 0; i < kSome; i++) {
    ASSERT_EQ(array.At(i)[0], i);
    ASSERT_EQ(array.At(i)[1], i * 7);
    ASSERT_EQ(array.At(i)[2], ~i);
  }
  EXPECT_GE(array.Bytes(), kSome * 24);
}

TEST(LargeArray, GrowsBySizeAndStartsAgain) {
  LargeArray<std::string> array;
  array.Resize(10);
  array[9] = "nine";
  array.Resize(kSome);
  array.Resize(5);
  ASSERT_EQ(array.size(), kSome);
  array.CheckInvariants();
  EXPECT_EQ(array[9], "nine");
  EXPECT_EQ(array[kSome - 1], "");
  array.Clear();
  EXPECT_EQ(array.size(), 0u);
  array.Add("one");
  EXPECT_EQ(array.size(), 1u);
  EXPECT_EQ(array[0], "one");
}

}  // namespace
}  // namespace weir
