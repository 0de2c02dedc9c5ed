#include "views/step_size.h"

#include <gtest/gtest.h>

#include <cmath>

namespace weir {
namespace {

constexpr Micros kTarget = 80'000;

// Steps of an engine for which much waits, which take `fixed + each * rows` microseconds.
double SettleAt(double fixed, double each, double noise = 0) {
  StepSize size(kTarget);
  for (int i = 0; i < 100; i++) {
    double wobble = 1 + noise * std::sin(i * 1.7);
    double took = (fixed + each * static_cast<double>(size.Rows())) * wobble;
    size.Note(size.Rows(), static_cast<Micros>(took));
  }
  return static_cast<double>(size.Rows());
}

TEST(StepSize, CheapRowsComeInLargeSteps) { EXPECT_NEAR(SettleAt(100, 0.4), 79'900 / 0.4, 10'000); }

TEST(StepSize, DearRowsComeInSmallSteps) {
  double rows = SettleAt(500, 36);  // 28 heavy views
  EXPECT_LE(500 + 36 * rows, 100'000);
  EXPECT_GE(rows, 2'048);
}

// A tenth of a second cannot be had here without doing little but what each step costs anyway.
TEST(StepSize, FixedCostsAreATenthAtMost) {
  double rows = SettleAt(200'000, 1);
  EXPECT_GE(rows, 1'500'000);
  EXPECT_LE(rows, 2'500'000);
}

TEST(StepSize, NoiseDoesNotLeadItAstray) {
  double rows = SettleAt(300, 1, 0.3);
  EXPECT_GT(rows, 30'000);
  EXPECT_LT(rows, 200'000);
}

TEST(StepSize, AfterQuietTimesItGrowsByAndBy) {
  StepSize size(kTarget);
  for (int i = 0; i < 100; i++) size.Note(1, 150);
  EXPECT_LE(size.Rows(), 8'192u);
  for (int i = 0; i < 12; i++) size.Note(size.Rows(), static_cast<Micros>(150 + size.Rows()));
  EXPECT_GT(size.Rows(), 50'000u);
}

}  // namespace
}  // namespace weir
