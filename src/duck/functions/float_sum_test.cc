#include "duck/functions/float_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "duck/functions/exact_sums.h"
#include "duck/test_connection.h"
#include "duckdb.hpp"

namespace weir {
namespace {

// A sum with what it needs beside it.
struct Whole {
  FloatSum sum;
  std::unique_ptr<WideSum> wide;

  void Add(double value, int64_t weight = 1) {
    sum.count += weight;
    if ((weight == 1 || weight == -1) && sum.TryAdd(value * static_cast<double>(weight))) return;
    sum.AddSlowly(value, weight, [&]() -> WideSum& {
      if (!wide) wide = std::make_unique<WideSum>();
      return *wide;
    });
  }
  double Value() const { return sum.Value(sum.IsWide() ? wide.get() : nullptr); }
};

double SumOf(const std::vector<double>& values) {
  Whole whole;
  for (double value : values) whole.Add(value);
  return whole.Value();
}

constexpr double kLargest = 1.7976931348623157e308, kSmallest = 4.9406564584124654e-324;

TEST(FloatSum, IsTheNearestDoubleOfTheExactSum) {
  EXPECT_EQ(SumOf({1e16, 1, -1e16, 5}), 6);
  EXPECT_EQ(SumOf({1e30, 1, -1e30}), 1);
  EXPECT_EQ(SumOf({1e300, 1, 1e-300, -1e300, -1}), 1e-300);
  EXPECT_EQ(SumOf({kLargest, kLargest, kSmallest, -kLargest, -kLargest}), kSmallest);
  EXPECT_EQ(SumOf({0.1, 0.2, 0.3}), 0.6);  // 0.1 + 0.2 + 0.3 by itself is 0.6000000000000001
  EXPECT_EQ(SumOf({1e308, 1e308}), INFINITY);
  EXPECT_EQ(SumOf({-1e308, -1e308}), -INFINITY);
  EXPECT_EQ(SumOf({1e308, 1e308, -1e308}), 1e308);
  EXPECT_EQ(SumOf({kSmallest, kSmallest}), 2 * kSmallest);
  // A half of the last place is rounded to even, with a bit more it is not.
  EXPECT_EQ(SumOf({1, 0x1p-53}), 1);
  EXPECT_EQ(SumOf({1, 0x1p-53, 0x1p-1000}), 1 + 0x1p-52);
  EXPECT_EQ(SumOf({1 + 0x1p-52, 0x1p-53}), 1 + 0x1p-51);
  EXPECT_EQ(SumOf({-1, -0x1p-53, -0x1p-1000}), -1 - 0x1p-52);
}

TEST(FloatSum, WhatCameAndWentLeavesNothing) {
  Whole whole;
  for (double value : std::vector<double>{1e308, 1e308, INFINITY, NAN, 5}) whole.Add(value);
  EXPECT_TRUE(std::isnan(whole.Value()));
  whole.Add(NAN, -1);
  EXPECT_EQ(whole.Value(), INFINITY);
  whole.Add(INFINITY, -1);
  EXPECT_EQ(whole.Value(), INFINITY);
  whole.Add(1e308, -2);
  EXPECT_EQ(whole.Value(), 5);
  EXPECT_TRUE(whole.sum.TryNarrow(*whole.wide));
  whole.Add(3, -2'000'000'000'000'000'001);
  EXPECT_EQ(whole.Value(), -6e18);
}

// Against values of 53 bits whose sum is known by integers, in any order and with any exponents.
TEST(FloatSum, DoesNotDependOnTheOrder) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; round++) {
    std::vector<double> values;
    int spread = 1 + round % 3 * 500;
    for (int i = 0; i < 50; i++) {
      auto mantissa = static_cast<double>(static_cast<int64_t>(random()) >> 10);
      int exponent = static_cast<int>(random() % static_cast<uint64_t>(spread));
      values.push_back(std::ldexp(mantissa, exponent - spread / 2));
    }
    double sum = SumOf(values);
    std::shuffle(values.begin(), values.end(), random);
    EXPECT_EQ(SumOf(values), sum);
    // Alone the wide sum says the same.
    WideSum wide;
    for (double value : values) wide.Add(value, 1);
    EXPECT_EQ(wide.Value(), sum);
    WideSum parts[2], all;
    for (size_t i = 0; i < values.size(); i++) parts[i % 2].Add(values[i], 1);
    for (auto& part : parts) all.Add(part);
    EXPECT_EQ(all.Value(), sum);
    for (double value : values) wide.Add(value, -1);
    EXPECT_TRUE(wide.IsZero());
    if (spread > 1) continue;
    __int128 exact = 0;
    for (double value : values) exact += static_cast<__int128>(value);
    EXPECT_EQ(sum, static_cast<double>(exact));
  }
}

