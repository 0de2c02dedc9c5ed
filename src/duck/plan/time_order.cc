#include "duck/plan/time_order.h"

#include <optional>

#include "duck/plan/event_time_functions.h"
#include "duck/plan/translator.h"
#include "duckdb/common/types/interval.hpp"
#include "duckdb/planner/expression/bound_between_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionClass;
using duckdb::ExpressionType;
using duckdb::LogicalTypeId;

bool IsTime(const duckdb::LogicalType& type) {
  return type.id() == LogicalTypeId::TIMESTAMP || type.id() == LogicalTypeId::TIMESTAMP_TZ;
}

class TimeOrders {
 public:
  TimeOrders(const PlanNode& join, const std::vector<ExpressionPtr>& filters)
      : left_(join.inputs[0]->types.size()), right_(join.inputs[1]->types.size()) {
    auto& call = join.join;
    if (call.condition) Read(*call.condition);
    std::vector<bool> used(left_ + right_ + 1);  // a mark, too
    for (auto& filter : filters) Read(*MoveColumns(filter, call.columns, used));
    for (size_t i = 0; i < call.left_keys.size(); i++) {
      if (!IsTime(TypeOf(call.left_keys[i]))) continue;
      auto left = AsShiftedTime(call.left_keys[i]), right = AsShiftedTime(call.right_keys[i]);
      orders_.push_back({0, left.time, right.time, right.shift - left.shift});
      orders_.push_back({1, right.time, left.time, left.shift - right.shift});
    }
  }

  std::vector<TimeOrder> Take() { return std::move(orders_); }

 private:
  void Read(const Expression& condition) {
    if (condition.type == ExpressionType::CONJUNCTION_AND) {
      duckdb::ExpressionIterator::EnumerateChildren(condition,
                                                    [&](const Expression& part) { Read(part); });
    } else if (condition.GetExpressionClass() == ExpressionClass::BOUND_BETWEEN) {
      auto& between = condition.Cast<duckdb::BoundBetweenExpression>();
      Compare(*between.input, ExpressionType::COMPARE_GREATERTHANOREQUALTO, *between.lower);
      Compare(*between.input, ExpressionType::COMPARE_LESSTHANOREQUALTO, *between.upper);
    } else if (condition.GetExpressionClass() == ExpressionClass::BOUND_COMPARISON) {
      auto& comparison = condition.Cast<duckdb::BoundComparisonExpression>();
      Compare(*comparison.left, condition.type, *comparison.right);
    }
  }

  void Compare(const Expression& left, ExpressionType type, const Expression& right) {
    bool is_equal = type == ExpressionType::COMPARE_EQUAL;
    if (is_equal || type == ExpressionType::COMPARE_GREATERTHAN ||
        type == ExpressionType::COMPARE_GREATERTHANOREQUALTO) {
      NotBelow(left, right);
    }
    if (is_equal || type == ExpressionType::COMPARE_LESSTHAN ||
        type == ExpressionType::COMPARE_LESSTHANOREQUALTO) {
      NotBelow(right, left);
    }
  }

  // `high` >= `low`.
  void NotBelow(const Expression& high, const Expression& low) {
    if (IsTime(high.return_type) && high.return_type == low.return_type) {
      Add(high, low, 0);
    } else if (auto least = AsLength(low)) {
      if (auto* times = AsDifference(high)) AddDifference(times->children, 0, *least);
    } else if (auto most = AsLength(high)) {
      if (auto* times = AsDifference(low)) AddDifference(times->children, 1, -*most);
    }
  }

  // A length of time as comparisons of intervals see it: a month is 30 days.
  static std::optional<Micros> AsLength(const Expression& expression) {
    if (expression.GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) return std::nullopt;
    auto& value = expression.Cast<duckdb::BoundConstantExpression>().value;
    if (value.type().id() != LogicalTypeId::INTERVAL || value.IsNull()) return std::nullopt;
    Micros length;
    if (!duckdb::Interval::TryGetMicro(value.GetValue<duckdb::interval_t>(), length)) {
      return std::nullopt;
    }
    return length;
  }

  static const duckdb::BoundFunctionExpression* AsDifference(const Expression& expression) {
    if (expression.GetExpressionClass() != ExpressionClass::BOUND_FUNCTION) return nullptr;
    auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
    if (call.function.name == "normalized_interval") return AsDifference(*call.children[0]);
    bool is_one = call.function.name == "-" && call.children.size() == 2 &&
                  IsTime(call.children[0]->return_type) &&
                  call.children[0]->return_type == call.children[1]->return_type;
    return is_one ? &call : nullptr;
  }

  // Between instants DuckDB counts days of local time, of which one may have 23 or 25 hours.
  void AddDifference(const duckdb::vector<duckdb::unique_ptr<Expression>>& times, size_t later,
                     Micros least) {
    bool is_instant = times[0]->return_type.id() == LogicalTypeId::TIMESTAMP_TZ;
    if (is_instant) least -= duckdb::Interval::MICROS_PER_DAY;
    Add(*times[later], *times[1 - later], least);
  }

  // later - earlier >= least.
  void Add(const Expression& later, const Expression& earlier, Micros least) {
    auto high = AsShiftedTime(CopyOf(later)), low = AsShiftedTime(CopyOf(earlier));
    auto side = ToSide(high.time);
    auto other = ToSide(low.time);
    if (!side || !other || *side == *other) return;
    orders_.push_back({*side, high.time, low.time, least + low.shift - high.shift});
  }

  // The side an expression over both sides' columns is about; it becomes one over that side's.
  std::optional<size_t> ToSide(ExpressionPtr& expression) {
    std::vector<size_t> columns(left_ + right_ + 1);  // a mark, too
    for (size_t i = 0; i < columns.size(); i++) columns[i] = i;
    std::vector<bool> used(columns.size());
    MoveColumns(expression, columns, used);
    auto uses = [&](size_t from, size_t to) {
      for (size_t i = from; i < to; i++) {
        if (used[i]) return true;
      }
      return false;
    };
    bool of_left = uses(0, left_), of_right = uses(left_, columns.size());
    if (of_left == of_right) return std::nullopt;
    if (of_left) return 0;
    for (size_t i = left_; i < columns.size(); i++) columns[i] = i - left_;
    expression = MoveColumns(expression, columns, used);
    return 1;
  }

  size_t left_, right_;
  std::vector<TimeOrder> orders_;
};

}  // namespace

std::vector<TimeOrder> TimesInOrder(const PlanNode& join,
                                    const std::vector<ExpressionPtr>& filters) {
  return TimeOrders(join, filters).Take();
}

bool NeedsPartner(JoinKind kind, size_t side) {
  switch (kind) {
    case JoinKind::kInner:
    case JoinKind::kSemi: return true;
    case JoinKind::kLeft:
    case JoinKind::kAnti:
    case JoinKind::kSingle: return side == 1;
    case JoinKind::kRight: return side == 0;
    case JoinKind::kFull:
    case JoinKind::kMark: return false;  // a mark is unknown where a time is NULL
  }
  return false;
}

}  // namespace weir
