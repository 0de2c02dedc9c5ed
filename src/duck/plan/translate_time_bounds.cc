// What a clock predicate on one side of a join says of the other side.
//
// Where orders that are less than a day old are joined with clicks after their order, a click that
// is a day old meets none any more.  DuckDB would infer that from a constant, but has to leave
// now() where it stands; without it a join would keep for ever what meets no partner.
#include <algorithm>

#include "duck/plan/event_time_functions.h"
#include "duck/plan/time_order.h"
#include "duck/plan/translator.h"
#include "duckdb/common/types/interval.hpp"
#include "duckdb/function/function_binder.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"

namespace weir {

// Of all rows of a node: `time` is not below `clock`, which only grows, or nearly so.
struct TimeBound {
  ShiftedTime time;
  ExpressionPtr instant;  // null, or what is compared: a cast of `time` to TIMESTAMPTZ
  ExpressionPtr clock;
  std::optional<Micros> goes_back;
};

namespace {

using duckdb::ExpressionClass;
using duckdb::LogicalTypeId;

std::optional<TimeBound> AsTimeBound(const ClockPredicate& predicate) {
  bool is_lower = predicate.comparison == Comparison::kGreater ||
                  predicate.comparison == Comparison::kGreaterOrEqual;
  if (!is_lower || !predicate.goes_back) return std::nullopt;
  if (predicate.row->GetExpressionClass() != ExpressionClass::BOUND_CAST) {
    return TimeBound{AsShiftedTime(predicate.row), nullptr, predicate.clock, predicate.goes_back};
  }
  auto& cast = predicate.row->Cast<duckdb::BoundCastExpression>();
  bool is_instant = cast.child->return_type.id() == LogicalTypeId::TIMESTAMP &&
                    cast.return_type.id() == LogicalTypeId::TIMESTAMP_TZ && !cast.try_cast;
  if (!is_instant) return std::nullopt;
  return TimeBound{AsShiftedTime(CopyOf(*cast.child)), predicate.row, predicate.clock,
                   predicate.goes_back};
}

std::vector<TimeBound> Over(const std::vector<TimeBound>& bounds,
                            const std::vector<ExpressionPtr>& projected) {
  std::vector<TimeBound> over;
  for (auto& bound : bounds) {
    for (auto& way : InTermsOf(bound.time.time, projected)) {
      over.push_back(bound);
      over.back().time = {way.time, bound.time.shift + way.shift};
    }
  }
  return over;
}

// A join's output as expressions over one side's rows.
std::vector<ExpressionPtr> OutputOf(const PlanNode& join, size_t side) {
  std::vector<ExpressionPtr> columns;
  size_t first = side ? join.inputs[0]->types.size() : 0;
  auto& types = join.inputs[side]->types;
  for (size_t column : join.join.columns) {
    bool is_own = column >= first && column - first < types.size();
    columns.push_back(is_own ? ColumnReference(column - first, types[column - first])
                             : ConstantValue(duckdb::Value()));
  }
  return columns;
}

// Whether the join shows a side's columns only as they are, never NULL for want of a partner.
bool KeepsValues(JoinKind kind, size_t side) {
  if (kind == JoinKind::kInner) return true;
  if (kind == JoinKind::kFull) return false;
  return side == (kind == JoinKind::kRight ? 1 : 0);
}

std::vector<TimeBound> BoundsOf(const PlanNode& node) {
  switch (node.kind) {
    case PlanNode::Kind::kFilter:
    case PlanNode::Kind::kDistinct: return BoundsOf(*node.inputs[0]);
    case PlanNode::Kind::kClockFilter: {
      auto bounds = BoundsOf(*node.inputs[0]);
      if (auto bound = AsTimeBound(*node.clock)) bounds.push_back(std::move(*bound));
      return bounds;
    }
    case PlanNode::Kind::kProject: return Over(BoundsOf(*node.inputs[0]), node.expressions);
    case PlanNode::Kind::kJoin: {
      std::vector<TimeBound> bounds;
      for (size_t side : {0, 1}) {
        if (!KeepsValues(node.join.kind, side)) continue;
        auto more = Over(BoundsOf(*node.inputs[side]), OutputOf(node, side));
        bounds.insert(bounds.end(), more.begin(), more.end());
      }
      return bounds;
    }
    default: return {};
  }
}

bool SameTime(const ExpressionPtr& one, const ExpressionPtr& other) {
  return one->return_type == other->return_type && Fingerprint(*one) == Fingerprint(*other);
}

// `clock` + `by`; null when there is no such function for its type.
ExpressionPtr Moved(Session& session, const ExpressionPtr& clock, Micros by) {
  if (by == 0) return clock;
  duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> arguments;
  arguments.push_back(clock->Copy());
  arguments.push_back(
      duckdb::make_uniq<duckdb::BoundConstantExpression>(duckdb::Value::INTERVAL(0, 0, by)));
  duckdb::FunctionBinder binder(session.context());
  duckdb::ErrorData error;
  auto sum = binder.BindScalarFunction(DEFAULT_SCHEMA, "+", std::move(arguments), error, true);
  return error.HasError() ? nullptr : Own(std::move(sum));
}

}  // namespace

// `filters` stand above the join.  The join itself may be read by others, so a copy is bounded.
NodePtr Translator::BoundByPartner(NodePtr join, const std::vector<ExpressionPtr>& filters) {
  for (auto& order : TimesInOrder(*join, filters)) {
    size_t side = order.later_side;
    if (!NeedsPartner(join->join.kind, side)) continue;
    auto own = BoundsOf(*join->inputs[side]);
    bool is_bounded = std::any_of(own.begin(), own.end(), [&](const TimeBound& bound) {
      return SameTime(bound.time.time, order.later);
    });
    if (is_bounded) continue;
    for (auto& bound : BoundsOf(*join->inputs[1 - side])) {
      if (!SameTime(bound.time.time, order.earlier)) continue;
      auto filter = ImpliedFilter(order, bound);
      if (!filter) continue;
      filter->types = join->inputs[side]->types;
      filter->inputs.push_back(join->inputs[side]);
      join = std::make_shared<PlanNode>(*join);
      join->inputs[side] = std::move(filter);
      break;
    }
  }
  return join;
}

// That of the later time, given the bound of the earlier one; without its input.
NodePtr Translator::ImpliedFilter(const TimeOrder& order, const TimeBound& bound) {
  ClockPredicate predicate;
  predicate.row = order.later;
  Micros shift = order.least - bound.time.shift;
  if (bound.instant) {
    auto cast = bound.instant->Copy();
    cast->Cast<duckdb::BoundCastExpression>().child = order.later->Copy();
    predicate.row = Own(std::move(cast));
    // Where clocks are put forward or back, of two local times the later may be the earlier
    // instant: by hours, never by a day.
    if (!session_.IsUtc()) shift -= 2 * duckdb::Interval::MICROS_PER_DAY;
  }
  predicate.clock = Moved(session_, bound.clock, shift);
  if (!predicate.clock) return nullptr;
  predicate.comparison = Comparison::kGreaterOrEqual;
  predicate.type = TypeOf(predicate.row);
  predicate.goes_back = bound.goes_back;
  auto filter = std::make_shared<PlanNode>();
  filter->kind = PlanNode::Kind::kClockFilter;
  filter->clock = std::move(predicate);
  filter->reason = "the join's other side is bounded by the clock: what is older meets no partner";
  return filter;
}

}  // namespace weir
