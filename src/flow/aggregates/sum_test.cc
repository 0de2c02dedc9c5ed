#include <gtest/gtest.h>

#include <random>

#include "duck/errors.h"
#include "flow/aggregates/aggregate_state.h"

namespace weir {
namespace {

using duckdb::LogicalType;

class SumTest : public testing::Test {
 protected:
  std::unique_ptr<AggregateState> Sum(const LogicalType& input, const LogicalType& result) {
    AggregateCall call;
    call.function = "sum";
    call.arguments = {ColumnReference(0, input)};
    call.argument_types = {input};
    call.type = result;
    auto state = MakeSum(call);
    state->Grow(1);
    rows_.Destroy();
    rows_.Initialize(duckdb::Allocator::DefaultAllocator(), {input});
    out_ = std::make_unique<duckdb::Vector>(result);
    return state;
  }
  template <class Value>
  void Add(AggregateState& state, const std::vector<Value>& values, int64_t weight) {
    std::vector<uint32_t> slots(STANDARD_VECTOR_SIZE, 0);
    std::vector<int64_t> weights(STANDARD_VECTOR_SIZE, weight);
    for (size_t done = 0; done < values.size(); done += STANDARD_VECTOR_SIZE) {
      auto some = std::min<size_t>(STANDARD_VECTOR_SIZE, values.size() - done);
      std::copy_n(&values[done], some, duckdb::FlatVector::GetDataUnsafe<Value>(rows_.data[0]));
      rows_.SetCardinality(some);
      state.Update(rows_, slots.data(), weights.data());
    }
  }
  duckdb::Value Result(AggregateState& state) {
    uint32_t slot = 0;
    state.Result(&slot, 1, *out_);
    return out_->GetValue(0);
  }

  duckdb::DataChunk rows_;
  std::unique_ptr<duckdb::Vector> out_;
};

TEST_F(SumTest, FloatsDoNotDriftAfterAMillionRetractions) {
  auto state = Sum(LogicalType::DOUBLE, LogicalType::DOUBLE);
  Add<double>(*state, {0.1, 0.2, 0.3}, 1);
  std::mt19937_64 random(7);
  for (int round = 0; round < 100; round++) {
    std::vector<double> values;
    for (int i = 0; i < 10'000; i++) {
      double magnitude = std::pow(10.0, static_cast<double>(random() % 16) - 4);
      values.push_back((static_cast<double>(random() % 2'000'001) - 1e6) * magnitude / 7);
    }
    Add(*state, values, 1);
    std::shuffle(values.begin(), values.end(), random);
    Add(*state, values, -1);
  }
  EXPECT_NEAR(Result(*state).GetValue<double>(), 0.6, 1e-9);
}

TEST_F(SumTest, InfinitiesAndNansLeaveNothingBehind) {
  auto state = Sum(LogicalType::DOUBLE, LogicalType::DOUBLE);
  Add<double>(*state, {1.5, INFINITY, -INFINITY, NAN}, 1);
  EXPECT_TRUE(std::isnan(Result(*state).GetValue<double>()));
  Add<double>(*state, {-INFINITY, NAN}, -1);
  EXPECT_EQ(Result(*state).GetValue<double>(), INFINITY);
  Add<double>(*state, {INFINITY}, -1);
  EXPECT_EQ(Result(*state).GetValue<double>(), 1.5);
}

TEST_F(SumTest, ASumThatLeavesItsTypeComesBack) {
  auto state = Sum(LogicalType::HUGEINT, LogicalType::HUGEINT);
  duckdb::hugeint_t most(INT64_MAX, UINT64_MAX), least(INT64_MIN, 0);
  Add<duckdb::hugeint_t>(*state, {most, duckdb::hugeint_t(5)}, 1'000'000'007);
  EXPECT_THROW(Result(*state), Error);
  Add<duckdb::hugeint_t>(*state, {least}, 1'000'000'006);
  EXPECT_THROW(Result(*state), Error);
  Add<duckdb::hugeint_t>(*state, {most}, -1'000'000'007);
  EXPECT_THROW(Result(*state), Error);
  Add<duckdb::hugeint_t>(*state, {least}, -1'000'000'006);
  EXPECT_EQ(Result(*state).ToString(), "5000000035");
}

}  // namespace
}  // namespace weir
