// sum and avg by weights, exactly: integers and decimals in 128 bits, floats as duck/float_sum.h
// says, so that values which come and go leave nothing behind.
#include <cmath>
#include <map>

#include "base/error.h"
#include "duck/functions/exact_sums.h"
#include "duck/functions/float_sum.h"
#include "duckdb/common/types/decimal.hpp"
#include "duckdb/common/types/hugeint.hpp"
#include "flow/aggregates/aggregate_state.h"
#include "flow/state/allocated.h"
#include "flow/state/large_array.h"

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

// The sums of all groups.
class ExactSums {
 public:
  void Resize(size_t slots) { sums_.Resize(slots); }
  void Prefetch(uint32_t slot) const { __builtin_prefetch(&sums_[slot]); }
  template <class Value>
  void Add(uint32_t slot, Value value, int64_t weight) {
    sums_[slot].Add(value, weight);
  }
  void Count(uint32_t slot, int64_t more) { sums_[slot].count += more; }
  int64_t count(uint32_t slot) const { return sums_[slot].count; }
  Int128 Exact(uint32_t slot) { return sums_[slot].Exact(); }
  long double Value(uint32_t slot) { return sums_[slot].Value(); }
  void Clear(uint32_t slot) { sums_[slot] = ExactSum(); }
  size_t Bytes() const { return sums_.Bytes(); }
  size_t size() const { return sums_.size(); }
  void Save(uint32_t slot, StateWriter& writer) const { writer.Put(sums_[slot]); }
  void Load(uint32_t slot, StateReader& reader) { sums_[slot] = reader.Get<ExactSum>(); }

 private:
  LargeArray<ExactSum> sums_;
};

class FloatSums {
 public:
  void Resize(size_t slots) { sums_.Resize(slots); }
  void Prefetch(uint32_t slot) const { __builtin_prefetch(&sums_[slot]); }
  void Add(uint32_t slot, double value, int64_t weight) {
    auto& sum = sums_[slot];
    sum.count += weight;
    if (weight != 1 && weight != -1) return AddProduct(slot, value, weight);
    if (!sum.TryAdd(weight < 0 ? -value : value)) AddSlowly(slot, value, weight);
  }
  void Count(uint32_t slot, int64_t more) { sums_[slot].count += more; }
  int64_t count(uint32_t slot) const { return sums_[slot].count; }
  double Value(uint32_t slot) {
    auto& sum = sums_[slot];
    if (!sum.IsWide()) return sum.Value(nullptr);
    auto wide = wide_.find(slot);
    CHECK(wide != wide_.end());
    double value = sum.Value(&wide->second);
    if (sum.TryNarrow(wide->second)) wide_.erase(wide);
    return value;
  }
  void Clear(uint32_t slot) {
    if (sums_[slot].IsWide()) wide_.erase(slot);
    sums_[slot] = FloatSum();
  }
  size_t Bytes() const {
    return sums_.Bytes() + wide_.size() * TreeNodeBytes<std::pair<const uint32_t, WideSum>>();
  }
  size_t size() const { return sums_.size(); }
  void Save(uint32_t slot, StateWriter& writer) const {
    writer.Put(sums_[slot]);
    DEBUG_ASSERT(sums_[slot].IsWide() == wide_.contains(slot));
    if (sums_[slot].IsWide()) writer.Put(wide_.at(slot));
  }
  void Load(uint32_t slot, StateReader& reader) {
    sums_[slot] = reader.Get<FloatSum>();
    if (sums_[slot].IsWide()) wide_[slot] = reader.Get<WideSum>();
  }

 private:
  // Rare: equal rows at once.
  void AddProduct(uint32_t slot, double value, int64_t weight) {
    auto& sum = sums_[slot];
    double times = static_cast<double>(weight), product = value * times;
    double error = std::fma(value, times, -product);
    auto before = sum;
    bool exact = std::abs(weight) < (int64_t{1} << 53) && std::isfinite(product) &&
                 std::isfinite(error) && std::abs(product) > 1e-290;
    if (exact && sum.TryAdd(product) && sum.TryAdd(error)) return;
    sum = before;
    AddSlowly(slot, value, weight);
  }
  void AddSlowly(uint32_t slot, double value, int64_t weight) {
    sums_[slot].AddSlowly(value, weight, [&]() -> WideSum& { return wide_[slot]; });
  }

