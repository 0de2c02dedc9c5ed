// WITH RECURSIVE: kept by the change when the recursive term is linear in the recursion, otherwise
// computed again by DuckDB's own operator.
#include <algorithm>

#include "duck/batch_plan.h"
#include "duck/functions/clock_functions.h"
#include "duck/plan/translator.h"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::JoinType;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;

bool IsReference(const LogicalOperator& op, duckdb::idx_t cte) {
  return op.type == LogicalOperatorType::LOGICAL_CTE_REF &&
         op.Cast<duckdb::LogicalCTERef>().cte_index == cte;
}

size_t References(const LogicalOperator& op, duckdb::idx_t cte) {
  size_t count = IsReference(op, cte);
  for (auto& child : op.children) count += References(*child, cte);
  return count;
}

// Means the same outside of the recursion, and of the correlated joins (`inside`) within it.  What
// a correlated join around the whole recursion hands down is known out there.
bool IsClosed(const LogicalOperator& op, duckdb::idx_t cte, bool inside, int delim_joins = 0) {
  if (IsReference(op, cte)) return false;
  if (op.type == LogicalOperatorType::LOGICAL_DELIM_GET && delim_joins == 0) return !inside;
  if (op.type == LogicalOperatorType::LOGICAL_DELIM_JOIN) delim_joins++;
  return std::all_of(op.children.begin(), op.children.end(),
                     [&](auto& child) { return IsClosed(*child, cte, inside, delim_joins); });
}

// What the operator says of rows together is what it says of them apart.
bool IsLinear(const LogicalOperator& op, duckdb::idx_t cte) {
  if (IsReference(op, cte)) return true;
  if (References(op, cte) == 0) return PlaceOf(op).has_value();
  switch (op.type) {
    case LogicalOperatorType::LOGICAL_PROJECTION:
    case LogicalOperatorType::LOGICAL_FILTER:
    case LogicalOperatorType::LOGICAL_UNNEST: break;
    case LogicalOperatorType::LOGICAL_UNION:
      // A row that stands outside of the recursion would come in every round.
      if (References(*op.children[0], cte) == 0 || References(*op.children[1], cte) == 0) {
        return false;
      }
      break;
    case LogicalOperatorType::LOGICAL_CROSS_PRODUCT: break;
    case LogicalOperatorType::LOGICAL_ANY_JOIN:
    case LogicalOperatorType::LOGICAL_COMPARISON_JOIN: {
      auto type = op.Cast<duckdb::LogicalJoin>().join_type;
      bool by_left = type == JoinType::LEFT || type == JoinType::SEMI || type == JoinType::ANTI ||
                     type == JoinType::MARK || type == JoinType::SINGLE;
      if (type != JoinType::INNER && !(by_left && References(*op.children[1], cte) == 0)) {
        return false;
      }
      break;
    }
    default: return false;
  }
  return std::all_of(op.children.begin(), op.children.end(),
                     [&](auto& child) { return IsLinear(*child, cte); });
}

}  // namespace

// What does not take part in the recursion is an input; the base is the first.
NodePtr Translator::Recursive(duckdb::LogicalRecursiveCTE& op) {
  std::vector<NodePtr> inputs;
  std::string obstacle;
  duckdb::vector<duckdb::unique_ptr<Expression>> keys;
  for (auto& key : op.key_targets) keys.push_back(key->Copy());
  for (auto& child : op.children) Cut(child, op.table_index, false, inputs, obstacle);
  if (!obstacle.empty()) return Unsupported(op, obstacle);
  bool linear = keys.empty() && !op.ref_recurring && PlaceOf(*op.children[0]) == 0 &&
                References(*op.children[1], op.table_index) == 1 &&
                IsLinear(*op.children[1], op.table_index);
  if (linear) {
    auto node = Make(PlanNode::Kind::kRecursion, op);
    node->recursion.keeps_copies = op.union_all;
    node->recursion.name = op.ctename;
    node->recursion.term = RecursiveTerm(op, inputs);
    node->inputs = std::move(inputs);
    return node;
  }
  auto root = std::make_unique<duckdb::LogicalRecursiveCTE>(
      op.ctename, op.table_index, op.column_count, op.union_all, std::move(keys),
      std::move(op.children[0]), std::move(op.children[1]));
  root->ref_recurring = op.ref_recurring;
  auto node = Batch(std::move(root), "recursion " + op.ctename, std::move(inputs),
                    {op.types.begin(), op.types.end()});
  node->reason = "this recursion is computed again from its beginning when its input changes";
  node->hint =
      "One that reads itself once, through joins, filters and expressions, is kept by the change.";
  return node;
}

// The term as a plan over sources: the inputs by number, and the recursion.
NodePtr Translator::RecursiveTerm(duckdb::LogicalRecursiveCTE& op,
                                  const std::vector<NodePtr>& inputs) {
  auto source = [](std::string name, const std::vector<duckdb::LogicalType>& types) {
    auto node = std::make_shared<PlanNode>();
    node->kind = PlanNode::Kind::kSource;
    node->types = types;
    node->scan.name = std::move(name);
    for (size_t i = 0; i < types.size(); i++) node->scan.columns.push_back(i);
    return node;
  };
  auto outer = std::move(places_);
  places_.clear();
  for (size_t i = 0; i < inputs.size(); i++) {
    places_.push_back(source(std::to_string(i), inputs[i]->types));
  }
  ctes_[op.table_index] = source(kRecursionSource, {op.types.begin(), op.types.end()});
  auto term = Visit(*op.children[1]);
  ctes_.erase(op.table_index);
  places_ = std::move(outer);
  return term;
}

void Translator::Cut(duckdb::unique_ptr<LogicalOperator>& op, duckdb::idx_t cte, bool inside,
                     std::vector<NodePtr>& inputs, std::string& obstacle) {
  if (IsClosed(*op, cte, inside)) {
    inputs.push_back(Visit(*op));
    op = duckdb::unique_ptr<LogicalOperator>(MakePlace(inputs.size() - 1).release());
    return;
  }
  for (auto& expression : op->expressions) {
    if (UsesClock(*expression)) obstacle = "the clock inside a recursive query";
    if (IsUndetermined(*expression)) obstacle = "a random value";
  }
  inside = inside || op->type == LogicalOperatorType::LOGICAL_DELIM_JOIN;
  for (auto& child : op->children) Cut(child, cte, inside, inputs, obstacle);
}

}  // namespace weir
