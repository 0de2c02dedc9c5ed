#include "duck/rounding.h"

#include <gtest/gtest.h>

#include <random>

#include "duckdb.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/function/function_binder.hpp"
#include "duckdb/planner/binder.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"

namespace weir {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;

// date_trunc(unit, column 0), bound in the session.
duckdb::unique_ptr<duckdb::Expression> DateTrunc(Session& session, const std::string& unit,
                                                 const duckdb::LogicalType& type) {
  duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> arguments;
  arguments.push_back(duckdb::make_uniq<duckdb::BoundConstantExpression>(duckdb::Value(unit)));
  arguments.push_back(duckdb::make_uniq<duckdb::BoundReferenceExpression>(type, 0));
  duckdb::FunctionBinder binder(session.context());
  duckdb::ErrorData error;
  auto bound = binder.BindScalarFunction(DEFAULT_SCHEMA, "date_trunc", std::move(arguments), error);
  if (error.HasError()) error.Throw();
  return bound;
}

// time_bucket(width, column 0, origin).
duckdb::unique_ptr<duckdb::Expression> TimeBucket(Session& session, int64_t width,
                                                  const duckdb::LogicalType& type) {
  auto origin = duckdb::timestamp_t(123'456'789);
  duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> arguments;
  for (auto& value : {duckdb::Value::INTERVAL(0, 0, width),
                      type.id() == duckdb::LogicalTypeId::TIMESTAMP
                          ? duckdb::Value::TIMESTAMP(origin)
                          : duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(origin.value))}) {
    arguments.push_back(duckdb::make_uniq<duckdb::BoundConstantExpression>(value));
  }
  arguments.insert(arguments.begin() + 1,
                   duckdb::make_uniq<duckdb::BoundReferenceExpression>(type, 0));
  duckdb::FunctionBinder binder(session.context());
  duckdb::ErrorData error;
  auto bound =
      binder.BindScalarFunction(DEFAULT_SCHEMA, "time_bucket", std::move(arguments), error);
  if (error.HasError()) error.Throw();
  return bound;
}

// Rounds times both ways, a vector at a time: to a unit, or to buckets of `width`.
void ExpectAsDuckDb(const std::string& zone, const std::string& unit,
                    const duckdb::LogicalType& type, const std::vector<int64_t>& times,
                    int64_t width = 0) {
  Kernel kernel;
  auto session = std::make_shared<Session>(kernel, zone);
  session->SetClock(0);
  auto expression = width ? TimeBucket(*session, width, type) : DateTrunc(*session, unit, type);
  auto rounding = Rounding::Make(session, *expression);
  ASSERT_TRUE(rounding) << unit;
  duckdb::ExpressionExecutor executor(session->context(), *expression);
  for (size_t done = 0; done < times.size(); done += STANDARD_VECTOR_SIZE) {
    size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, times.size() - done);
    duckdb::DataChunk rows;
    rows.Initialize(duckdb::Allocator::DefaultAllocator(), {type});
    auto* values = duckdb::FlatVector::GetDataUnsafe<int64_t>(rows.data[0]);
    std::copy_n(times.begin() + static_cast<ptrdiff_t>(done), count, values);
    rows.SetCardinality(count);
    duckdb::Vector expected(type), actual(type);
    executor.ExecuteExpression(rows, expected);
    rounding->Run(rows.data[0], count, actual);
    expected.Flatten(count);
    actual.Flatten(count);
    for (size_t i = 0; i < count; i++) {
      ASSERT_EQ(duckdb::FlatVector::GetDataUnsafe<int64_t>(actual)[i],
                duckdb::FlatVector::GetDataUnsafe<int64_t>(expected)[i])
          << zone << " " << unit << " of " << values[i];
    }
  }
}

const std::vector<std::string> kUnits = {"second", "minute", "hour",    "day",
                                         "week",   "month",  "quarter", "year"};