  LargeArray<FloatSum> sums_;
  std::map<uint32_t, WideSum> wide_;  // of those that say so; few
};

Int128 FromHugeint(duckdb::hugeint_t value) {
  return static_cast<Int128>(
      (static_cast<unsigned __int128>(static_cast<uint64_t>(value.upper)) << 64) | value.lower);
}

duckdb::hugeint_t ToHugeint(Int128 value) {
  return duckdb::hugeint_t(static_cast<int64_t>(value >> 64), static_cast<uint64_t>(value));
}

template <class Sums>
class Sum : public AggregateState {
 public:
  Sum(duckdb::PhysicalType input, duckdb::LogicalType result, bool average, double scale)
      : input_(input), result_(std::move(result)), average_(average), scale_(scale) {
    CHECK(scale_ >= 1);
  }

  void Grow(size_t slots) override { sums_.Resize(slots); }
  void Prefetch(const uint32_t* slots, duckdb::idx_t count) const override {
    for (duckdb::idx_t i = 0; i < count; i++) sums_.Prefetch(slots[i]);
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
      if (sums_.count(slots[i]) == 0) {
        duckdb::FlatVector::SetNull(out, i, true);
      } else {
        Write(slots[i], out, i);
      }
    }
  }

  void Clear(uint32_t slot) override { sums_.Clear(slot); }
  size_t Bytes() const override { return sums_.Bytes(); }
  void SaveSlot(uint32_t slot, StateWriter& writer) const override { sums_.Save(slot, writer); }
  void LoadSlot(uint32_t slot, StateReader& reader) override { sums_.Load(slot, reader); }

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
        if constexpr (std::is_same_v<Sums, ExactSums>) {
          sums_.Add(slots[i], FromHugeint(values[index]), weight);
        }
      } else {
        sums_.Add(slots[i], values[index], weight);
      }
    }
  }

  void Write(uint32_t slot, duckdb::Vector& out, duckdb::idx_t row) {
    if constexpr (std::is_same_v<Sums, FloatSums>) {
      double value = sums_.Value(slot);
      duckdb::FlatVector::GetDataUnsafe<double>(out)[row] =
          average_ ? value / static_cast<double>(sums_.count(slot)) : value;
    } else if (average_) {
      long double divisor = static_cast<long double>(sums_.count(slot)) * scale_;
      duckdb::FlatVector::GetDataUnsafe<double>(out)[row] =
          static_cast<double>(sums_.Value(slot) / divisor);
    } else if (result_.InternalType() == duckdb::PhysicalType::INT64) {
      duckdb::FlatVector::GetDataUnsafe<int64_t>(out)[row] =
          static_cast<int64_t>(sums_.Exact(slot));
    } else {
      auto sum = ToHugeint(sums_.Exact(slot));
      auto limit = duckdb::Hugeint::POWERS_OF_TEN[duckdb::Decimal::MAX_WIDTH_INT128];
      bool fits = result_.id() != duckdb::LogicalTypeId::DECIMAL || (sum < limit && sum > -limit);
      if (!fits) throw Error(ErrorCode::kQueryFailed, "a sum does not fit its type");
      duckdb::FlatVector::GetDataUnsafe<duckdb::hugeint_t>(out)[row] = sum;
    }
  }

  duckdb::PhysicalType input_;
  duckdb::LogicalType result_;
  bool average_;
  double scale_;
  Sums sums_;
};

