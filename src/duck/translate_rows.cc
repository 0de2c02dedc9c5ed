// Operators on one row after the other: sources, filters, projections, unnest, UNION ALL.
#include "duck/clock_functions.h"
#include "duck/translator.h"
#include "duckdb/planner/expression/bound_unnest_expression.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::LogicalOperator;

}  // namespace

NodePtr Translator::Get(duckdb::LogicalGet& get) {
  auto scan = AsSourceScan(get);
  if (!scan) return TableFunction(get);
  auto node = Make(PlanNode::Kind::kSource, get);
  node->scan = std::move(*scan);
  return node;
}

NodePtr Translator::Filter(duckdb::LogicalFilter& filter) {
  duckdb::LogicalFilter::SplitPredicates(filter.expressions);
  NodePtr input = GroupTop(filter);
  if (!input) input = Visit(*filter.children[0]);
  auto node = Make(PlanNode::Kind::kFilter, filter);
  node->types = input->types;
  std::vector<const Expression*> on_clock;
  for (auto& expression : filter.expressions) {
    if (IsUndetermined(*expression)) return Unsupported(filter, "a random value");
    if (UsesClock(*expression)) {
      on_clock.push_back(expression.get());
    } else {
      node->expressions.push_back(CopyOf(*expression));
    }
  }
  NodePtr result = input;
  if (!node->expressions.empty()) {
    node->inputs.push_back(std::move(input));
    result = node;
  }
  for (auto* expression : on_clock) {
    result = ClockPredicates(result, *expression);
    if (!result) {
      return Unsupported(filter, "the clock inside \"" + expression->ToString() + "\"",
                         "Compare an expression of the row with one of the clock alone, as in "
                         "ts > now() - INTERVAL 1 HOUR.");
    }
  }
  if (filter.projection_map.empty()) return result;
  auto kept = Make(PlanNode::Kind::kProject, filter);
  for (auto column : filter.projection_map) {
    kept->expressions.push_back(ColumnReference(column, result->types[column]));
  }
  kept->inputs.push_back(std::move(result));
  return kept;
}

NodePtr Translator::Project(LogicalOperator& op) {
  auto node = Make(PlanNode::Kind::kProject, op);
  for (auto& expression : op.expressions) {
    if (UsesClock(*expression)) {
      return Unsupported(op, "the clock in the SELECT list",
                         "Move now() into a filter, or into the query that reads the view.");
    }
    if (IsUndetermined(*expression)) return Unsupported(op, "a random value");
    node->expressions.push_back(CopyOf(*expression));
  }
  node->inputs.push_back(Visit(*op.children[0]));
  return node;
}

NodePtr Translator::Unnest(LogicalOperator& op) {
  auto node = Make(PlanNode::Kind::kUnnest, op);
  for (auto& expression : op.expressions) {
    if (expression->GetExpressionClass() != duckdb::ExpressionClass::BOUND_UNNEST) {
      return Unsupported(op, "an unusual UNNEST");
    }
    node->expressions.push_back(CopyOf(*expression->Cast<duckdb::BoundUnnestExpression>().child));
  }
  node->inputs.push_back(Visit(*op.children[0]));
  return node;
}

NodePtr Translator::Union(duckdb::LogicalSetOperation& op) {
  auto node = Make(PlanNode::Kind::kUnionAll, op);
  for (auto& child : op.children) node->inputs.push_back(Visit(*child));
  if (op.setop_all) return node;
  auto distinct = std::make_shared<PlanNode>();
  distinct->kind = PlanNode::Kind::kDistinct;
  distinct->types = node->types;
  distinct->inputs.push_back(node);
  return distinct;
}

}  // namespace weir
