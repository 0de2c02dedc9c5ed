#include "duck/functions/clock_functions.h"

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

}  // namespace

bool IsClockFunction(const Expression& expression) {
  auto function = AsFunction(expression);
  if (!function) return false;
  if (OneOf(kClockFunctions, function->function.name)) return true;
  return function->function.name == "age" && function->children.size() == 1;
}

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

bool IsRounding(const Expression& expression) {
  auto function = AsFunction(expression);
  return function && function->function.name == "date_trunc" && function->children.size() == 2 &&
         function->children[0]->GetExpressionClass() == ExpressionClass::BOUND_CONSTANT;
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

bool RoundsAlike(const Expression& rounding, const Zone& zone) {
  // An hour begins at the same instant for all its times, unless clocks are set in its midst.
  if (RoundedType(rounding).id() != duckdb::LogicalTypeId::TIMESTAMP_TZ) return true;
  auto& unit = rounding.Cast<BoundFunctionExpression>()
                   .children[0]
                   ->Cast<duckdb::BoundConstantExpression>()
                   .value;
  bool by_the_hour = !unit.IsNull() && duckdb::StringUtil::Lower(unit.ToString()).starts_with("h");
  return !by_the_hour || zone.IsSetByHours(0);
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