// The average from partial sums and partial counts: two arguments, 128 bits or double, and BIGINT.
template <class Sums, class Value>
class AverageOfParts : public AggregateState {
 public:
  explicit AverageOfParts(double scale) : scale_(scale) {}
  void Grow(size_t slots) override { sums_.Resize(slots); }
  void Prefetch(const uint32_t* slots, duckdb::idx_t count) const override {
    for (duckdb::idx_t i = 0; i < count; i++) sums_.Prefetch(slots[i]);
  }
  void Update(duckdb::DataChunk& arguments, const uint32_t* slots,
              const int64_t* weights) override {
    duckdb::UnifiedVectorFormat sums, counts;
    arguments.data[0].ToUnifiedFormat(arguments.size(), sums);
    arguments.data[1].ToUnifiedFormat(arguments.size(), counts);
    for (duckdb::idx_t i = 0; i < arguments.size(); i++) {
      auto index = sums.sel->get_index(i);
      if (!sums.validity.RowIsValid(index)) continue;
      DEBUG_ASSERT(counts.validity.RowIsValid(counts.sel->get_index(i)));
      int64_t weight = weights ? weights[i] : 1;
      auto value = duckdb::UnifiedVectorFormat::GetDataUnsafe<Value>(sums)[index];
      auto count =
          duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(counts)[counts.sel->get_index(i)];
      if constexpr (std::is_same_v<Value, double>) {
        sums_.Add(slots[i], value, weight);
      } else {
        sums_.Add(slots[i], FromHugeint(value), weight);
      }
      sums_.Count(slots[i], (count - 1) * weight);  // Add counted one value
    }
  }
  void Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) override {
    for (duckdb::idx_t i = 0; i < count; i++) {
      if (sums_.count(slots[i]) == 0) {
        duckdb::FlatVector::SetNull(out, i, true);
        continue;
      }
      auto count_of = static_cast<long double>(sums_.count(slots[i]));
      duckdb::FlatVector::GetDataUnsafe<double>(out)[i] = static_cast<double>(
          sums_.Value(slots[i]) / (count_of * static_cast<long double>(scale_)));
    }
  }
  void Clear(uint32_t slot) override { sums_.Clear(slot); }
  size_t Bytes() const override { return sums_.Bytes(); }
  void SaveSlot(uint32_t slot, StateWriter& writer) const override { sums_.Save(slot, writer); }
  void LoadSlot(uint32_t slot, StateReader& reader) override { sums_.Load(slot, reader); }

 private:
  double scale_;
  Sums sums_;
};

}  // namespace

std::unique_ptr<AggregateState> MakeAverageOfParts(const AggregateCall& call) {
  auto& type = call.argument_types[0];
  if (type.InternalType() == duckdb::PhysicalType::DOUBLE) {
    return std::make_unique<AverageOfParts<FloatSums, double>>(1);
  }
  double scale = type.id() == duckdb::LogicalTypeId::DECIMAL
                     ? std::pow(10.0, duckdb::DecimalType::GetScale(type))
                     : 1;
  return std::make_unique<AverageOfParts<ExactSums, duckdb::hugeint_t>>(scale);
}

std::unique_ptr<AggregateState> MakeSum(const AggregateCall& call) {
  bool average = call.function == "avg" || call.function == "mean" || call.function == "favg";
  bool sum = call.function == "sum_no_overflow" || IsFloatSum(call.function);
  if ((!average && !sum) || call.arguments.size() != 1) return nullptr;
  auto& type = call.argument_types[0];
  auto input = type.InternalType();
  bool floating = input == duckdb::PhysicalType::DOUBLE || input == duckdb::PhysicalType::FLOAT;
  if (!type.IsNumeric() && type.id() != duckdb::LogicalTypeId::BOOLEAN) return nullptr;
  if (input == duckdb::PhysicalType::UINT128) return nullptr;
  auto result = call.type.InternalType();
  if (floating) {
    if (result != duckdb::PhysicalType::DOUBLE) return nullptr;
    return std::make_unique<Sum<FloatSums>>(input, call.type, average, 1);
  }
  bool fits = average
                  ? result == duckdb::PhysicalType::DOUBLE
                  : result == duckdb::PhysicalType::INT128 || result == duckdb::PhysicalType::INT64;
  if (!fits) return nullptr;
  double scale = type.id() == duckdb::LogicalTypeId::DECIMAL
                     ? std::pow(10.0, duckdb::DecimalType::GetScale(type))
                     : 1;
  return std::make_unique<Sum<ExactSums>>(input, call.type, average, scale);
}

}  // namespace weir
