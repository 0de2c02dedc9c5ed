// sum and avg by weights.  Integers and decimals are summed exactly in 128 bits; doubles with a
// compensation term (Neumaier 1974), so that values which come and go leave nothing behind.
#include <cmath>

#include "duckdb/common/types/hugeint.hpp"
#include "flow/aggregates/aggregate_state.h"
#include "flow/large_array.h"

namespace weir {
namespace {

using Int128 = __int128;

// The sum is `total` + `beyond` * 2^128, so that one that leaves its type comes back when the
// values that took it there go.
struct ExactSum {
  Int128 total = 0;
  int64_t count = 0;  // of values that are not NULL
  int64_t beyond = 0;

  template <class Value>
  void Add(Value value, int64_t weight) {
    Int128 product;
    if (__builtin_mul_overflow(static_cast<Int128>(value), static_cast<Int128>(weight), &product)) {
      AddWide(static_cast<Int128>(value), weight);
    } else {
      AddPart(product);
    }
    count += weight;
  }
  Int128 Exact() const {
    if (beyond != 0) throw Error(ErrorCode::kQueryFailed, "a sum does not fit its type");
    return total;
  }
  long double Value() const {
    constexpr long double kTwoTo128 = 340282366920938463463374607431768211456.0L;
    return static_cast<long double>(total) + static_cast<long double>(beyond) * kTwoTo128;
  }

 private:
  void AddPart(Int128 part) {
    if (__builtin_add_overflow(total, part, &total)) beyond += part > 0 ? 1 : -1;
  }
  // The product by halves of 64 bits.
  void AddWide(Int128 value, int64_t weight) {
    AddPart(static_cast<Int128>(static_cast<uint64_t>(value)) * weight);
    Int128 high = (value >> 64) * weight;
    auto low = static_cast<Int128>(static_cast<unsigned __int128>(high) << 64);
    beyond += static_cast<int64_t>((high - (low >> 64)) >> 64);
    AddPart(low);
  }
};

struct CompensatedSum {
  double total = 0, lost = 0;
  int64_t count = 0;
  int64_t infinities = 0, negative_infinities = 0, nans = 0;  // kept apart: they would stick

  void Add(double value, int64_t weight) {
    count += weight;
    if (std::isnan(value)) {
      nans += weight;
    } else if (std::isinf(value)) {
      (value > 0 ? infinities : negative_infinities) += weight;
    } else {
      double product = value * static_cast<double>(weight);
      double next = total + product;
      lost += std::abs(total) >= std::abs(product) ? (total - next) + product
                                                   : (product - next) + total;
      total = next;
    }
  }
  double Value() const {
    if (nans || (infinities && negative_infinities)) return NAN;
    if (infinities) return INFINITY;
    if (negative_infinities) return -INFINITY;
    return total + lost;
  }
};

Int128 FromHugeint(duckdb::hugeint_t value) {
  return static_cast<Int128>(
      (static_cast<unsigned __int128>(static_cast<uint64_t>(value.upper)) << 64) | value.lower);
}

duckdb::hugeint_t ToHugeint(Int128 value) {
  return duckdb::hugeint_t(static_cast<int64_t>(value >> 64), static_cast<uint64_t>(value));
}

template <class State>
class Sum : public AggregateState {
 public:
  Sum(duckdb::PhysicalType input, duckdb::LogicalType result, bool average, double scale)
      : input_(input), result_(std::move(result)), average_(average), scale_(scale) {}

  void Grow(size_t slots) override { states_.Resize(slots); }
  void Prefetch(const uint32_t* slots, duckdb::idx_t count) const override {
    for (duckdb::idx_t i = 0; i < count; i++) __builtin_prefetch(&states_[slots[i]]);
  }

