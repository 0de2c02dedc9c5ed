// Window functions, the best way for each of them; what DuckDB's batch operators compute again for
// touched partitions or keys: the other window functions, ASOF joins.
#include <algorithm>

#include "duck/batch_plan.h"
#include "duck/functions/clock_functions.h"
#include "duck/functions/exact_sums.h"
#include "duck/plan/translator.h"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;

}  // namespace

NodePtr Translator::Batch(std::unique_ptr<LogicalOperator> root, std::string name,
                          std::vector<NodePtr> inputs, std::vector<duckdb::LogicalType> types) {
  auto pattern = std::make_shared<BatchPattern>();
  UseExactSums(*root);
  pattern->identity = IdentityOf(*root);
  pattern->root = std::move(root);
  pattern->name = std::move(name);
  for (auto& input : inputs) pattern->inputs.push_back(input->types);
  pattern->types = types;
  auto node = std::make_shared<PlanNode>();
  node->kind = PlanNode::Kind::kBatch;
  node->types = std::move(types);
  node->batch.pattern = std::move(pattern);
  node->batch.keys.resize(inputs.size());
  node->inputs = std::move(inputs);
  return node;
}

namespace {

// How the window functions of a query are kept, the best first: running ones stand below the
// others, so that rows that only come stay rows that only come.
constexpr int kRunningByRows = 0, kRunningByPeers = 1, kFramed = 2, kWhole = 3, kPartition = 4;

int KindOf(const duckdb::BoundWindowExpression& window) {
  bool peers_share = false;
  if (AsRunning(window, peers_share)) return peers_share ? kRunningByPeers : kRunningByRows;
  if (AsWhole(window)) return kWhole;
  FrameReach reach;
  return AddReach(window, reach) ? kFramed : kPartition;
}

// Functions with equal texts here share a node.
std::string GroupOf(const duckdb::BoundWindowExpression& window, int kind) {
  std::string text;
  for (auto& partition : window.partitions) text += partition->ToString() + ",";
  if (kind == kWhole || kind == kPartition) return text;
  text += "/";
  for (auto& order : window.orders) text += order.ToString() + ",";
  return text;
}

}  // namespace

// Arguments that are more than a column are computed below, where a row that one fails on is a
// failed row by itself and not the failure of a partition.
NodePtr Translator::WindowArguments(duckdb::LogicalWindow& op, NodePtr node) {
  auto project = std::make_shared<PlanNode>();
  project->kind = PlanNode::Kind::kProject;
  project->types = node->types;
  for (size_t i = 0; i < node->types.size(); i++) {
    project->expressions.push_back(ColumnReference(i, node->types[i]));
  }
  auto take = [&](duckdb::unique_ptr<Expression>& expression) {
    if (!expression || expression->IsFoldable()) return;
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF) return;
    auto place = project->types.size();
    auto type = expression->return_type;
    project->types.push_back(type);
    project->expressions.push_back(Own(std::move(expression)));
    expression = duckdb::make_uniq<duckdb::BoundReferenceExpression>(type, place);
  };
  for (auto& expression : op.expressions) {
    auto& window = expression->Cast<duckdb::BoundWindowExpression>();
    for (auto& child : window.children) take(child);
    for (auto& partition : window.partitions) take(partition);
    for (auto& order : window.orders) take(order.expression);
    for (auto& order : window.arg_orders) take(order.expression);
    for (auto* one : {&window.filter_expr, &window.start_expr, &window.end_expr,
                      &window.offset_expr, &window.default_expr}) {
      take(*one);
    }
  }
  if (project->types.size() == node->types.size()) return node;
  project->inputs.push_back(std::move(node));
  return project;
}

