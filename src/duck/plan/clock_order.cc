#include "duck/plan/clock_order.h"

#include <algorithm>
#include <string>
#include <utility>

#include "duck/functions/civil_time.h"
#include "duck/functions/clock_functions.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionClass;
using duckdb::LogicalTypeId;

// Months are of 28 to 31 days.
constexpr Micros kMonthsDiffer = 3 * kCivilDay;

bool IsInstant(const duckdb::LogicalType& type) { return type.id() == LogicalTypeId::TIMESTAMP_TZ; }
bool IsLocalTime(const duckdb::LogicalType& type) {
  auto id = type.id();
  return id == LogicalTypeId::TIMESTAMP || id == LogicalTypeId::TIMESTAMP_MS ||
         id == LogicalTypeId::TIMESTAMP_NS || id == LogicalTypeId::TIMESTAMP_SEC ||
         id == LogicalTypeId::DATE;
}
bool IsTime(const duckdb::LogicalType& type) { return IsInstant(type) || IsLocalTime(type); }

const duckdb::Value* AsConstant(const Expression& expression) {
  if (expression.GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) return nullptr;
  return &expression.Cast<duckdb::BoundConstantExpression>().value;
}

// How long what date_trunc rounds to is at the most.
std::optional<Micros> LongestUnit(const duckdb::Value& unit) {
  if (unit.IsNull()) return std::nullopt;
  for (auto [name, days] : {std::pair{"minute", 1},
                            {"hour", 1},
                            {"day", 1},
                            {"week", 7},
                            {"month", 31},
                            {"quarter", 92},
                            {"year", 366}}) {
    if (duckdb::StringUtil::Lower(unit.ToString()) == name) return days * kCivilDay;
  }
  return std::nullopt;
}

// The clock is of our days, and `before` it clocks were set as they were then.
Micros SpreadOf(const Zone& zone, Micros before = 0) {
  constexpr Micros kOurDays = 40 * 365 * kCivilDay;
  return zone.Spread(std::min<Micros>(0, kOurDays - before));
}

std::optional<Micros> OfCast(const duckdb::BoundCastExpression& cast, const Zone& zone) {
  auto below = GoesBackBy(*cast.child, zone);
  const duckdb::LogicalType &from = cast.child->return_type, &to = cast.return_type;
  if (!below || from == to) return below;
  if (!IsTime(from) || !IsTime(to)) return std::nullopt;
  Micros back = *below;
  if (IsInstant(from) != IsInstant(to)) back += SpreadOf(zone);
  // What never goes back does not by being rounded.
  if (back > 0 && to.id() == LogicalTypeId::DATE) back += kCivilDay;
  return back;
}

// Time of day and day of month are carried over where there is such a day.
std::optional<Micros> OfSum(const Expression& time, const Expression& length, const Zone& zone) {
  auto back = GoesBackBy(time, zone);
  auto& value = *AsConstant(length);
  if (!back || value.IsNull() || !IsTime(time.return_type)) return std::nullopt;
  if (value.type().IsIntegral()) return back;  // days of a DATE
  if (value.type().id() != LogicalTypeId::INTERVAL) return std::nullopt;
  auto interval = duckdb::IntervalValue::Get(value);
  if (interval.months == 0 && interval.days == 0) return back;
  Micros spread = 0;
  if (IsInstant(time.return_type)) {
    Micros days = 31 * std::abs(int64_t{interval.months}) + std::abs(int64_t{interval.days});
    spread = SpreadOf(zone, std::min<Micros>(days, 4'000'000) * kCivilDay);
  }
  *back += spread;
  if (interval.months != 0) *back += kCivilDay + (*back > 0 ? kMonthsDiffer : 0);
  return *back + spread;
}

std::optional<Micros> OfRounding(const duckdb::BoundFunctionExpression& call, const Zone& zone) {
  auto below = GoesBackBy(*call.children[1], zone);
  if (!below || *below == 0) return below;
  auto longest = LongestUnit(*AsConstant(*call.children[0]));
  return longest ? std::optional(*below + *longest + SpreadOf(zone)) : std::nullopt;
}

}  // namespace

std::optional<Micros> GoesBackBy(const Expression& expression, const Zone& zone) {
  if (AsConstant(expression)) return 0;
  if (expression.GetExpressionClass() == ExpressionClass::BOUND_CAST) {
    return OfCast(expression.Cast<duckdb::BoundCastExpression>(), zone);
  }
  if (IsClockFunction(expression)) {
    auto& type = expression.return_type;
    if (IsInstant(type)) return 0;
    if (!IsLocalTime(type)) return std::nullopt;
    Micros spread = SpreadOf(zone);
    bool by_days = spread > 0 && type.id() == LogicalTypeId::DATE;
    return spread + (by_days ? kCivilDay : 0);
  }
  if (expression.GetExpressionClass() != ExpressionClass::BOUND_FUNCTION) return std::nullopt;
  auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
  if (call.children.size() != 2) return std::nullopt;
  if (IsRounding(call)) return OfRounding(call, zone);
  auto& name = call.function.name;
  bool is_sum = (name == "+" || name == "-") && IsTime(call.return_type);
  if (is_sum && AsConstant(*call.children[1])) {
    return OfSum(*call.children[0], *call.children[1], zone);
  }
  if (is_sum && name == "+" && AsConstant(*call.children[0])) {
    return OfSum(*call.children[1], *call.children[0], zone);
  }
  return std::nullopt;
}

}  // namespace weir