TEST(Rounding, IsWhatDuckDbSaysWhereClocksChange) {
  // Half an hour of summer time, a day that never was, clocks that go back at midnight.
  struct Change {
    const char* zone;
    int64_t seconds;
  };
  for (auto& change : std::vector<Change>{{"America/New_York", 1'604'210'400},
                                          {"America/New_York", 1'583'650'800},
                                          {"Australia/Lord_Howe", 1'586'012'400},
                                          {"Australia/Lord_Howe", 1'601'739'000},
                                          {"Pacific/Apia", 1'325'239'200},
                                          {"America/Havana", 1'604'206'800},
                                          {"Asia/Kathmandu", 504'901'800},
                                          {"Africa/Monrovia", 63'593'070}}) {
    for (auto& unit : kUnits) {
      std::vector<int64_t> times;
      for (int64_t minute = -3 * 1440; minute < 3 * 1440; minute++) {
        times.push_back((change.seconds + minute * 60) * kSecond);
        times.push_back((change.seconds + minute * 60) * kSecond - 1);
      }
      ExpectAsDuckDb(change.zone, unit, duckdb::LogicalType::TIMESTAMP_TZ, times);
      std::shuffle(times.begin(), times.end(), std::mt19937(1));
      ExpectAsDuckDb(change.zone, unit, duckdb::LogicalType::TIMESTAMP_TZ, times);
    }
  }
}

TEST(Rounding, IsWhatDuckDbSaysForTimesFarAndNear) {
  std::mt19937_64 random(7);
  std::vector<int64_t> times = {0, -1, 1, INT64_MAX, -INT64_MAX, 9'223'372'022'400'000'000};
  for (int i = 0; i < 20'000; i++) {
    int64_t span = i % 2 ? 400 * 365 * kDay : 40 * kDay;
    times.push_back(static_cast<int64_t>(random() % static_cast<uint64_t>(span)) - span / 2);
  }
  for (auto& unit : kUnits) {
    ExpectAsDuckDb("Europe/Berlin", unit, duckdb::LogicalType::TIMESTAMP_TZ, times);
    ExpectAsDuckDb("Europe/Berlin", unit, duckdb::LogicalType::TIMESTAMP, times);
  }
}

TEST(Rounding, OfBucketsIsWhatDuckDbSays) {
  std::mt19937_64 random(8);
  std::vector<int64_t> far = {INT64_MAX, -INT64_MAX, 0, 123'456'789, 123'456'788}, near;
  for (int i = 0; i < 20'000; i++) {
    far.push_back(static_cast<int64_t>(random() % static_cast<uint64_t>(800 * 365 * kDay)) -
                  400 * 365 * kDay);
    near.push_back(i * kSecond / 3 - 1000 * kSecond);
  }
  for (auto& type : {duckdb::LogicalType::TIMESTAMP, duckdb::LogicalType::TIMESTAMP_TZ}) {
    for (int64_t width : {kSecond, 7 * kSecond, 3600 * kSecond, 25 * 3600 * kSecond}) {
      ExpectAsDuckDb("Europe/Berlin", "bucket", type, near, width);
      // No time rounds to what a bucket does not hold: infinities stay, and the ends of the type.
      ExpectAsDuckDb("Europe/Berlin", "bucket", type, {far.begin() + 2, far.end()}, width);
      ExpectAsDuckDb("Europe/Berlin", "bucket", type, {INT64_MAX, -INT64_MAX, 0}, width);
    }
  }
}

// Units differ in length: the last days of a long month are learnt once, as those before.
TEST(Rounding, OfEachUnitIsAskedForAFewTimesOnly) {
  Kernel kernel;
  auto session = std::make_shared<Session>(kernel, "America/New_York");
  session->SetClock(0);
  constexpr int64_t kBegin = 1'577'836'800 * kSecond;  // 2020-01-01
  for (auto& [unit, periods] : std::vector<std::pair<std::string, uint64_t>>{{"hour", 366 * 24},
                                                                             {"day", 367},
                                                                             {"week", 54},
                                                                             {"month", 13},
                                                                             {"quarter", 5},
                                                                             {"year", 2}}) {
    auto expression = DateTrunc(*session, unit, duckdb::LogicalType::TIMESTAMP_TZ);
    auto rounding = Rounding::Make(session, *expression);
    duckdb::Vector times(duckdb::LogicalType::TIMESTAMP_TZ), out(duckdb::LogicalType::TIMESTAMP_TZ);
    auto* values = duckdb::FlatVector::GetDataUnsafe<int64_t>(times);
    for (int64_t row = 0; row < 366 * 2880; row += STANDARD_VECTOR_SIZE) {
      for (int64_t i = 0; i < STANDARD_VECTOR_SIZE; i++) {
        values[i] = kBegin + (row + i) * 30 * kSecond;
      }
      rounding->Run(times, STANDARD_VECTOR_SIZE, out);
    }
    // Each is found in two or three places, with five questions each; hours in one or two, with
    // three.
    EXPECT_LE(rounding->asked(), periods * (unit == "hour" ? 4 : 15)) << unit;
  }
}

TEST(Rounding, NullsStayNull) {
  Kernel kernel;
  auto session = std::make_shared<Session>(kernel, "UTC");
  auto expression = DateTrunc(*session, "hour", duckdb::LogicalType::TIMESTAMP);
  auto rounding = Rounding::Make(session, *expression);
  duckdb::Vector times(duckdb::LogicalType::TIMESTAMP), out(duckdb::LogicalType::TIMESTAMP);
  times.SetValue(0, duckdb::Value(duckdb::LogicalType::TIMESTAMP));
  times.SetValue(1, duckdb::Value::TIMESTAMP(duckdb::timestamp_t(3'600'000'001)));
  rounding->Run(times, 2, out);
  EXPECT_TRUE(out.GetValue(0).IsNull());
  EXPECT_EQ(out.GetValue(1), duckdb::Value::TIMESTAMP(duckdb::timestamp_t(3'600'000'000)));
}

}  // namespace
}  // namespace weir
