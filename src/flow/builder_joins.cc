// Joins: which indexes they look up partners in, and who shares them.
//
// A join's sides are indexes over kept rows.  Whoever needs the same rows by the same key has the
// same index, and whoever needs them by another key has the same rows; a join that keeps something
// beside each row has rows and index of its own.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "flow/builder.h"
#include "flow/operators/joins.h"

namespace weir {

// The columns a join needs of an input, each once and in the order in which they stand there: it
// does not matter to who shares its rows in which order a query has them.
CircuitBuilder::Built CircuitBuilder::JoinInput(const PlanNode& node) {
  Built built = Visit(node);
  auto kept = built.columns;
  std::sort(kept.begin(), kept.end());
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
  RowTypes types;
  for (size_t column : kept) types.push_back(built.op->types()[column]);
  std::vector<size_t> columns;
  for (size_t column : built.columns) {
    auto place = std::lower_bound(kept.begin(), kept.end(), column);
    columns.push_back(static_cast<size_t>(place - kept.begin()));
  }
  return {Dense({built.op, kept}, types), columns};
}

// `owner`: whose own they are; "" when others may use them.
// `over`: by when rows are forgotten, if ever.
Operator* CircuitBuilder::AddRows(Operator* input, const std::string& owner,
                                  const std::optional<Bound>& over) {
  if (!over) {
    return Add(std::make_unique<InputRows>(input->types(), input->append_only()), {input}, owner,
               "");
  }
  auto made = std::make_unique<InputRows>(input->types(), session_, over->expiry);
  made->upkeep.Add(Upkeep::Rung::kClosedForm, "a row is forgotten once the watermark of stream " +
                                                  over->stream +
                                                  " says that it will meet no partner any more");
  return Add(
      std::move(made), {input, over->watermark},
      owner + "/" + Fingerprint(*over->expiry.end) + "+" + std::to_string(over->expiry.lateness),
      "");
}

Operator* CircuitBuilder::AddIndex(Operator* input, const std::vector<ExpressionPtr>& keys,
                                   std::string detail, const std::string& owner,
                                   const std::optional<Bound>& over) {
  Operator* rows = AddRows(input, owner, over);
  bool rows_go = over || !input->append_only();
  std::string identity = owner + "/" + Fingerprint(keys);
  return Add(std::make_unique<Arrangement>(session_, keys, input->types(), rows_go), {rows},
             identity, std::move(detail));
}

// A join that only asks which rows are above a threshold; nothing where it asks for more.
std::optional<CircuitBuilder::Built> CircuitBuilder::Threshold(const PlanNode& node) {
  auto& call = node.join;
  if (!call.threshold) return std::nullopt;
  auto& asked = *call.threshold;
  CHECK(asked.side <= 1 && call.kind == JoinKind::kInner);
  bool can =
      OrderedValues::CanBeOf(TypeOf(asked.rows)) && TypeOf(asked.rows) == TypeOf(asked.threshold);
  if (!can) return std::nullopt;
  size_t shown = 1 - asked.side;
  Built rows = JoinInput(*node.inputs[shown]);
  Built thresholds = Visit(*node.inputs[asked.side]);
  OrderedKey of_rows, of_thresholds;
  of_rows.keys = Over(rows, shown ? call.right_keys : call.left_keys);
  of_rows.value = Over(rows, asked.rows);
  of_thresholds.keys = Over(thresholds, shown ? call.left_keys : call.right_keys);
  of_thresholds.value = Over(thresholds, asked.threshold);
  of_rows.descending = of_thresholds.descending = asked.below;
  of_rows.null_is_value = of_thresholds.null_is_value = call.null_is_value;

  std::string identity = Fingerprint(of_rows.keys) + "/" + Fingerprint(*of_rows.value) +
                         (asked.below ? " desc" : " asc"),
              detail;
  for (bool null_is_value : call.null_is_value) identity += null_is_value ? "n" : "=";
  for (auto& key : of_rows.keys) detail += (detail.empty() ? "by " : ", ") + Describe(key);
  detail += (detail.empty() ? "in order of " : ", in order of ") + Describe(of_rows.value);
  bool rows_go = !rows.op->append_only();
  RowTypes types = rows.op->types();
  auto* index = Add(std::make_unique<OrderedIndex>(session_, of_rows, types, rows_go),
                    {AddRows(rows.op, "", std::nullopt)}, identity, std::move(detail));
  identity = Fingerprint(of_thresholds.keys) + "/" + Fingerprint(*of_thresholds.value) +
             (asked.or_equal ? " or equal" : "");
  bool append_only = rows.op->append_only() && thresholds.op->append_only();
  auto* op = Add(MakeThreshold(session_, {of_thresholds, asked.or_equal}, types, append_only),
                 {index, thresholds.op}, identity, Describe(node));
  std::vector<size_t> columns;
  size_t left_width = node.inputs[0]->types.size();
  for (size_t column : call.columns) {
    bool is_shown = (column < left_width) == (shown == 0);
    // Nobody looks at the others.
    columns.push_back(is_shown ? rows.columns.at(column - (shown ? left_width : 0)) : 0);
  }
  return Built{op, columns};
}

CircuitBuilder::Built CircuitBuilder::Join(const PlanNode& node) {
  // A join of many inputs asks for rows as long as any of its inputs may bring a partner's partner.
  bool rows_end = RowsEnd(node);
  if (!rows_end) {
    if (auto threshold = Threshold(node)) return *threshold;
    if (auto at_once = DeltaJoin(node)) return *at_once;
  }
  auto& call = node.join;
  CHECK(call.left_keys.size() == call.right_keys.size());
  CHECK(call.left_keys.size() == call.null_is_value.size());
  Built left = JoinInput(*node.inputs[0]), right = JoinInput(*node.inputs[1]);
  std::vector<Operator*> inputs{left.op, right.op};
  size_t left_width = left.op->types().size(), right_width = right.op->types().size();
  auto moved = [](const std::vector<ExpressionPtr>& expressions, const std::vector<size_t>& columns,
                  size_t width) {
    std::vector<bool> used(width);
    std::vector<ExpressionPtr> all;
    all.reserve(expressions.size());
    for (auto& one : expressions) all.push_back(MoveColumns(one, columns, used));
    return all;
  };
  // Where the columns of both nodes, and a mark behind them, stand in the join's rows.
  std::vector<size_t> places = left.columns;
  for (size_t column : right.columns) places.push_back(left_width + column);
  bool has_mark = call.kind == JoinKind::kMark;
  JoinSpec spec;
  spec.kind = call.kind;
  spec.left = left.op->types();
  spec.right = right.op->types();
  spec.left_keys = moved(call.left_keys, left.columns, left_width);
  spec.right_keys = moved(call.right_keys, right.columns, right_width);
  spec.null_is_value = call.null_is_value;
  if (call.condition) spec.condition = moved({call.condition}, places, left_width + right_width);
  std::vector<size_t> columns;
  for (size_t column : call.columns) {
    bool is_mark = has_mark && column >= left.columns.size();
    columns.push_back(is_mark ? left_width : places.at(column));
  }
  std::string identity = std::to_string(static_cast<int>(call.kind)) + "/" +
                         Fingerprint(spec.left_keys) + "/" + Fingerprint(spec.right_keys) + "/" +
                         Fingerprint(spec.condition) + "/";
  for (bool null_is_value : call.null_is_value) identity += null_is_value ? "n" : "=";
  for (size_t side : {0, 1}) {
    spec.append_only[side] = inputs[side]->append_only();
    identity += spec.append_only[side] ? "+" : "-";
  }
  auto owner = std::hash<std::string>()(identity + "(" + inputs[0]->fingerprint + ")(" +
                                        inputs[1]->fingerprint + ")");
  for (int side : {0, 1}) {
    auto how = SideOf(spec, side);
    if (how == JoinSide::kCounted) continue;
    bool is_own = how == JoinSide::kOwn;
    auto& keys = side == 0 ? spec.left_keys : spec.right_keys;
    std::string detail;
    for (auto& key : keys) detail += (detail.empty() ? "by " : ", ") + Describe(key);
    std::optional<Bound> over;
    if (spec.append_only[side]) over = EndOfPartners(node, static_cast<size_t>(side));
    if (over)
      over->expiry.end = moved({over->expiry.end}, side ? right.columns : left.columns,
                               side ? right_width : left_width)[0];
    inputs[side] = AddIndex(inputs[side], keys, detail.empty() ? "of all rows" : detail,
                            is_own ? fmt::format("{:016x} {}", owner, side) : "", over);
  }
  auto* op = Add(MakeJoin(session_, spec), std::move(inputs), identity, Describe(node));
  return {op, columns};
}

}  // namespace weir
