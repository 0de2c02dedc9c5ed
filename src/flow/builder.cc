#include "flow/builder.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "duck/batch_plan.h"
#include "duck/plan/event_time_functions.h"
#include "duck/plan/plan_node.h"
#include "duck/row_function.h"
#include "flow/aggregates/aggregate_state.h"
#include "flow/operators/table.h"

namespace weir {
namespace {

std::string Print(const std::vector<SortKey>& order) {
  std::string text;
  for (auto& key : order) {
    text += Fingerprint(*key.by) + (key.descending ? " desc" : " asc") +
            (key.nulls_first ? " first;" : " last;");
  }
  return text;
}

std::string Print(const RowTypes& types) {
  std::string text;
  for (auto& type : types) text += type.ToString() + ",";
  return text;
}

// All columns of rows of these types, and nothing else.
bool AreColumnsInOrder(const std::vector<ExpressionPtr>& expressions, const RowTypes& types) {
  if (expressions.size() != types.size()) return false;
  for (size_t i = 0; i < types.size(); i++) {
    if (AsColumn(expressions[i]) != i || TypeOf(expressions[i]) != types[i]) return false;
  }
  return true;
}

std::string Print(const AggregateCall& call) {
  std::string text = call.function + (call.distinct ? " distinct(" : "(") +
                     Fingerprint(call.arguments) + ")" + call.type.ToString();
  if (call.filter) text += " filter " + Fingerprint(*call.filter);
  for (auto& key : call.order) {
    text += key.descending ? " desc" : " asc";
    text += key.nulls_first ? " first" : " last";
  }
  if (call.call && !HasClosedForm(call)) text += Fingerprint(*call.call);
  return text;
}

}  // namespace

CircuitBuilder::CircuitBuilder(Circuit& circuit, SessionPtr session, std::string scope,
                               Resolve resolve)
    : circuit_(circuit),
      session_(std::move(session)),
      scope_(std::move(scope)),
      resolve_(std::move(resolve)) {}

EmitOperator* CircuitBuilder::BuildEmit(const std::string& pump, const Plan& plan,
                                        std::vector<std::string> not_null) {
  try {
    RowTypes types(plan.types.begin(), plan.types.end());
    Operator* top = Dense(Visit(*plan.root), types);
    if (!top->append_only()) {
      unsupported_ = "its rows can change or go again";
      if (!goes_back_.empty()) {
        unsupported_ += " (the bound " + goes_back_ +
                        " goes back where months differ in length or clocks are set)";
      }
      return nullptr;
    }
    auto* emit = Add(std::make_unique<EmitOperator>(types, std::move(not_null)), {top},
                     "emissions of " + pump, pump);
    return static_cast<EmitOperator*>(emit);
  } catch (const NotIncremental& obstacle) {
    unsupported_ = "it cannot be kept by the change because of " + obstacle.reason;
    return nullptr;
  }
}

OutputOperator* CircuitBuilder::Build(const std::string& view, const Plan& plan) {
  try {
    RowTypes types(plan.types.begin(), plan.types.end());
    Operator* top = Dense(Visit(*plan.root), types);
    // Every view has an output of its own, so that it can be dropped by itself.
    auto* output = Add(std::make_unique<OutputOperator>(types), {top}, "output of " + view, view);
    CHECK(output->inputs.size() == 1 && output->inputs[0] == top);
    return static_cast<OutputOperator*>(output);
  } catch (const NotIncremental& obstacle) {
    unsupported_ = obstacle.reason;
    hint_ = obstacle.hint;
    return nullptr;
  }
}

CircuitBuilder::Built CircuitBuilder::Visit(const PlanNode& node) {
  auto found = visited_.find(&node);
  if (found != visited_.end()) return found->second;
  Built built;
  switch (node.kind) {
    case PlanNode::Kind::kSource: built = Source(node); break;
    case PlanNode::Kind::kFilter: built = Filter(node); break;
    case PlanNode::Kind::kClockFilter: built = ClockFilter(node); break;
    case PlanNode::Kind::kProject: built = Project(node); break;
    case PlanNode::Kind::kUnnest: built = Unnest(node); break;
    case PlanNode::Kind::kRowFunction: built = RowFunction(node); break;
    case PlanNode::Kind::kUnionAll: built = UnionAll(node); break;
    case PlanNode::Kind::kAggregate: built = Aggregate(node); break;
    case PlanNode::Kind::kDistinct: built = Distinct(node); break;
    case PlanNode::Kind::kJoin: built = Join(node); break;
    case PlanNode::Kind::kGroupTop: built = GroupTop(node); break;
    case PlanNode::Kind::kSession: built = Session(node); break;
    case PlanNode::Kind::kWindowClose: built = WindowClose(node); break;
    case PlanNode::Kind::kSetOperation: built = SetOperation(node); break;
    case PlanNode::Kind::kBatch: built = Batch(node); break;
    case PlanNode::Kind::kWindow: built = Window(node); break;
    case PlanNode::Kind::kRecursion: built = Recursion(node); break;
    case PlanNode::Kind::kTop: built = Top(node); break;
    case PlanNode::Kind::kConstant: built = Constant(node); break;
    case PlanNode::Kind::kUnsupported: throw NotIncremental{node.reason, node.hint};
  }
  CHECK(built.op && built.columns.size() == node.types.size());
  for (size_t column : built.columns) CHECK(column < built.op->types().size());
  for (auto& bound : built.bounds) CHECK(bound.watermark && bound.expiry.end);
  visited_[&node] = built;
  return built;
}

Operator* CircuitBuilder::Add(std::unique_ptr<Operator> op, std::vector<Operator*> inputs,
                              const std::string& identity, std::string detail) {
  std::string fingerprint = scope_ + "|" + op->name() + "|" + identity + "|" + Print(op->types());
  for (Operator* input : inputs) fingerprint += "(" + input->fingerprint + ")";
  op->detail = std::move(detail);
  return circuit_.Add(std::move(op), std::move(inputs), std::move(fingerprint));
}

// Columns that are used of a source's rows, wherever filters pass them through.
void CircuitBuilder::MarkRead(Operator* op, const std::vector<bool>& used) {
  CHECK(used.size() >= op->types().size());
  if (auto* source = dynamic_cast<SourceOperator*>(op)) {
    auto& reads = source->reads();
    for (size_t i = 0; i < reads.size() && i < used.size(); i++) reads[i] = reads[i] || used[i];
    if (source->has_watermark() && reads.back()) source->KeepTime();
    source->OutputsChanged();
  } else if (op->name() == "filter" || op->name() == "bucket") {
    MarkRead(op->inputs[0], used);
  }
}

ExpressionPtr CircuitBuilder::Over(const Built& input, const ExpressionPtr& expression) {
  std::vector<bool> used(input.op->types().size());
  auto moved = MoveColumns(expression, input.columns, used);
  MarkRead(input.op, used);
  return moved;
}

std::vector<ExpressionPtr> CircuitBuilder::Over(const Built& input,
                                                const std::vector<ExpressionPtr>& expressions) {
  std::vector<ExpressionPtr> moved;
  moved.reserve(expressions.size());
  for (auto& expression : expressions) moved.push_back(Over(input, expression));
  return moved;
}

// The input itself when its columns are wanted as they are: of `SELECT k, count(*) ... GROUP BY k`
// the aggregate's rows are the answer.
Operator* CircuitBuilder::AddProject(Operator* input, std::vector<ExpressionPtr> expressions,
                                     std::string detail) {
  if (AreColumnsInOrder(expressions, input->types())) return input;
  std::string identity = Fingerprint(expressions);
  return Add(MakeProject(session_, std::move(expressions), input->append_only()), {input}, identity,
             std::move(detail));
}

// The operator itself when its rows are the node's, otherwise a projection of them.
Operator* CircuitBuilder::Dense(const Built& built, const RowTypes& types) {
  CHECK(built.columns.size() == types.size());
  if (built.columns == Identity(built.op->types().size())) return built.op;
  std::vector<ExpressionPtr> expressions;
  for (size_t i = 0; i < built.columns.size(); i++) {
    expressions.push_back(Over(built, ColumnReference(i, types[i])));
  }
  return AddProject(built.op, std::move(expressions), "");
}

CircuitBuilder::Built CircuitBuilder::Source(const PlanNode& node) {
  Built built;
  Named named = resolve_(node.scan.name);
  size_t visible;
  if (named.is_stream) {
    visible = named.stream_types.size();
    auto* source = AddSource(node.scan.name, named);
    built.op = source;
    built.prompt = named.primary_key.empty() && named.append_only;
    if (!named.primary_key.empty()) {
      visible--;
      built.op = AddTable(source, named, node.scan);
    }
  } else {
    auto found = views_.find(node.scan.name);
    if (found == views_.end()) {
      Built view = Visit(*named.plan.root);
      RowTypes types(named.plan.types.begin(), named.plan.types.end());
      Operator* dense = Dense(view, types);
      found = views_
                  .emplace(node.scan.name,
                           Built{dense, Identity(types.size()), DenseBounds(view, types)})
                  .first;
      plans_.push_back(named.plan.root);
    }
    built.op = found->second.op;
    built.bounds = found->second.bounds;
    visible = built.op->types().size();
  }
  for (size_t column : node.scan.columns) {
    switch (column) {
      case kScanOffset: built.columns.push_back(visible); break;
      case kScanArrivalTime: built.columns.push_back(visible + 1); break;
      case kScanWatermark: built.columns.push_back(visible + 2); break;
      case kScanNothing: built.columns.push_back(0); break;  // nobody looks at it
      default: built.columns.push_back(column);
    }
  }
  return built;
}

// The rows of a table above its changes.  Views that look at the hidden columns have one of their
// own: to them a change that says the same again is a change.
Operator* CircuitBuilder::AddTable(Operator* changes, const Named& named, const SourceScan& scan) {
  TableSpec spec;
  spec.changes = changes->types();
  spec.columns = named.stream_types.size() - 1;
  CHECK(spec.changes.size() == spec.columns + 3);  // whether it is gone, and the hidden two
  spec.key = named.primary_key;
  spec.with_hidden = std::any_of(scan.columns.begin(), scan.columns.end(), [](size_t column) {
    return column == kScanOffset || column == kScanArrivalTime;
  });
  std::vector<bool> used(spec.changes.size(), true);
  if (!spec.with_hidden) used[used.size() - 1] = used[used.size() - 2] = false;
  MarkRead(changes, used);
  std::string identity = spec.with_hidden ? "hidden" : "";
  return Add(MakeTable(std::move(spec)), {changes}, identity, scan.name);
}

std::vector<size_t> CircuitBuilder::Identity(size_t count) {
  std::vector<size_t> columns(count);
  std::iota(columns.begin(), columns.end(), size_t{0});
  return columns;
}

CircuitBuilder::Built CircuitBuilder::Filter(const PlanNode& node) {
  Built built = Visit(*node.inputs[0]);
  // One operator for each predicate: views that share only some of them share those.  Plain tests
  // come first, in an order of their own, so that it does not matter in which a query has them.
  struct Test {
    bool plain;
    std::string identity;
    ExpressionPtr moved, told;
  };
  std::vector<Test> tests;
  for (auto& predicate : node.expressions) {
    auto moved = Over(built, predicate);
    tests.push_back({IsPlainTest(*moved), Fingerprint(*moved), moved, predicate});
  }
  std::stable_sort(tests.begin(), tests.end(), [](const Test& a, const Test& b) {
    if (a.plain != b.plain) return a.plain;
    return a.plain && a.identity < b.identity;
  });
  for (auto& test : tests) {
    built.op = Add(MakeFilter(session_, {test.moved}, built.op->types(), built.op->append_only()),
                   {built.op}, test.identity, Describe(test.told));
    auto on_time = built.prompt ? AsOnTime(test.moved) : std::nullopt;
    if (on_time) {
      built.bounds.push_back(
          {{on_time->end, on_time->lateness}, Watermark({on_time->stream}), on_time->stream});
    }
  }
  return built;
}

CircuitBuilder::Built CircuitBuilder::ClockFilter(const PlanNode& node) {
  Operator* input = Dense(Visit(*node.inputs[0]), node.inputs[0]->types);
  ClockFilterSpec spec;
  spec.predicate = *node.clock;
  if (node.clock->goes_back.value_or(0) > 0) goes_back_ = Describe(node.clock->clock);
  std::string identity =
      Describe(node) + Fingerprint(*node.clock->row) + Fingerprint(*node.clock->clock);
  auto filter = MakeClockFilter(session_, std::move(spec), input->types(), input->append_only());
  if (!node.reason.empty()) {
    filter->upkeep.Add(Upkeep::Rung::kClosedForm, node.reason);
  } else if (node.clock->bucket) {
    filter->upkeep.Add(Upkeep::Rung::kClosedForm, "each row is kept until the clock is past it");
  } else {
    filter->upkeep.Add(
        Upkeep::Rung::kClosedForm,
        "each row is kept until the clock is past it, since the bound is not rounded",
        "Below an aggregate, a rounded bound as in ts >= date_trunc('hour', now() - INTERVAL 1 "
        "DAY) keeps a row for each group and hour instead.");
  }
  auto* op = Add(std::move(filter), {input}, identity, Describe(node));
  return {op, Identity(op->types().size())};
}

CircuitBuilder::Built CircuitBuilder::Project(const PlanNode& node) {
  Built input = Visit(*node.inputs[0]);
  auto expressions = Over(input, node.expressions);
  auto bounds = BoundsOver(input.bounds, expressions);
  auto* op = AddProject(input.op, std::move(expressions), Describe(node));
  return {op, Identity(op->types().size()), std::move(bounds), input.prompt};
}

CircuitBuilder::Built CircuitBuilder::Unnest(const PlanNode& node) {
  Built below = Visit(*node.inputs[0]);
  Operator* input = Dense(below, node.inputs[0]->types);
  if (summed_.contains(&node)) {
    input = Add(MakeConsolidate(input->types()), {input}, "", "equal rows of a step");
  }
  std::string identity = Fingerprint(node.expressions);
  auto* op = Add(MakeUnnest(session_, node.expressions, node.types, input->append_only()), {input},
                 identity, Describe(node));
  return {op, Identity(op->types().size()), DenseBounds(below, node.inputs[0]->types),
          below.prompt};
}

CircuitBuilder::Built CircuitBuilder::RowFunction(const PlanNode& node) {
  Operator* input = Dense(Visit(*node.inputs[0]), node.inputs[0]->types);
  auto* op = Add(MakeRowFunction(session_, node.row_function, node.types, input->append_only()),
                 {input}, node.row_function->identity, "");
  return {op, Identity(op->types().size())};
}

CircuitBuilder::Built CircuitBuilder::UnionAll(const PlanNode& node) {
  std::vector<Operator*> inputs;
  bool append_only = true;
  for (auto& child : node.inputs) {
    inputs.push_back(Dense(Visit(*child), child->types));
    append_only &= inputs.back()->append_only();
  }
  auto* op = Add(MakeUnionAll(node.types, append_only), inputs, "", "");
  return {op, Identity(op->types().size())};
}

Operator* CircuitBuilder::AddAggregate(Operator* input, AggregateSpec spec, std::string detail,
                                       Operator* watermark) {
  CHECK(spec.expiry.has_value() == (watermark != nullptr) && (!spec.on_close || spec.expiry));
  CHECK(!spec.global || spec.groups.empty());
  size_t width = spec.groups.size() + spec.aggregates.size();
  std::string identity = Fingerprint(spec.groups) + (spec.global ? "global" : "") + "/";
  for (auto& call : spec.aggregates) identity += Print(call) + "/";
  bool append_only = input->append_only();
  identity += append_only ? "growing" : "";
  std::vector<Operator*> inputs{input};
  if (spec.expiry) {
    identity += Fingerprint(*spec.expiry->end) + "+" + std::to_string(spec.expiry->lateness) +
                (spec.on_close ? "close" : "free");
    detail += spec.on_close ? "; comes once when it closes, then its state is freed"
                            : "; state is freed when it closes";
    inputs.push_back(watermark);
  }
  auto* op = Add(MakeAggregate(session_, std::move(spec), append_only), inputs, identity,
                 std::move(detail));
  CHECK(op->types().size() == width);
  return op;
}

CircuitBuilder::Built CircuitBuilder::Aggregate(const PlanNode& node) {
  auto all = Identity(node.groups.size());
  bool plain = node.grouping_calls.empty() &&
               (node.grouping_sets.empty() ||
                (node.grouping_sets.size() == 1 && node.grouping_sets[0] == all));
  if (plain) {
    if (auto bucketed = BucketedAggregate(node)) return *bucketed;
    if (auto on_close = AggregateOnClose(node)) return *on_close;
  }
  MarkSummed(node);
  Built input = Visit(*node.inputs[0]);
  if (plain) return GroupingSet(node, input, all);
  std::vector<Operator*> parts;
  for (auto& set : node.grouping_sets) parts.push_back(GroupingSet(node, input, set).op);
  if (parts.size() == 1) return {parts[0], Identity(node.types.size())};
  auto* op = Add(MakeUnionAll(node.types, false), parts, "", "grouping sets");
  return {op, Identity(op->types().size())};
}

// What makes many rows of each, below an aggregate that only adds up weights (counts and sums; an
// extreme or a DISTINCT does more), may as well do so once for each distinct row.
void CircuitBuilder::MarkSummed(const PlanNode& aggregate) {
  for (auto& call : aggregate.aggregates) {
    bool extreme = call.function == "min" || call.function == "max";
    if (call.distinct || extreme || !HasClosedForm(call)) return;
  }
  const PlanNode* below = aggregate.inputs[0].get();
  while (below->kind == PlanNode::Kind::kProject || below->kind == PlanNode::Kind::kFilter) {
    below = below->inputs[0].get();
  }
  bool multiplies =
      below->kind == PlanNode::Kind::kUnnest || below->kind == PlanNode::Kind::kSession;
  if (multiplies) summed_.insert(below);
}

// One grouping set; its rows have all the groups (NULL where the set lacks one), the aggregates and
// the values of GROUPING().
CircuitBuilder::Built CircuitBuilder::GroupingSet(const PlanNode& node, const Built& input,
                                                  const std::vector<size_t>& set) {
  AggregateSpec spec;
  for (size_t group : set) spec.groups.push_back(Over(input, node.groups[group]));
  for (auto call : node.aggregates) {
    call.arguments = Over(input, call.arguments);
    if (call.filter) call.filter = Over(input, call.filter);
    spec.aggregates.push_back(std::move(call));
  }
  spec.global = set.empty();
  auto bounds = BoundsOver(input.bounds, spec.groups);
  Operator* watermark = nullptr;
  // DuckDB's own states are not given back one by one: with such, groups stay.
  bool native = std::any_of(spec.aggregates.begin(), spec.aggregates.end(),
                            [&](auto& call) { return IsNative(call, input.op->append_only()); });
  if (!bounds.empty() && !native) {
    spec.expiry = bounds[0].expiry;
    watermark = bounds[0].watermark;
  }
  auto* op = AddAggregate(input.op, std::move(spec), Describe(node), watermark);
  if (!bounds.empty() && native) {
    op->upkeep.Add(Upkeep::Rung::kClosedForm,
                   "groups of windows that are over stay in memory, for a state of DuckDB's is not "
                   "given back by itself",
                   "With EMIT ON WINDOW CLOSE they go.");
  }
  if (set.size() == node.groups.size() && node.grouping_calls.empty()) {
    return {op, Identity(op->types().size()), std::move(bounds)};
  }
  std::vector<ExpressionPtr> columns;
  for (size_t group = 0; group < node.groups.size(); group++) {
    auto& type = node.types[group];
    auto found = std::find(set.begin(), set.end(), group);
    columns.push_back(found == set.end()
                          ? ConstantValue(duckdb::Value(type))
                          : ColumnReference(static_cast<size_t>(found - set.begin()), type));
  }
  for (size_t i = 0; i < node.aggregates.size(); i++) {
    columns.push_back(ColumnReference(set.size() + i, node.aggregates[i].type));
  }
  for (auto& call : node.grouping_calls) {
    int64_t mask = 0;  // as GROUPING(): a bit for each argument, set when it is not in the set
    for (size_t group : call) {
      mask = mask * 2 + (std::find(set.begin(), set.end(), group) == set.end());
    }
    columns.push_back(ConstantValue(duckdb::Value::BIGINT(mask)));
  }
  op = AddProject(op, std::move(columns), "");
  return {op, Identity(op->types().size())};
}

namespace {

// An aggregate in two: of each group and bucket, and of those of a group.
std::pair<AggregateSpec, AggregateSpec> Split(const PlanNode& node, ExpressionPtr bucket) {
  AggregateSpec partial, merge;
  partial.groups = node.groups;
  partial.groups.push_back(std::move(bucket));
  size_t group_count = node.groups.size();
  size_t next = group_count;
  for (size_t i = 0; i < group_count; i++) {
    merge.groups.push_back(ColumnReference(i, TypeOf(node.groups[i])));
  }
  auto add_part = [&](AggregateCall call, const duckdb::LogicalType& type) {
    call.type = type;
    call.call = nullptr;
    partial.aggregates.push_back(std::move(call));
    return ColumnReference(next++, type);
  };
  for (auto& call : node.aggregates) {
    AggregateCall merged;
    merged.type = call.type;
    if (call.function == "count" || call.function == "count_star") {
      merged.function = kSumOfCounts;
      merged.arguments = {add_part(call, duckdb::LogicalType::BIGINT)};
    } else if (call.function == "avg" || call.function == "mean") {
      merged.function = kAverageOfParts;
      auto& type = call.argument_types[0];
      bool floating = type.IsFloating();
      auto sum_type = floating ? duckdb::LogicalType::DOUBLE
                      : type.id() == duckdb::LogicalTypeId::DECIMAL
                          ? duckdb::LogicalType::DECIMAL(38, duckdb::DecimalType::GetScale(type))
                          : duckdb::LogicalType::HUGEINT;
      AggregateCall sum = call, count = call;
      sum.function = "sum";
      count.function = "count";
      merged.arguments = {add_part(sum, sum_type), add_part(count, duckdb::LogicalType::BIGINT)};
    } else {
      merged.function = call.function;  // sum of sums, min of mins, max of maxes
      merged.arguments = {add_part(call, call.type)};
    }
    for (auto& argument : merged.arguments) merged.argument_types.push_back(TypeOf(argument));
    merge.aggregates.push_back(std::move(merged));
  }
  merge.global = node.groups.empty();
  return {std::move(partial), std::move(merge)};
}

}  // namespace

// Aggregates over `x >= date_trunc('month', now())` and its like: partial aggregates for each
// (groups, month), the clock filter over those, and a merge.  State: a row for each group and
// month instead of each event.
std::optional<CircuitBuilder::Built> CircuitBuilder::BucketedAggregate(const PlanNode& node) {
  const PlanNode* below = node.inputs[0].get();
  const PlanNode* project = nullptr;
  if (below->kind == PlanNode::Kind::kProject) {
    project = below;
    below = below->inputs[0].get();
  }
  if (below->kind != PlanNode::Kind::kClockFilter || !below->clock->bucket) return std::nullopt;
  for (auto& call : node.aggregates) {
    if (call.distinct || !HasClosedForm(call)) return std::nullopt;
  }

  Built input = Visit(*below->inputs[0]);
  auto bucket = Over(input, below->clock->bucket);
  size_t bucket_column = input.op->types().size();
  const std::string bucket_print = Fingerprint(*bucket);
  auto* with_bucket = Add(MakeBucket(session_, bucket, input.op->types(), below->clock->coarse,
                                     input.op->append_only()),
                          {input.op}, bucket_print, Describe(below->clock->bucket));
  Built rows{with_bucket, input.columns};
  std::vector<ExpressionPtr> columns;
  if (project) {
    columns = Over(rows, project->expressions);
  } else {
    for (size_t i = 0; i < below->types.size(); i++) {
      columns.push_back(Over(rows, ColumnReference(i, below->types[i])));
    }
  }
  size_t width = columns.size();
  columns.push_back(ColumnReference(bucket_column, below->clock->type));
  auto* projected = AddProject(with_bucket, std::move(columns), "");

  auto [partial, merge] = Split(node, ColumnReference(width, below->clock->type));
  size_t group_count = node.groups.size();
  auto* parts = AddAggregate(projected, std::move(partial), "by " + Describe(below->clock->bucket));

  // The bucket stands behind the groups; the clock filter wants it last.
  std::vector<ExpressionPtr> reordered;
  for (size_t i = 0; i < parts->types().size(); i++) {
    if (i != group_count) reordered.push_back(ColumnReference(i, parts->types()[i]));
  }
  reordered.push_back(ColumnReference(group_count, parts->types()[group_count]));
  auto* last = AddProject(parts, std::move(reordered), "");
  ClockFilterSpec spec;
  spec.predicate = *below->clock;
  spec.by_last_column = true;
  spec.drop_last = true;
  std::string identity = "last" + Describe(*below) + Fingerprint(*below->clock->clock);
  auto* current = Add(MakeClockFilter(session_, std::move(spec), last->types(), false), {last},
                      identity, Describe(*below));
  auto* op = AddAggregate(current, std::move(merge), Describe(node));
  return Built{op, Identity(op->types().size())};
}

CircuitBuilder::Built CircuitBuilder::Distinct(const PlanNode& node) {
  Built input = Visit(*node.inputs[0]);
  AggregateSpec spec;
  for (size_t i = 0; i < node.types.size(); i++) {
    spec.groups.push_back(Over(input, ColumnReference(i, node.types[i])));
  }
  auto bounds = BoundsOver(input.bounds, spec.groups);
  Operator* watermark = nullptr;
  if (!bounds.empty()) {
    spec.expiry = bounds[0].expiry;
    watermark = bounds[0].watermark;
  }
  auto* op = AddAggregate(input.op, std::move(spec), "distinct", watermark);
  return {op, Identity(op->types().size()), std::move(bounds)};
}

CircuitBuilder::Built CircuitBuilder::GroupTop(const PlanNode& node) {
  Operator* input = Dense(Visit(*node.inputs[0]), node.inputs[0]->types);
  auto& call = node.group_top;
  std::string identity = std::to_string(static_cast<int>(call.numbering)) +
                         (call.with_number ? "n" : "") + std::to_string(call.limit) + "/" +
                         Fingerprint(call.groups) + "/" + Print(call.order) +
                         (input->append_only() ? "growing" : "");
  auto* op = Add(MakeGroupTop(session_, call, input->types(), input->append_only()), {input},
                 identity, Describe(node));
  return {op, Identity(op->types().size())};
}

CircuitBuilder::Built CircuitBuilder::Session(const PlanNode& node) {
  Built below = Visit(*node.inputs[0]);
  auto bounds = DenseBounds(below, node.inputs[0]->types);
  Operator* input = Dense(below, node.inputs[0]->types);
  bool rows_go = !input->append_only();
  auto& call = node.session;
  if (summed_.contains(&node)) {
    input = Add(MakeConsolidate(input->types()), {input}, "", "equal rows of a step");
  }
  std::string identity = Fingerprint(call.groups) + "/" + Fingerprint(*call.time) + "/" +
                         std::to_string(call.gap) + (rows_go ? "" : "growing");
  std::string detail = Describe(node);
  std::vector<Operator*> inputs{input};
  std::optional<Micros> lateness;
  std::vector<Bound> over;
  for (auto& bound : bounds) {
    bool by_time = Fingerprint(*bound.expiry.end) == Fingerprint(*call.time);
    if (!by_time || rows_go || lateness) continue;
    lateness = bound.expiry.lateness;
    inputs.push_back(bound.watermark);
    identity += "free" + std::to_string(*lateness);
    detail += "; state is freed when no row can join";
    // A session is over when a row that could still join it would be late.
    auto last = ColumnReference(input->types().size() + 1, TypeOf(call.time));
    over.push_back(bound);
    over.back().expiry = {last, *lateness + call.gap};
  }
  auto* op = Add(MakeSession(session_, call, input->types(), !rows_go, lateness), inputs, identity,
                 detail);
  return {op, Identity(op->types().size()), std::move(over)};
}

CircuitBuilder::Built CircuitBuilder::SetOperation(const PlanNode& node) {
  std::vector<Operator*> inputs;
  for (auto& child : node.inputs) inputs.push_back(Dense(Visit(*child), child->types));
  auto* op = Add(MakeSetOperation(node.types, node.is_except, node.keeps_copies), inputs,
                 node.keeps_copies ? "all" : "", Describe(node));
  return {op, Identity(op->types().size())};
}

CircuitBuilder::Built CircuitBuilder::Batch(const PlanNode& node) {
  std::vector<Operator*> inputs;
  BatchSpec spec{node.batch.pattern, node.batch.keys, node.batch.output_keys, {}};
  std::string identity = spec.pattern->identity + "/";
  for (auto& child : node.inputs) {
    inputs.push_back(Dense(Visit(*child), child->types));
    spec.append_only.push_back(inputs.back()->append_only());
    identity += spec.append_only.back() ? "+" : "-";
  }
  auto batch = MakeBatch(session_, std::move(spec));
  batch->upkeep.Add(
      node.batch.output_keys.empty() ? Upkeep::Rung::kRecomputed : Upkeep::Rung::kTouched,
      node.reason, node.hint);
  auto* op = Add(std::move(batch), inputs, identity, Describe(node));
  return {op, Identity(op->types().size())};
}

CircuitBuilder::Built CircuitBuilder::Window(const PlanNode& node) {
  Operator* input = Dense(Visit(*node.inputs[0]), node.inputs[0]->types);
  auto& call = node.window;
  std::string identity = Fingerprint(call.partitions) + "/" + Print(call.order) + "/";
  if (call.pattern) {
    identity += call.pattern->identity;
    auto window = MakeFramedWindow(session_, call, input->types());
    window->upkeep.Add(Upkeep::Rung::kTouched,
                       "the rows whose frames a change reaches are computed again");
    auto* op = Add(std::move(window), {input}, identity, Describe(node));
    return {op, Identity(op->types().size())};
  }
  for (auto& running : call.running) {
    identity += std::to_string(static_cast<int>(running.kind)) + Print(running.aggregate) +
                (call.peers_share ? "peers/" : "/");
  }
  auto window = MakeRunningWindow(session_, call, input->types());
  window->upkeep.Add(Upkeep::Rung::kTouched,
                     "a row that comes before others of its partition, or goes, has the partition "
                     "added up again; one behind all others is added to what is there");
  auto* op = Add(std::move(window), {input}, identity, Describe(node));
  return {op, Identity(op->types().size())};
}

// The term is a circuit of its own, made anew when the recursion has to start again.
CircuitBuilder::Built CircuitBuilder::Recursion(const PlanNode& node) {
  std::vector<Operator*> inputs;
  RecursionSpec spec;
  spec.types = node.types;
  spec.keeps_copies = node.recursion.keeps_copies;
  for (auto& child : node.inputs) {
    inputs.push_back(Dense(Visit(*child), child->types));
    spec.inputs.push_back(inputs.back()->types());
    spec.inputs_only_grow = spec.inputs_only_grow && inputs.back()->append_only();
  }
  // Without copies the term never sees a row go: then all starts again.
  bool rows_go = spec.keeps_copies && !spec.inputs_only_grow;
  auto term_plan = node.recursion.term;
  auto make = [session = session_, scope = scope_, types = spec.types, inputs = spec.inputs,
               rows_go, term_plan](std::string& unsupported, std::string& identity) {
    RecursionTerm term;
    term.circuit = std::make_unique<Circuit>();
    auto resolve = [&](const std::string& name) {
      Named named;
      named.is_stream = true;
      named.identity = name;
      named.append_only = !rows_go;
      named.stream_types = name == kRecursionSource ? types : inputs.at(std::stoul(name));
      return named;
    };
    Plan plan;
    plan.root = term_plan;
    plan.types.assign(types.begin(), types.end());
    CircuitBuilder builder(*term.circuit, session, scope, resolve);
    // What nobody reads of an input, somebody still feeds.
    for (size_t i = 1; i < inputs.size(); i++) {
      term.inputs.push_back(builder.AddSource(std::to_string(i), resolve(std::to_string(i))));
    }
    term.recursion = builder.AddSource(kRecursionSource, resolve(kRecursionSource));
    term.output = builder.Build("recursion", plan);
    unsupported = builder.unsupported();
    if (term.output) identity = term.output->inputs[0]->fingerprint;
    return term;
  };
  std::string unsupported, identity;
  auto term = make(unsupported, identity);
  if (!term.output) throw NotIncremental{unsupported, ""};
  CHECK(term.recursion && term.inputs.size() + 1 == inputs.size());
  spec.term_only_grows = term.output->inputs[0]->append_only();
  spec.make_term = [make] {
    std::string unsupported, identity;
    return make(unsupported, identity);
  };
  identity += spec.keeps_copies ? "all" : "";
  identity += spec.inputs_only_grow ? "+" : "-";
  bool starts_again = !spec.keeps_copies && !(spec.inputs_only_grow && spec.term_only_grows);
  auto recursion = MakeRecursion(std::move(spec));
  if (starts_again) {
    recursion->upkeep.Add(Upkeep::Rung::kRecomputed,
                          "rows of its input go: when one does, the recursion is computed again "
                          "from its beginning",
                          "With UNION ALL and a bound on the rounds, a row that goes takes with it "
                          "what came of it.");
  }
  for (auto& inner : term.circuit->operators()) recursion->upkeep.Add(inner->upkeep);
  auto* op = Add(std::move(recursion), inputs, identity, Describe(node));
  return {op, Identity(op->types().size())};
}

SourceOperator* CircuitBuilder::AddSource(const std::string& name, const Named& named) {
  std::string identity = named.identity;
  if (auto& watermark = named.watermark) {
    identity += "/" + std::to_string(watermark->column) + "-" + std::to_string(watermark->delay) +
                "~" + (watermark->idle_timeout ? std::to_string(*watermark->idle_timeout) : "");
  }
  auto* op = Add(std::make_unique<SourceOperator>(named.identity, named.stream_types,
                                                  named.stream_names, named.watermark),
                 {}, identity, name);
  if (!named.append_only) op->SetAppendOnly(false);
  return static_cast<SourceOperator*>(op);
}

CircuitBuilder::Built CircuitBuilder::Top(const PlanNode& node) {
  Operator* input = Dense(Visit(*node.inputs[0]), node.inputs[0]->types);
  std::string identity;
  for (auto& key : node.order) {
    identity += Fingerprint(*key.by) + (key.descending ? "d" : "a") + (key.nulls_first ? "f" : "l");
  }
  identity +=
      (node.limit ? std::to_string(*node.limit) : "all") + "+" + std::to_string(node.offset);
  auto* op =
      Add(MakeTop(session_, node.order, node.limit, node.offset, node.types, input->append_only()),
          {input}, identity, Describe(node));
  return {op, Identity(op->types().size())};
}

CircuitBuilder::Built CircuitBuilder::Constant(const PlanNode& node) {
  std::string identity;
  for (auto& row : node.rows) {
    for (auto& value : row) identity += value.ToSQLString() + ",";
    identity += ";";
  }
  auto* op = Add(MakeConstant(node.types, node.rows), {}, identity, "");
  return {op, Identity(op->types().size())};
}

}  // namespace weir
