#include "duck/clock_functions.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"

namespace weir {
namespace {

using duckdb::BoundFunctionExpression;
using duckdb::Expression;
using duckdb::ExpressionClass;

constexpr std::array<std::string_view, 12> kClockFunctions = {
    "now",          "get_current_timestamp", "current_timestamp", "transaction_timestamp",
    "today",        "current_date",          "current_localtime", "current_localtimestamp",
    "current_time", "get_current_time",      "localtimestamp",    "localtime"};
constexpr std::array<std::string_view, 8> kUndetermined = {
    "random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "nextval", "currval", "setseed"};

bool OneOf(const auto& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

const BoundFunctionExpression* AsFunction(const Expression& expression) {
  if (expression.GetExpressionClass() != ExpressionClass::BOUND_FUNCTION) return nullptr;
  return &expression.Cast<BoundFunctionExpression>();
}

// age(x) reads the clock, age(x, y) does not.
bool IsClockFunction(const Expression& expression) {
  auto function = AsFunction(expression);
  if (!function) return false;
  if (OneOf(kClockFunctions, function->function.name)) return true;
  return function->function.name == "age" && function->children.size() == 1;
}

bool AnyInside(const Expression& expression, const std::function<bool(const Expression&)>& test) {
  if (test(expression)) return true;
  bool found = false;
  duckdb::ExpressionIterator::EnumerateChildren(expression, [&](const Expression& child) {
    if (!found) found = AnyInside(child, test);
  });
  return found;
}

class ClockMarker : public duckdb::LogicalOperatorVisitor {
 public:
  void VisitOperator(duckdb::LogicalOperator& op) override {
    VisitOperatorChildren(op);
    VisitOperatorExpressions(op);
  }

 protected:
  duckdb::unique_ptr<Expression> VisitReplace(BoundFunctionExpression& expression,
                                              duckdb::unique_ptr<Expression>*) override {
    if (IsClockFunction(expression)) {
      expression.function.SetVolatile();
      found = true;
    }
    return nullptr;
  }

 public:
  bool found = false;
};

bool IsConstant(const Expression& expression) {
  return expression.GetExpressionClass() == ExpressionClass::BOUND_CONSTANT;
}

constexpr Micros kDay = 86'400'000'000;
constexpr Micros kLocalTimeGoesBack = kDay;  // less than that, in every zone: so does its date

bool IsInstant(const duckdb::LogicalType& type) {
  return type.id() == duckdb::LogicalTypeId::TIMESTAMP_TZ;
}
bool IsLocalTime(const duckdb::LogicalType& type) {
  using duckdb::LogicalTypeId;
  auto id = type.id();
  return id == LogicalTypeId::TIMESTAMP || id == LogicalTypeId::TIMESTAMP_MS ||
         id == LogicalTypeId::TIMESTAMP_NS || id == LogicalTypeId::TIMESTAMP_SEC ||
         id == LogicalTypeId::DATE;
}

// Casts of one kind of time to another.
std::optional<Micros> CastGoesBackBy(const duckdb::LogicalType& from, const duckdb::LogicalType& to,
                                     bool is_utc) {
  if (from == to) return 0;
  bool rounds = to.id() == duckdb::LogicalTypeId::DATE;
  if (IsLocalTime(from) && IsLocalTime(to)) return rounds ? kDay : 0;
  if (!IsInstant(from) || !IsLocalTime(to)) return std::nullopt;
  if (is_utc) return 0;
  return kLocalTimeGoesBack;
}

// How long what date_trunc rounds to is at the most.
std::optional<Micros> LongestUnit(const std::string& unit) {
  for (auto [name, days] : {std::pair{"minute", 1},
                            {"hour", 1},
                            {"day", 1},
                            {"week", 7},
                            {"month", 31},
                            {"quarter", 92},
                            {"year", 366}}) {
    if (unit == name) return days * kDay;
  }
  return std::nullopt;
}

}  // namespace

bool MarkClockFunctionsVolatile(duckdb::LogicalOperator& plan) {
  ClockMarker marker;
  marker.VisitOperator(plan);
  return marker.found;
}

bool UsesClock(const Expression& expression) { return AnyInside(expression, IsClockFunction); }

bool UsesColumns(const Expression& expression) {
  return AnyInside(expression, [](const Expression& inner) {
    auto kind = inner.GetExpressionClass();
    return kind == ExpressionClass::BOUND_REF || kind == ExpressionClass::BOUND_COLUMN_REF;
  });
}

bool IsUndetermined(const Expression& expression) {
  return AnyInside(expression, [](const Expression& inner) {
    auto function = AsFunction(inner);
    return function && OneOf(kUndetermined, function->function.name);
  });
}

std::optional<Micros> GoesBackBy(const Expression& expression, bool is_utc) {
  if (IsConstant(expression)) return 0;
  if (expression.GetExpressionClass() == ExpressionClass::BOUND_CAST) {
    auto& cast = expression.Cast<duckdb::BoundCastExpression>();
    auto below = GoesBackBy(*cast.child, is_utc);
    auto by_cast = CastGoesBackBy(cast.child->return_type, cast.return_type, is_utc);
    if (!below || !by_cast) return std::nullopt;
    // What never goes back does not by being rounded.
    bool keeps = *below == 0 && IsLocalTime(cast.child->return_type);
    return keeps ? 0 : *below + *by_cast;
  }
  auto function = AsFunction(expression);
  if (!function) return std::nullopt;
  const std::string& name = function->function.name;
  if (IsClockFunction(expression)) {
    auto& type = expression.return_type;
    if (IsInstant(type) || (is_utc && IsLocalTime(type))) return 0;
    if (!IsLocalTime(type)) return std::nullopt;
    return kLocalTimeGoesBack;
  }
  auto& children = function->children;
  if (children.size() != 2) return std::nullopt;
  if (name == "date_trunc" && IsConstant(*children[0])) {
    auto below = GoesBackBy(*children[1], is_utc);
    if (!below || *below == 0) return below;
    auto& unit = children[0]->Cast<duckdb::BoundConstantExpression>().value;
    auto longest =
        unit.IsNull() ? std::nullopt : LongestUnit(duckdb::StringUtil::Lower(unit.ToString()));
    return longest ? std::optional(*below + *longest) : std::nullopt;
  }
  if (name != "-" && name != "+") return std::nullopt;
  if (IsConstant(*children[1])) return GoesBackBy(*children[0], is_utc);
  if (name == "+" && IsConstant(*children[0])) return GoesBackBy(*children[1], is_utc);
  return std::nullopt;
}

bool IsRounding(const Expression& expression) {
  auto function = AsFunction(expression);
  return function && function->function.name == "date_trunc" && function->children.size() == 2 &&
         IsConstant(*function->children[0]);
}

duckdb::unique_ptr<Expression> RoundInstead(const Expression& rounding,
                                            duckdb::unique_ptr<Expression> other) {
  auto copy = rounding.Copy();
  copy->Cast<BoundFunctionExpression>().children[1] = std::move(other);
  return copy;
}

const duckdb::LogicalType& RoundedType(const Expression& rounding) {
  return rounding.Cast<BoundFunctionExpression>().children[1]->return_type;
}

bool IsCoarseRounding(const Expression& rounding) {
  auto& unit = rounding.Cast<BoundFunctionExpression>()
                   .children[0]
                   ->Cast<duckdb::BoundConstantExpression>()
                   .value;
  if (unit.IsNull()) return false;
  std::string name = duckdb::StringUtil::Lower(unit.ToString());
  return name.starts_with("month") || name.starts_with("quarter") || name.starts_with("year") ||
         name == "decade" || name == "century" || name == "mon" || name == "y";
}

std::optional<size_t> OnlyTimeColumn(const Expression& expression) {
  std::optional<size_t> column;
  bool several = false;
  AnyInside(expression, [&](const Expression& inner) {
    if (inner.GetExpressionClass() == ExpressionClass::BOUND_REF) {
      size_t index = inner.Cast<duckdb::BoundReferenceExpression>().index;
      auto type = inner.return_type.id();
      several |= (column && *column != index) || (type != duckdb::LogicalTypeId::TIMESTAMP &&
                                                  type != duckdb::LogicalTypeId::TIMESTAMP_TZ);
      column = index;
    }
    return false;
  });
  return several ? std::nullopt : column;
}

}  // namespace weir
