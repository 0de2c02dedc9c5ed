#include "flow/large_array.h"

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
  StateWriter writer;
  array.Save(writer);
  LargeArray<uint64_t, 3> loaded;
  StateReader reader(writer.bytes());
  loaded.Load(reader);
  EXPECT_TRUE(reader.AtEnd());
  ASSERT_EQ(loaded.size(), kSome);
  for (uint64_t i = 0; i < kSome; i++) {
    ASSERT_EQ(loaded.At(i)[0], i);
    ASSERT_EQ(loaded.At(i)[1], i * 7);
    ASSERT_EQ(loaded.At(i)[2], ~i);
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
  EXPECT_EQ(array[9], "nine");
  EXPECT_EQ(array[kSome - 1], "");
  array.Clear();
  EXPECT_EQ(array.size(), 0u);
  array.Add("one");
  EXPECT_EQ(array.size(), 1u);
  EXPECT_EQ(array[0], "one");
}

TEST(LargeArray, DamagedBytesAreAnError) {
  StateWriter writer;
  writer.Put<uint64_t>(2);  // pages, of which the first is not full
  writer.PutVector(std::vector<uint64_t>{1, 2});
  writer.PutVector(std::vector<uint64_t>{3});
  LargeArray<uint64_t> array;
  StateReader reader(writer.bytes());
  EXPECT_THROW(array.Load(reader), Error);
}

}  // namespace
}  // namespace weir
