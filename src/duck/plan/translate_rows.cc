// Operators on one row after the other: sources, filters, projections, unnest, functions that make
// rows of a row, UNION ALL.
#include <set>

#include "duck/functions/clock_functions.h"
#include "duck/plan/event_time_functions.h"
#include "duck/plan/translator.h"
#include "duck/row_function.h"
#include "duckdb/execution/column_binding_resolver.hpp"
#include "duckdb/planner/expression/bound_case_expression.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression/bound_unnest_expression.hpp"

namespace weir {
namespace {

// A projection of a scalar subquery that is known to give one row (translate_groups.cc): it need
// not ask whether there are more.
void TakeValueOf(PlanNode& project) {
  auto& row = *project.inputs[0];
  std::vector<ExpressionPtr> values;
  for (auto& expression : project.expressions) {
    auto value = expression;
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_CASE) {
      auto& choice = expression->Cast<duckdb::BoundCaseExpression>();
      auto& then = *choice.case_checks[0].then_expr;
      bool is_check = choice.case_checks.size() == 1 &&
                      then.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION &&
                      then.Cast<duckdb::BoundFunctionExpression>().function.name == "error";
      if (is_check) value = CopyOf(*choice.else_expr);
    }
    auto column = AsColumn(value);
    if (!column) return;
    values.push_back(row.expressions[*column]);
  }
  project.expressions = std::move(values);
  auto input = row.inputs[0];
  project.inputs[0] = std::move(input);
}

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
  std::vector<const Expression*> on_clock, closed;
  for (auto& expression : filter.expressions) {
    if (AsClosed(*expression)) {
      closed.push_back(expression.get());
      continue;
    }
    if (IsUndetermined(*expression)) return Unsupported(filter, "a random value");
    if (UsesClock(*expression)) {
      on_clock.push_back(expression.get());
    } else {
      node->expressions.push_back(CopyOf(*expression));
    }
  }
  NodePtr result = input;
  if (!node->expressions.empty()) {
    bool is_join = input->kind == PlanNode::Kind::kJoin && input->join.kind == JoinKind::kInner;
    if (is_join) input = BoundByPartner(std::move(input), node->expressions);
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
  result = WindowClose(result, closed);
  if (filter.projection_map.empty()) return result;
  auto kept = Make(PlanNode::Kind::kProject, filter);
  for (auto column : filter.projection_map) {
    kept->expressions.push_back(ColumnReference(column, result->types[column]));
  }
  kept->inputs.push_back(std::move(result));
  return kept;
}

// One node for each end: of several streams the last to pass it closes the window.
NodePtr Translator::WindowClose(NodePtr input, const std::vector<const Expression*>& closed) {
  std::vector<std::string> ends;
  for (auto* predicate : closed) {
    auto one = AsClosed(*predicate);
    std::string end = Fingerprint(*one->end) + "+" + std::to_string(one->lateness);
    if (!ends.empty() && ends.back() == end) {
      input->window_close.streams.push_back(one->stream);
      continue;
    }
    ends.push_back(end);
    auto node = std::make_shared<PlanNode>();
    node->kind = PlanNode::Kind::kWindowClose;
    node->types = input->types;
    node->window_close = {one->end, one->lateness, {one->stream}};
    node->inputs.push_back(std::move(input));
    input = std::move(node);
  }
  return input;
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
  bool is_one_row =
      op.children[0]->type == duckdb::LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY &&
      node->inputs[0]->kind == PlanNode::Kind::kProject;
  if (is_one_row) TakeValueOf(*node);
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

// A table function whose arguments come from the rows beside it (LATERAL).
NodePtr Translator::OfEachRow(duckdb::LogicalGet& get) {
  // Those that say the same of the same arguments, always.
  static const std::set<std::string> known = {"range", "generate_series", "json_each", "json_tree"};
  if (!known.contains(get.function.name) || !get.function.in_out_function ||
      get.function.in_out_function_final || get.ordinality_idx.IsValid()) {
    return Unsupported(get, "the table function " + get.function.name);
  }
  auto& child = *get.children[0];
  duckdb::ColumnBindingResolver().VisitOperator(child);  // DuckDB leaves it to the physical plan
  auto input = Visit(child);
  auto arguments = Make(PlanNode::Kind::kProject, child);
  bool casts = false;
  for (size_t i = 0; i < child.types.size(); i++) {
    auto column = duckdb::make_uniq<duckdb::BoundReferenceExpression>(child.types[i], i);
    if (i < get.input_table_types.size() && get.input_table_types[i] != child.types[i]) {
      casts = true;
      arguments->types[i] = get.input_table_types[i];
      arguments->expressions.push_back(CopyOf(*duckdb::BoundCastExpression::AddCastToType(
          session_.context(), std::move(column), get.input_table_types[i])));
    } else {
      arguments->expressions.push_back(CopyOf(*column));
    }
  }
  auto node = Make(PlanNode::Kind::kRowFunction, get);
  auto function = std::make_shared<RowFunction>(get, arguments->types);
  if (casts) {
    arguments->inputs.push_back(std::move(input));
    input = std::move(arguments);
  }
  node->row_function = std::move(function);
  node->inputs.push_back(std::move(input));
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
