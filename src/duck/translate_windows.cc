// What DuckDB's batch operators compute again for what was touched: window functions, ASOF joins,
// recursion.
#include <algorithm>

#include "duck/batch_plan.h"
#include "duck/clock_functions.h"
#include "duck/translator.h"
#include "duckdb/planner/expression/bound_window_expression.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionType;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;

// Means the same outside of the recursion and of the joins above it.
bool IsClosed(const LogicalOperator& op, duckdb::idx_t cte, int delim_joins) {
  if (op.type == LogicalOperatorType::LOGICAL_CTE_REF &&
      op.Cast<duckdb::LogicalCTERef>().cte_index == cte) {
    return false;
  }
  if (op.type == LogicalOperatorType::LOGICAL_DELIM_GET && delim_joins == 0) return false;
  if (op.type == LogicalOperatorType::LOGICAL_DELIM_JOIN) delim_joins++;
  return std::all_of(op.children.begin(), op.children.end(),
                     [&](auto& child) { return IsClosed(*child, cte, delim_joins); });
}

}  // namespace

NodePtr Translator::Batch(std::unique_ptr<LogicalOperator> root, std::string name,
                          std::vector<NodePtr> inputs, std::vector<duckdb::LogicalType> types) {
  auto pattern = std::make_shared<BatchPattern>();
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

// One node for each list of partitions; each adds its columns.
NodePtr Translator::Window(duckdb::LogicalWindow& op) {
  if (auto session = Sessions(op)) return session;
  std::vector<std::string> partitions;  // of each expression
  for (auto& expression : op.expressions) {
    if (UsesClock(*expression)) {
      return Unsupported(op, "the clock inside a window function",
                         "Compare with now() in a WHERE below it, or where the view is read.");
    }
    if (IsUndetermined(*expression)) return Unsupported(op, "a random value");
    std::string text;
    auto& window = expression->Cast<duckdb::BoundWindowExpression>();
    for (auto& partition : window.partitions) text += partition->ToString() + ",";
    partitions.push_back(std::move(text));
  }
  NodePtr node = Visit(*op.children[0]);
  size_t first = node->types.size();
  std::vector<size_t> places(first + op.expressions.size());
  for (size_t i = 0; i < first; i++) places[i] = i;
  for (size_t i = 0; i < op.expressions.size(); i++) {
    if (std::find(partitions.begin(), partitions.begin() + i, partitions[i]) !=
        partitions.begin() + i) {
      continue;
    }
    auto part = std::make_unique<duckdb::LogicalWindow>(op.window_index);
    part->children.push_back(duckdb::unique_ptr<LogicalOperator>(MakePlace(0).release()));
    std::vector<duckdb::LogicalType> types = node->types;
    std::string name = "window";
    for (size_t j = i; j < op.expressions.size(); j++) {
      if (partitions[j] != partitions[i]) continue;
      places[first + j] = types.size();
      types.push_back(op.expressions[j]->return_type);
      name += (name == "window" ? " " : ", ") + op.expressions[j]->ToString();
      part->expressions.push_back(op.expressions[j]->Copy());
    }
    node = Batch(std::move(part), std::move(name), {node}, std::move(types));
    auto& window = op.expressions[i]->Cast<duckdb::BoundWindowExpression>();
    for (auto& partition : window.partitions) {
      node->batch.keys[0].push_back(CopyOf(*partition));
      node->batch.output_keys.push_back(CopyOf(*partition));
    }
    if (window.partitions.empty()) {
      node->reason = "a window function without PARTITION BY is computed again over all rows";
      node->hint = "With PARTITION BY only the partitions that changed are.";
    } else {
      node->reason = "window functions are computed again over the partitions that changed";
      node->hint =
          "Where only the first rows of each matter, QUALIFY row_number() OVER (...) <= n "
          "keeps no more than those.";
    }
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

// Recursion stays DuckDB's; what does not take part in it is an input.
NodePtr Translator::Recursive(duckdb::LogicalRecursiveCTE& op) {
  std::vector<NodePtr> inputs;
  std::string obstacle;
  duckdb::vector<duckdb::unique_ptr<Expression>> keys;
  for (auto& key : op.key_targets) keys.push_back(key->Copy());
  for (auto& child : op.children) Cut(child, op.table_index, inputs, obstacle);
  if (!obstacle.empty()) return Unsupported(op, obstacle);
  auto root = std::make_unique<duckdb::LogicalRecursiveCTE>(
      op.ctename, op.table_index, op.column_count, op.union_all, std::move(keys),
      std::move(op.children[0]), std::move(op.children[1]));
  root->ref_recurring = op.ref_recurring;
  auto node = Batch(std::move(root), "recursion " + op.ctename, std::move(inputs),
                    {op.types.begin(), op.types.end()});
  node->reason = "recursion is computed again from its beginning when its input changes";
  return node;
}

void Translator::Cut(duckdb::unique_ptr<LogicalOperator>& op, duckdb::idx_t cte,
                     std::vector<NodePtr>& inputs, std::string& obstacle) {
  if (IsClosed(*op, cte, 0)) {
    inputs.push_back(Visit(*op));
    op = duckdb::unique_ptr<LogicalOperator>(MakePlace(inputs.size() - 1).release());
    return;
  }
  for (auto& expression : op->expressions) {
    if (UsesClock(*expression)) obstacle = "the clock inside a recursive query";
    if (IsUndetermined(*expression)) obstacle = "a random value";
  }
  for (auto& child : op->children) Cut(child, cte, inputs, obstacle);
}

}  // namespace weir