  void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
              const int64_t* weights) override {
    switch (input_) {
      case duckdb::PhysicalType::BOOL:
      case duckdb::PhysicalType::UINT8: return UpdateAs<uint8_t>(arguments, slots, weights);
      case duckdb::PhysicalType::INT8: return UpdateAs<int8_t>(arguments, slots, weights);
      case duckdb::PhysicalType::INT16: return UpdateAs<int16_t>(arguments, slots, weights);
      case duckdb::PhysicalType::INT32: return UpdateAs<int32_t>(arguments, slots, weights);
      case duckdb::PhysicalType::INT64: return UpdateAs<int64_t>(arguments, slots, weights);
      case duckdb::PhysicalType::UINT16: return UpdateAs<uint16_t>(arguments, slots, weights);
      case duckdb::PhysicalType::UINT32: return UpdateAs<uint32_t>(arguments, slots, weights);
      case duckdb::PhysicalType::UINT64: return UpdateAs<uint64_t>(arguments, slots, weights);
      case duckdb::PhysicalType::INT128:
        return UpdateAs<duckdb::hugeint_t>(arguments, slots, weights);
      case duckdb::PhysicalType::FLOAT: return UpdateAs<float>(arguments, slots, weights);
      default: return UpdateAs<double>(arguments, slots, weights);
    }
  }

  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    for (duckdb::idx_t i = 0; i < count; i++) {
      const State& state = states_[slots[i]];
      if (state.count == 0) {
        duckdb::FlatVector::SetNull(out, i, true);
      } else {
        Write(state, out, i);
      }
    }
  }

  void Clear(uint32_t slot) override { states_[slot] = State(); }
  size_t Bytes() const override { return states_.Bytes(); }
  void SaveSlot(uint32_t slot, StateWriter& writer) const override { writer.Put(states_[slot]); }
  void LoadSlot(uint32_t slot, StateReader& reader) override {
    states_[slot] = reader.Get<State>();
  }
  size_t Slots() const override { return states_.size(); }

 private:
  template <class Value>
  void UpdateAs(duckdb::DataChunk& arguments, const uint32_t* slots, const int64_t* weights) {
    duckdb::UnifiedVectorFormat format;
    arguments.data[0].ToUnifiedFormat(arguments.size(), format);
    auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<Value>(format);
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      auto index = format.sel->get_index(i);
      if (!format.validity.RowIsValid(index)) continue;
      int64_t weight = weights ? weights[i] : 1;
      if constexpr (std::is_same_v<Value, duckdb::hugeint_t>) {
        if constexpr (std::is_same_v<State, ExactSum>) {
          states_[slots[i]].Add(FromHugeint(values[index]), weight);
        }
      } else {
        states_[slots[i]].Add(values[index], weight);
      }
    }
  }

  void Write(const ExactSum& state, duckdb::Vector& out, duckdb::idx_t row) {
    if (average_) {
      long double divisor = static_cast<long double>(state.count) * scale_;
      duckdb::FlatVector::GetDataUnsafe<double>(out)[row] =
          static_cast<double>(state.Value() / divisor);
    } else if (result_.InternalType() == duckdb::PhysicalType::INT64) {
      duckdb::FlatVector::GetDataUnsafe<int64_t>(out)[row] = static_cast<int64_t>(state.Exact());
    } else {
      duckdb::FlatVector::GetDataUnsafe<duckdb::hugeint_t>(out)[row] = ToHugeint(state.Exact());
    }
  }
  void Write(const CompensatedSum& state, duckdb::Vector& out, duckdb::idx_t row) {
    double value = state.Value();
    duckdb::FlatVector::GetDataUnsafe<double>(out)[row] =
        average_ ? value / static_cast<double>(state.count) : value;
  }

  duckdb::PhysicalType input_;
  duckdb::LogicalType result_;
  bool average_;
  double scale_;
  LargeArray<State> states_;
};

