#include "duck/functions/zone_use.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "duck/functions/clock_functions.h"
#include "duckdb/common/type_visitor.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionClass;
using duckdb::LogicalTypeId;

// Functions of instants that know no local time.
constexpr std::array<std::string_view, 7> kOfInstants = {
    "epoch", "epoch_ms", "epoch_us", "to_timestamp", "epoch_ns", "greatest", "least"};

bool HasZone(const duckdb::LogicalType& type) {
  return duckdb::TypeVisitor::Contains(type, LogicalTypeId::TIMESTAMP_TZ) ||
         duckdb::TypeVisitor::Contains(type, LogicalTypeId::TIME_TZ);
}

// What INTERVAL n HOUR and shorter units are before they are folded.
constexpr std::array<std::string_view, 5> kOfFixedLength = {"to_hours", "to_minutes", "to_seconds",
                                                            "to_milliseconds", "to_microseconds"};

bool IsFixedLength(const Expression& expression) {
  if (expression.GetExpressionClass() == ExpressionClass::BOUND_FUNCTION) {
    auto& name = expression.Cast<duckdb::BoundFunctionExpression>().function.name;
    return std::find(kOfFixedLength.begin(), kOfFixedLength.end(), name) != kOfFixedLength.end();
  }
  if (expression.return_type.id() != LogicalTypeId::INTERVAL ||
      expression.GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) {
    return false;
  }
  auto& value = expression.Cast<duckdb::BoundConstantExpression>().value;
  if (value.IsNull()) return true;
  auto interval = duckdb::IntervalValue::Get(value);
  return interval.months == 0 && interval.days == 0;
}

bool AsksZone(const duckdb::BoundFunctionExpression& call) {
  auto& name = call.function.name;
  if (IsClockFunction(call)) return call.return_type.id() != LogicalTypeId::TIMESTAMP_TZ;
  if (name == "current_setting") return true;
  bool has_zone = HasZone(call.return_type);
  for (auto& child : call.children) has_zone = has_zone || HasZone(child->return_type);
  if (!has_zone || std::find(kOfInstants.begin(), kOfInstants.end(), name) != kOfInstants.end()) {
    return false;
  }
  bool is_shift = (name == "+" || name == "-") && call.children.size() == 2 &&
                  (IsFixedLength(*call.children[0]) || IsFixedLength(*call.children[1]));
  return !is_shift;
}

bool DependsOnZone(const Expression& expression) {
  switch (expression.GetExpressionClass()) {
    case ExpressionClass::BOUND_CONSTANT: return HasZone(expression.return_type);
    case ExpressionClass::BOUND_SUBQUERY:
    case ExpressionClass::BOUND_PARAMETER: return true;
    case ExpressionClass::BOUND_CAST: {
      auto& from = expression.Cast<duckdb::BoundCastExpression>().child->return_type;
      if (from != expression.return_type && (HasZone(from) || HasZone(expression.return_type))) {
        return true;
      }
      break;
    }
    case ExpressionClass::BOUND_FUNCTION:
      if (AsksZone(expression.Cast<duckdb::BoundFunctionExpression>())) return true;
      break;
    default: break;
  }
  bool depends = false;
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const Expression& child) { depends = depends || DependsOnZone(child); });
  return depends;
}

class ZoneFinder : public duckdb::LogicalOperatorVisitor {
 public:
  void VisitOperator(duckdb::LogicalOperator& op) override {
    VisitOperatorChildren(op);
    VisitOperatorExpressions(op);
  }
  void VisitExpression(duckdb::unique_ptr<Expression>* expression) override {
    found = found || DependsOnZone(**expression);
  }
  bool found = false;
};

}  // namespace

bool UsesZone(duckdb::LogicalOperator& plan) {
  ZoneFinder finder;
  finder.VisitOperator(plan);
  return finder.found;
}

}  // namespace weir
