#include "duck/functions/time_steps.h"

#include <optional>

#include "duckdb/planner/expression/bound_constant_expression.hpp"

namespace weir {
namespace {

using duckdb::LogicalTypeId;

// Infinities and the far past stand at the ends of the type.
constexpr int64_t kFar = INT64_MAX / 4;

bool IsNear(int64_t micros) { return micros > -kFar && micros < kFar; }

// The microseconds of a constant interval of fixed length.
std::optional<int64_t> FixedLength(const duckdb::Expression& expression, bool has_zone) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) {
    return std::nullopt;
  }
  auto& value = expression.Cast<duckdb::BoundConstantExpression>().value;
  if (value.IsNull() || value.type().id() != LogicalTypeId::INTERVAL) return std::nullopt;
  auto interval = duckdb::IntervalValue::Get(value);
  // A day may have 23 hours where there is a time zone.
  if (interval.months != 0 || (has_zone && interval.days != 0)) return std::nullopt;
  if (!IsNear(interval.micros)) return std::nullopt;
  int64_t micros = interval.days * duckdb::Interval::MICROS_PER_DAY + interval.micros;
  if (!IsNear(micros)) return std::nullopt;
  return micros;
}

duckdb::scalar_function_t Shift(int64_t micros, size_t time_argument,
                                duckdb::scalar_function_t any) {
  return [micros, time_argument, any = std::move(any)](
             duckdb::DataChunk& arguments, duckdb::ExpressionState& state, duckdb::Vector& result) {
    auto& times = arguments.data[time_argument];
    auto rows = arguments.size();
    duckdb::UnifiedVectorFormat format;
    times.ToUnifiedFormat(rows, format);
    if (times.GetVectorType() == duckdb::VectorType::CONSTANT_VECTOR ||
        !format.validity.AllValid()) {
      return any(arguments, state, result);
    }
    auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(format);
    auto* shifted = duckdb::FlatVector::GetDataUnsafe<int64_t>(result);
    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    bool all_near = true;
    for (duckdb::idx_t row = 0; row < rows; row++) {
      int64_t value = values[format.sel->get_index(row)];
      all_near &= IsNear(value);
      shifted[row] =
          static_cast<int64_t>(static_cast<uint64_t>(value) + static_cast<uint64_t>(micros));
    }
    if (!all_near) any(arguments, state, result);
  };
}

// From the first argument to the second, which is part of it, by steps forward.
duckdb::scalar_function_t Series(int64_t step, duckdb::scalar_function_t any) {
  return [step, any = std::move(any)](duckdb::DataChunk& arguments, duckdb::ExpressionState& state,
                                      duckdb::Vector& result) {
    constexpr int64_t kMostValues = 1 << 20;
    auto rows = arguments.size();
    duckdb::UnifiedVectorFormat formats[2];
    bool is_constant = true;
    for (int i : {0, 1}) {
      arguments.data[i].ToUnifiedFormat(rows, formats[i]);
      is_constant &= arguments.data[i].GetVectorType() == duckdb::VectorType::CONSTANT_VECTOR;
      if (!formats[i].validity.AllValid()) return any(arguments, state, result);
    }
    if (is_constant) return any(arguments, state, result);
    auto value_of = [&](int i, duckdb::idx_t row) {
      auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<int64_t>(formats[i]);
      return values[formats[i].sel->get_index(row)];
    };
    int64_t total = 0;
    for (duckdb::idx_t row = 0; row < rows; row++) {
      int64_t from = value_of(0, row), to = value_of(1, row);
      if (!IsNear(from) || !IsNear(to)) return any(arguments, state, result);
      int64_t length = from > to ? 0 : (to - from) / step + 1;
      if (length > kMostValues - total) return any(arguments, state, result);
      total += length;
    }
    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    duckdb::ListVector::Reserve(result, static_cast<duckdb::idx_t>(total));
    auto* lists = duckdb::FlatVector::GetDataUnsafe<duckdb::list_entry_t>(result);
    auto* elements =
        duckdb::FlatVector::GetDataUnsafe<int64_t>(duckdb::ListVector::GetEntry(result));
    duckdb::idx_t filled = 0;
    for (duckdb::idx_t row = 0; row < rows; row++) {
      auto first = filled;
      for (int64_t at = value_of(0, row), to = value_of(1, row); at <= to; at += step) {
        elements[filled++] = at;
      }
      lists[row] = {first, filled - first};
    }
    duckdb::ListVector::SetListSize(result, filled);
  };
}

bool IsTime(LogicalTypeId type) {
  return type == LogicalTypeId::TIMESTAMP || type == LogicalTypeId::TIMESTAMP_TZ;
}

bool UseShift(duckdb::BoundFunctionExpression& call) {
  bool minus = call.function.name == "-";
  auto type = call.return_type.id();
  if ((call.function.name != "+" && !minus) || call.children.size() != 2 || !IsTime(type)) {
    return false;
  }
  size_t time_argument = call.children[0]->return_type.id() == type ? 0 : 1;
  if (call.children[time_argument]->return_type.id() != type) return false;
  if (minus && time_argument == 1) return false;
  auto micros = FixedLength(*call.children[1 - time_argument], type == LogicalTypeId::TIMESTAMP_TZ);
  if (!micros) return false;
  call.function.SetFunctionCallback(
      Shift(minus ? -*micros : *micros, time_argument, call.function.GetFunctionCallback()));
  return true;
}

bool UseSeries(duckdb::BoundFunctionExpression& call) {
  if (call.function.name != "generate_series" || call.children.size() != 3 ||
      call.return_type.id() != LogicalTypeId::LIST) {
    return false;
  }
  auto type = duckdb::ListType::GetChildType(call.return_type).id();
  if (!IsTime(type)) return false;
  for (int i : {0, 1}) {
    if (call.children[i]->return_type.id() != type) return false;
  }
  auto step = FixedLength(*call.children[2], type == LogicalTypeId::TIMESTAMP_TZ);
  if (!step || *step <= 0) return false;
  call.function.SetFunctionCallback(Series(*step, call.function.GetFunctionCallback()));
  return true;
}

}  // namespace

bool UseTimeSteps(duckdb::BoundFunctionExpression& call) {
  return UseShift(call) || UseSeries(call);
}

}  // namespace weir