class ExactSums : public testing::Test {
 protected:
  ExactSums() {
    InstallExactSums(database_);
    UseOneThreadUnderTsan(connection_);
  }
  std::string Ask(const std::string& query) {
    auto result = connection_.Query(query);
    return result->HasError() ? "error: " + result->GetError() : result->GetValue(0, 0).ToString();
  }
  duckdb::DuckDB database_;
  duckdb::Connection connection_{database_};
};

TEST_F(ExactSums, OfFloatsInEveryKindOfAggregate) {
  std::string values = " FROM (VALUES (1, 1e16), (2, 1), (3, -1e16), (4, 5)) v(i, x)";
  for (std::string sum : {"sum", "fsum", "kahan_sum", "sumkahan"}) {
    EXPECT_EQ(Ask("SELECT " + sum + "(x::DOUBLE)" + values), "6.0");
  }
  for (std::string average : {"avg", "mean", "favg"}) {
    EXPECT_EQ(Ask("SELECT " + average + "(x::DOUBLE)" + values), "1.5");
  }
  EXPECT_EQ(Ask("SELECT sum(x::FLOAT) FILTER (i <> 2)" + values), "5.0");
  EXPECT_EQ(Ask("SELECT sum(DISTINCT x::DOUBLE)" + values), "6.0");
  EXPECT_EQ(Ask("SELECT list(s) FROM (SELECT sum(x::DOUBLE) OVER (ORDER BY i) AS s" + values + ")"),
            "[1e+16, 1e+16, 1.0, 6.0]");
  EXPECT_EQ(Ask("SELECT list(s) FROM (SELECT sum(x::DOUBLE) OVER (ORDER BY i ROWS BETWEEN 2 "
                "PRECEDING AND 1 FOLLOWING) AS s" +
                values + ")"),
            "[1e+16, 1.0, 6.0, -9999999999999994.0]");
  EXPECT_EQ(Ask("SELECT sum(x::DOUBLE) FROM (VALUES (1e308), (1e308)) v(x)"), "inf");
  EXPECT_EQ(Ask("SELECT fsum(x::DOUBLE) FROM (VALUES ('inf'), ('1')) v(x)"), "inf");
  EXPECT_EQ(Ask("SELECT favg(x::DOUBLE) FROM (VALUES ('-inf'), ('1')) v(x)"), "-inf");
  EXPECT_EQ(Ask("SELECT sum(x::DOUBLE) FROM (VALUES (NULL)) v(x)"), "NULL");
  EXPECT_EQ(Ask("SELECT sum(0.1::DOUBLE) FROM range(1000)"), "100.0");
  // Many groups, with some whose sums are wide, over several threads.
  EXPECT_EQ(
      Ask("SELECT count(*) FROM (SELECT i % 10000 AS g, sum(CASE (i // 10000) % 4 WHEN 0 THEN "
          "1e300 WHEN 1 THEN 1 WHEN 2 THEN -1e300 ELSE 0.5 END) AS s FROM range(400000) t(i) "
          "GROUP BY g) WHERE s <> 15"),
      "0");
}

TEST_F(ExactSums, OfWideIntegersFitOrFail) {
  std::string nines = "999999999999999999999999999999999999.99::DECIMAL(38, 2)";
  EXPECT_TRUE(Ask("SELECT sum(x) FROM (VALUES (" + nines + "), (" + nines + ")) v(x)")
                  .starts_with("error: Out of Range Error: a sum does not fit its type"));
  EXPECT_EQ(
      Ask("SELECT sum(x) FROM (VALUES (" + nines + "), (" + nines + "), (-(" + nines + "))) v(x)"),
      "999999999999999999999999999999999999.99");
  EXPECT_EQ(Ask("SELECT sum(x) FROM (VALUES (1.5::DECIMAL(38, 2)), (2.25), (NULL)) v(x)"), "3.75");
  std::string most = "170141183460469231731687303715884105727::HUGEINT";
  EXPECT_EQ(Ask("SELECT sum(x) FROM (VALUES (" + most + "), (" + most + "), (-" + most + ")) v(x)"),
            "170141183460469231731687303715884105727");
  EXPECT_TRUE(Ask("SELECT sum(x) FROM (VALUES (" + most + "), (1::HUGEINT)) v(x)")
                  .starts_with("error: Out of Range"));
}

}  // namespace
}  // namespace weir
