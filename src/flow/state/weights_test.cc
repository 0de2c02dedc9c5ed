#include "flow/state/weights.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(Weights, OneThatDoesNotFitIsAnErrorAndChangesNothing) {
  int32_t weight = INT32_MAX - 1;
  AddWeight(weight, 1);
  EXPECT_EQ(weight, INT32_MAX);
  EXPECT_THROW(AddWeight(weight, 1), Error);
  EXPECT_THROW(AddWeight(weight, int64_t{1} << 32), Error);
  EXPECT_EQ(weight, INT32_MAX);
  AddWeight(weight, -INT32_MAX);
  EXPECT_EQ(weight, 0);
  // The lowest number marks free places.
  EXPECT_THROW(AddWeight(weight, INT32_MIN), Error);
  AddWeight(weight, INT32_MIN + 1);
  EXPECT_EQ(weight, INT32_MIN + 1);
  int64_t wide = INT64_MAX;
  EXPECT_THROW(AddWeight(wide, 1), Error);
}

TEST(Weights, AProductMayBeOfTwoLargeOnes) {
  EXPECT_EQ(WeightProduct(INT32_MAX, -INT32_MAX), -4611686014132420609);
  EXPECT_THROW(WeightProduct(int64_t{1} << 32, int64_t{1} << 31), Error);
}

}  // namespace
}  // namespace weir
