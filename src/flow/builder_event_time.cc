// What watermarks say in a circuit: which rows come no more, and so which state may be freed.
//
// A bound says of the rows of an operator: those whose expression `end` is over come no more and go
// no more.  It begins at a filter on weir_on_time over rows that come when their events do (not
// when something else lets them in), and is carried up by operators that keep that true; all others
// drop it.
#include <algorithm>

#include "base/error.h"
#include "duck/plan/event_time_functions.h"
#include "duck/plan/time_order.h"
#include "flow/builder.h"

namespace weir {
namespace {

std::string Millis(Micros micros) { return std::to_string(micros / 1000) + " ms"; }

}  // namespace

Operator* CircuitBuilder::Watermark(std::vector<std::string> streams) {
  CHECK(!streams.empty());  // of none there would be no watermark, ever
  std::sort(streams.begin(), streams.end());
  streams.erase(std::unique(streams.begin(), streams.end()), streams.end());
  std::vector<Operator*> sources;
  std::string detail;
  for (auto& stream : streams) {
    Named named = resolve_(stream);
    if (!named.watermark) {
      throw Error(ErrorCode::kInvalidSql, "stream \"" + stream + "\" has no watermark");
    }
    auto* source = AddSource(stream, named);
    source->KeepTime();
    sources.push_back(source);
    auto& spec = *named.watermark;
    detail += (detail.empty() ? "" : ", ") + stream + " - " + Millis(spec.delay) +
              (spec.idle_timeout ? ", by the clock after " + Millis(*spec.idle_timeout) : "");
  }
  return Add(std::make_unique<WatermarkOperator>(), sources, "", detail);
}

// Bounds of rows as bounds of what is projected from them: each in all ways the columns tell it.
std::vector<CircuitBuilder::Bound> CircuitBuilder::BoundsOver(
    const std::vector<Bound>& bounds, const std::vector<ExpressionPtr>& projected) {
  std::vector<Bound> over;
  for (auto& bound : bounds) {
    for (auto& way : InTermsOf(bound.expiry.end, projected)) {
      over.push_back(bound);
      over.back().expiry = {way.time, bound.expiry.lateness + way.shift};
    }
  }
  return over;
}

// The bounds of Dense(built).
std::vector<CircuitBuilder::Bound> CircuitBuilder::DenseBounds(const Built& built,
                                                               const RowTypes& types) {
  CHECK(built.columns.size() == types.size());
  std::vector<ExpressionPtr> columns;
  for (size_t i = 0; i < built.columns.size(); i++) {
    columns.push_back(ColumnReference(built.columns[i], types[i]));
  }
  return BoundsOver(built.bounds, columns);
}

// Whether nothing comes or goes any more of what is over by the watermarks of all these streams.
bool CircuitBuilder::Says(const std::vector<Bound>& bounds, const Expiry& expiry,
                          const std::vector<std::string>& streams) {
  std::string end = Fingerprint(*expiry.end);
  return std::any_of(bounds.begin(), bounds.end(), [&](const Bound& bound) {
    bool known = std::find(streams.begin(), streams.end(), bound.stream) != streams.end();
    return known && bound.expiry.lateness <= expiry.lateness &&
           Fingerprint(*bound.expiry.end) == end;
  });
}

// When a join has no more to ask of a row of one side, by the watermark of the other: the partners
// to come are all later than it may be before them (interval joins).  Over the side's columns.
std::optional<CircuitBuilder::Bound> CircuitBuilder::EndOfPartners(const PlanNode& join,
                                                                   size_t side) {
  auto& call = join.join;
  // Others keep something by key or by mark that would have to go, too.
  bool forgets = call.kind == JoinKind::kInner ||
                 (call.condition && call.kind != JoinKind::kMark && call.kind != JoinKind::kSingle);
  if (!forgets) return std::nullopt;
  auto& other = *join.inputs[1 - side];
  std::optional<Bound> soonest;
  for (auto& order : TimesInOrder(join)) {
    if (order.later_side != side) continue;
    for (auto& bound : DenseBounds(Visit(other), other.types)) {
      auto end = AsShiftedTime(bound.expiry.end);
      if (Fingerprint(*end.time) != Fingerprint(*order.earlier)) continue;
      Micros lateness = bound.expiry.lateness + end.shift - order.least;
      if (soonest && soonest->expiry.lateness <= lateness) continue;
      soonest = bound;
      soonest->expiry = {order.later, lateness};
    }
  }
  return soonest;
}

// Whether rows of a join, or of an inner join right below it, end.
bool CircuitBuilder::RowsEnd(const PlanNode& join) {
  if (join.kind == PlanNode::Kind::kFilter || join.kind == PlanNode::Kind::kProject) {
    return RowsEnd(*join.inputs[0]);
  }
  if (join.kind != PlanNode::Kind::kJoin || join.join.kind != JoinKind::kInner) return false;
  return EndOfPartners(join, 0) || EndOfPartners(join, 1) || RowsEnd(*join.inputs[0]) ||
         RowsEnd(*join.inputs[1]);
}

CircuitBuilder::Built CircuitBuilder::WindowClose(const PlanNode& node) {
  auto& call = node.window_close;
  Built below = Visit(*node.inputs[0]);
  auto bounds = DenseBounds(below, node.inputs[0]->types);
  Operator* input = Dense(below, node.inputs[0]->types);
  auto* watermark = Watermark(call.streams);
  Expiry expiry{call.end, call.lateness};
  bool settled = Says(bounds, expiry, call.streams);
  std::string identity =
      Fingerprint(*call.end) + "+" + std::to_string(call.lateness) + (settled ? "settled" : "");
  auto close = MakeWindowClose(session_, expiry, input->types(), settled);
  close->upkeep.Add(Upkeep::Rung::kClosedForm,
                    "each row is kept until the watermark is past the end of its window",
                    "Grouped by window_start and window_end right above, a row for each group is "
                    "kept instead.");
  auto* op = Add(std::move(close), {input, watermark}, identity,
                 Describe(node) + "; then its state is freed");
  if (!settled) bounds.clear();
  // Rows come in the very step in which they are over, and no more after it.
  for (auto& bound : bounds) bound.watermark = watermark;
  return {op, Identity(op->types().size()), std::move(bounds)};
}

// An aggregate by windows that close need not have their rows kept: its groups wait instead.
std::optional<CircuitBuilder::Built> CircuitBuilder::AggregateOnClose(const PlanNode& node) {
  std::vector<const PlanNode*> between;  // projections and filters, the uppermost first
  const PlanNode* below = node.inputs[0].get();
  while (below->kind == PlanNode::Kind::kProject || below->kind == PlanNode::Kind::kFilter) {
    between.push_back(below);
    below = below->inputs[0].get();
  }
  if (below->kind != PlanNode::Kind::kWindowClose || node.groups.empty()) return std::nullopt;
  auto& call = below->window_close;
  std::vector<Expiry> ways{{call.end, call.lateness}};
  auto in_terms_of = [](const std::vector<Expiry>& known,
                        const std::vector<ExpressionPtr>& columns) {
    std::vector<Expiry> over;
    for (auto& one : known) {
      for (auto& way : InTermsOf(one.end, columns)) {
        over.push_back({way.time, one.lateness + way.shift});
      }
    }
    return over;
  };
  // The rows may have the start of a window, too, by which it is known as well.
  const PlanNode* rows_below = below->inputs[0].get();
  while (rows_below->kind == PlanNode::Kind::kFilter) rows_below = rows_below->inputs[0].get();
  if (rows_below->kind == PlanNode::Kind::kProject) {
    auto& columns = rows_below->expressions;
    ways = in_terms_of({{BelowProjection(call.end, columns), call.lateness}}, columns);
  }
  for (size_t i = between.size(); i-- > 0;) {
    if (between[i]->kind == PlanNode::Kind::kProject) {
      ways = in_terms_of(ways, between[i]->expressions);
    }
  }
  ways = in_terms_of(ways, node.groups);
  if (ways.empty()) return std::nullopt;
  // The same without what closes windows.
  std::shared_ptr<PlanNode> rows = below->inputs[0];
  for (size_t i = between.size(); i-- > 0;) {
    auto copy = std::make_shared<PlanNode>(*between[i]);
    copy->inputs = {rows};
    rows = std::move(copy);
  }
  plans_.push_back(rows);
  PlanNode open = node;
  open.inputs = {rows};
  MarkSummed(open);
  Built input = Visit(*rows);
  AggregateSpec spec;
  for (auto& group : node.groups) spec.groups.push_back(Over(input, group));
  for (auto aggregate : node.aggregates) {
    aggregate.arguments = Over(input, aggregate.arguments);
    if (aggregate.filter) aggregate.filter = Over(input, aggregate.filter);
    spec.aggregates.push_back(std::move(aggregate));
  }
  auto bounds = BoundsOver(input.bounds, spec.groups);
  for (auto& way : ways) {
    // `ways` are over the node's columns as groups are: both count the groups.
    if (Says(bounds, way, call.streams)) spec.expiry = way;
  }
  if (!spec.expiry) return std::nullopt;
  spec.on_close = true;
  auto* watermark = Watermark(call.streams);
  for (auto& bound : bounds) bound.watermark = watermark;
  auto* op = AddAggregate(input.op, std::move(spec), Describe(node), watermark);
  return Built{op, Identity(op->types().size()), std::move(bounds)};
}

}  // namespace weir