// The average from partial sums and partial counts: two arguments, 128 bits or double, and BIGINT.
template <class State, class Value>
class AverageOfParts : public AggregateState {
 public:
  explicit AverageOfParts(double scale) : scale_(scale) {}
  void Grow(size_t slots) override { states_.Resize(slots); }
  void Prefetch(const uint32_t* slots, duckdb::idx_t count) const override {
    for (duckdb::idx_t i = 0; i < count; i++) __builtin_prefetch(&states_[slots[i]]);
  }
  void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
              const int64_t* weights) override {
    duckdb::UnifiedVectorFormat sums, counts;
    arguments.data[0].ToUnifiedFormat(arguments.size(), sums);
    arguments.data[1].ToUnifiedFormat(arguments.size(), counts);
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      auto index = sums.sel->get_index(i);
      if (!sums.validity.RowIsValid(index)) continue;
      int64_t weight = weights ? weights[i] : 1;
      auto value = duckdb::UnifiedVectorFormat::GetDataUnsafe<Value>(sums)[index];
      auto count =
          duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(counts)[counts.sel->get_index(i)];
      State& state = states_[slots[i]];
      if constexpr (std::is_same_v<Value, double>) {
        state.Add(value, weight);
      } else {
        state.Add(FromHugeint(value), weight);
      }
      state.count += (count - 1) * weight;  // Add counted one value
    }
  }
  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    for (duckdb::idx_t i = 0; i < count; i++) {
      const State& state = states_[slots[i]];
      if (state.count == 0) {
        duckdb::FlatVector::SetNull(out, i, true);
        continue;
      }
      long double total = state.Value();
      duckdb::FlatVector::GetDataUnsafe<double>(out)[i] = static_cast<double>(
          total / (static_cast<long double>(state.count) * static_cast<long double>(scale_)));
    }
  }
  void Clear(uint32_t slot) override { states_[slot] = State(); }
  size_t Bytes() const override { return states_.Bytes(); }
  void SaveSlot(uint32_t slot, StateWriter& writer) const override { writer.Put(states_[slot]); }
  void LoadSlot(uint32_t slot, StateReader& reader) override {
    states_[slot] = reader.Get<State>();
  }
  size_t Slots() const override { return states_.size(); }

 private:
  double scale_;
  LargeArray<State> states_;
};

}  // namespace

std::unique_ptr<AggregateState> MakeAverageOfParts(const AggregateCall& call) {
  auto& type = call.argument_types[0];
  if (type.InternalType() == duckdb::PhysicalType::DOUBLE) {
    return std::make_unique<AverageOfParts<CompensatedSum, double>>(1);
  }
  double scale = type.id() == duckdb::LogicalTypeId::DECIMAL
                     ? std::pow(10.0, duckdb::DecimalType::GetScale(type))
                     : 1;
  return std::make_unique<AverageOfParts<ExactSum, duckdb::hugeint_t>>(scale);
}

std::unique_ptr<AggregateState> MakeSum(const AggregateCall& call) {
  bool average = call.function == "avg" || call.function == "mean";
  bool sum = call.function == "sum" || call.function == "sum_no_overflow";
  if ((!average && !sum) || call.arguments.size() != 1) return nullptr;
  auto& type = call.argument_types[0];
  auto input = type.InternalType();
  bool floating = input == duckdb::PhysicalType::DOUBLE || input == duckdb::PhysicalType::FLOAT;
  if (!type.IsNumeric() && type.id() != duckdb::LogicalTypeId::BOOLEAN) return nullptr;
  if (input == duckdb::PhysicalType::UINT128) return nullptr;
  auto result = call.type.InternalType();
  if (floating) {
    if (result != duckdb::PhysicalType::DOUBLE) return nullptr;
    return std::make_unique<Sum<CompensatedSum>>(input, call.type, average, 1);
  }
  bool fits = average
                  ? result == duckdb::PhysicalType::DOUBLE
                  : result == duckdb::PhysicalType::INT128 || result == duckdb::PhysicalType::INT64;
  if (!fits) return nullptr;
  double scale = type.id() == duckdb::LogicalTypeId::DECIMAL
                     ? std::pow(10.0, duckdb::DecimalType::GetScale(type))
                     : 1;
  return std::make_unique<Sum<ExactSum>>(input, call.type, average, scale);
}

}  // namespace weir