NodePtr Translator::WindowGroup(const std::vector<const duckdb::BoundWindowExpression*>& windows,
                                int kind, const std::string& name, NodePtr input) {
  if (kind == kPartition) return BatchWindows(windows, name, std::move(input));
  auto node = std::make_shared<PlanNode>();
  node->kind = PlanNode::Kind::kWindow;
  node->types = input->types;
  auto& call = node->window;
  call.name = name;
  for (auto& partition : windows[0]->partitions) call.partitions.push_back(CopyOf(*partition));
  call.order = SortKeys(windows[0]->orders);
  for (auto* window : windows) {
    node->types.push_back(window->return_type);
    if (kind == kFramed) {
      AddReach(*window, call.reach);
    } else {
      call.running.push_back(*AsRunning(*window, call.peers_share));
    }
  }
  if (kind == kFramed) call.pattern = FramedPattern(windows, input->types);
  node->inputs.push_back(std::move(input));
  return node;
}

namespace {

ExpressionPtr Named(std::string name, const duckdb::LogicalType& type, size_t column) {
  return Own(duckdb::make_uniq<duckdb::BoundReferenceExpression>(std::move(name), type, column));
}

}  // namespace

// Aggregates of whole partitions: the rows joined with their group's.  `input` may have the results
// of other window functions behind the columns of `rows`: no aggregate changes with those.
NodePtr Translator::WholePartitions(
    const std::vector<const duckdb::BoundWindowExpression*>& windows, const NodePtr& rows,
    NodePtr input) {
  auto groups = std::make_shared<PlanNode>();
  groups->kind = PlanNode::Kind::kAggregate;
  groups->inputs.push_back(rows);
  auto node = std::make_shared<PlanNode>();
  node->kind = PlanNode::Kind::kJoin;
  node->types = input->types;
  auto& join = node->join;
  for (auto& partition : windows[0]->partitions) {
    join.left_keys.push_back(CopyOf(*partition));
    join.right_keys.push_back(
        Named(Describe(join.left_keys.back()), partition->return_type, groups->groups.size()));
    join.null_is_value.push_back(true);
    groups->groups.push_back(CopyOf(*partition));
    groups->types.push_back(partition->return_type);
  }
  size_t first = input->types.size() + groups->groups.size();
  for (size_t i = 0; i < input->types.size(); i++) join.columns.push_back(i);
  for (auto* window : windows) {
    groups->aggregates.push_back(*AsWhole(*window));
    groups->types.push_back(window->return_type);
    join.columns.push_back(first++);
    node->types.push_back(window->return_type);
  }
  node->inputs = {std::move(input), std::move(groups)};
  return node;
}

NodePtr Translator::BatchWindows(const std::vector<const duckdb::BoundWindowExpression*>& windows,
                                 const std::string& name, NodePtr node) {
  auto part = std::make_unique<duckdb::LogicalWindow>(0);
  part->children.push_back(duckdb::unique_ptr<LogicalOperator>(MakePlace(0).release()));
  std::vector<duckdb::LogicalType> types = node->types;
  for (auto* window : windows) {
    types.push_back(window->return_type);
    part->expressions.push_back(window->Copy());
  }
  node = Batch(std::move(part), "window " + name, {node}, std::move(types));
  for (auto& partition : windows[0]->partitions) {
    node->batch.keys[0].push_back(CopyOf(*partition));
    node->batch.output_keys.push_back(CopyOf(*partition));
  }
  if (windows[0]->partitions.empty()) {
    node->reason = "this window function without PARTITION BY is computed again over all rows";
    node->hint = "With PARTITION BY only the partitions that changed are.";
  } else {
    node->reason = "this window function is computed again over the partitions that changed";
    node->hint =
        "A frame with two ends that are so many rows or values away is kept by the rows it "
        "reaches; where only the first rows of each matter, QUALIFY row_number() OVER (...) <= n "
        "keeps no more than those.";
  }
  return node;
}

// One node for each way of keeping, partition and order; each adds its columns.
NodePtr Translator::Window(duckdb::LogicalWindow& op) {
  if (auto session = Sessions(op)) return session;
  for (auto& expression : op.expressions) {
    if (UsesClock(*expression)) {
      return Unsupported(op, "the clock inside a window function",
                         "Compare with now() in a WHERE below it, or where the view is read.");
    }
    if (IsUndetermined(*expression)) return Unsupported(op, "a random value");
  }
  std::vector<std::string> names;  // as written, before arguments move
  for (auto& expression : op.expressions) names.push_back(expression->ToString());
  NodePtr node = Visit(*op.children[0]);
  size_t first = node->types.size();
  node = WindowArguments(op, std::move(node));
  NodePtr rows = node;
  std::map<std::pair<int, std::string>, std::vector<size_t>> groups;
  for (size_t i = 0; i < op.expressions.size(); i++) {
    auto& window = op.expressions[i]->Cast<duckdb::BoundWindowExpression>();
    int kind = KindOf(window);
    groups[{kind, GroupOf(window, kind)}].push_back(i);
  }
  std::vector<size_t> places(first + op.expressions.size());
  for (size_t i = 0; i < first; i++) places[i] = i;
  for (auto& [how, members] : groups) {
    std::vector<const duckdb::BoundWindowExpression*> windows;
    std::string name;
    for (size_t i : members) {
      name += (name.empty() ? "" : ", ") + names[i];
      places[first + i] = node->types.size() + windows.size();
      windows.push_back(&op.expressions[i]->Cast<duckdb::BoundWindowExpression>());
    }
    node = how.first == kWhole ? WholePartitions(windows, rows, std::move(node))
                               : WindowGroup(windows, how.first, name, std::move(node));
  }
  auto project = Make(PlanNode::Kind::kProject, op);
  for (size_t i = 0; i < places.size(); i++) {
    project->expressions.push_back(ColumnReference(places[i], op.types[i]));
  }
  project->inputs.push_back(std::move(node));
  return project;
}

NodePtr Translator::AsofJoin(duckdb::LogicalComparisonJoin& op) {
  std::vector<NodePtr> inputs;
  for (auto& child : op.children) inputs.push_back(Visit(*child));
  auto join = std::make_unique<duckdb::LogicalComparisonJoin>(
      op.join_type, LogicalOperatorType::LOGICAL_ASOF_JOIN);
  std::string name = "asof join";
  std::vector<ExpressionPtr> keys[2];
  for (auto& condition : op.conditions) {
    if (UsesClock(*condition.left) || UsesClock(*condition.right)) {
      return Unsupported(op, "the clock inside a join's condition");
    }
    if (condition.comparison == ExpressionType::COMPARE_EQUAL) {
      keys[0].push_back(CopyOf(*condition.left));
      keys[1].push_back(CopyOf(*condition.right));
    }
    name += " " + condition.left->ToString() +
            duckdb::ExpressionTypeToOperator(condition.comparison) + condition.right->ToString();
    duckdb::JoinCondition copy;
    copy.left = condition.left->Copy();
    copy.right = condition.right->Copy();
    copy.comparison = condition.comparison;
    join->conditions.push_back(std::move(copy));
  }
  if (op.predicate) join->predicate = op.predicate->Copy();
  for (size_t i = 0; i < 2; i++) {
    join->children.push_back(duckdb::unique_ptr<LogicalOperator>(MakePlace(i).release()));
  }
  join->left_projection_map = op.left_projection_map;
  join->right_projection_map = op.right_projection_map;
  bool left_stays =
      op.join_type == duckdb::JoinType::INNER || op.join_type == duckdb::JoinType::LEFT ||
      op.join_type == duckdb::JoinType::SEMI || op.join_type == duckdb::JoinType::ANTI;
  auto node = Batch(std::move(join), std::move(name), std::move(inputs),
                    {op.types.begin(), op.types.end()});
  if (left_stays && op.left_projection_map.empty() && !keys[0].empty()) {
    node->reason = "an ASOF join is computed again for the keys that changed";
    node->batch.output_keys = keys[0];
    node->batch.keys = {std::move(keys[0]), std::move(keys[1])};
  } else {
    node->reason = "this ASOF join is computed again over all rows";
    node->hint = "With an equality beside the inequality, only the keys that changed are.";
  }
  return node;
}

}  // namespace weir
