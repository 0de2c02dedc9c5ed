// The expansion of SESSION (sql/window_functions.cc) as one operator.
#include <optional>

#include "duck/plan/translator.h"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionType;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;

// What a column within the expansion of SESSION (sql/window_functions.cc) is: a column of its
// input, or one of these.
constexpr size_t kLag = SIZE_MAX, kBegins = SIZE_MAX - 1, kStart = SIZE_MAX - 2,
                 kEnd = SIZE_MAX - 3;
using Meanings = std::vector<size_t>;

const duckdb::BoundWindowExpression& WindowAt(const LogicalOperator& op, size_t i) {
  return op.expressions[i]->Cast<duckdb::BoundWindowExpression>();
}

bool IsMaximum(const duckdb::BoundWindowExpression& call) {
  return call.type == ExpressionType::WINDOW_AGGREGATE && call.aggregate->name == "max" &&
         call.children.size() == 1 && !call.filter_expr && !call.distinct;
}

// The interval with which `time - lag` is compared.
std::optional<duckdb::interval_t> GapIn(const Expression& expression) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_CONSTANT &&
      expression.return_type.id() == duckdb::LogicalTypeId::INTERVAL) {
    return expression.Cast<duckdb::BoundConstantExpression>().value.GetValue<duckdb::interval_t>();
  }
  std::optional<duckdb::interval_t> found;
  duckdb::ExpressionIterator::EnumerateChildren(expression, [&](const Expression& child) {
    if (auto gap = GapIn(child)) found = gap;
  });
  return found;
}

// From the innermost window, a LAG, to `ends`; nothing when that is no chain of a session.
std::vector<LogicalOperator*> ChainTo(LogicalOperator& ends) {
  constexpr size_t kLongest = 6;
  std::vector<LogicalOperator*> chain;
  for (LogicalOperator* op = &ends;;) {
    chain.insert(chain.begin(), op);
    if (op->type == LogicalOperatorType::LOGICAL_WINDOW &&
        WindowAt(*op, 0).type == ExpressionType::WINDOW_LAG) {
      return chain;
    }
    if (op->children.size() != 1) return {};
    op = op->children[0].get();
    bool known = op->type == LogicalOperatorType::LOGICAL_WINDOW ||
                 op->type == LogicalOperatorType::LOGICAL_PROJECTION;
    if (!known || chain.size() > kLongest) return {};
  }
}

}  // namespace

// The expansion of SESSION as one operator; null for other windows.  It is told by the name of
// its inner column, and taken only when every column in it is understood.
NodePtr Translator::Sessions(duckdb::LogicalWindow& ends) {
  auto chain = ChainTo(ends);
  if (chain.empty()) return nullptr;
  auto& lag = WindowAt(*chain[0], 0);
  if (chain[0]->expressions.size() != 1 || lag.orders.size() != 1 || lag.children.size() != 1) {
    return nullptr;
  }
  auto& input = *chain[0]->children[0];
  Meanings meanings(input.types.size());
  for (size_t i = 0; i < meanings.size(); i++) meanings[i] = i;
  SessionCall call;
  std::optional<duckdb::interval_t> gap;
  meanings.push_back(kLag);
  for (size_t at = 1; at < chain.size(); at++) {
    auto& op = *chain[at];
    if (op.type == LogicalOperatorType::LOGICAL_PROJECTION) {
      Meanings projected;
      for (auto& expression : op.expressions) {
        if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF) {
          projected.push_back(
              meanings.at(expression->Cast<duckdb::BoundReferenceExpression>().index));
        } else if (expression->GetAlias() == "weir_begins" && !gap) {
          gap = GapIn(*expression);
          projected.push_back(kBegins);
        } else {
          return nullptr;
        }
      }
      meanings = std::move(projected);
      continue;
    }
    bool last = op.expressions.size() > 0 && &op == &ends;
    for (size_t i = 0; i < op.expressions.size(); i++) {
      auto& window = WindowAt(op, i);
      bool fits = IsMaximum(window) && window.orders.empty() == last && gap &&
                  window.partitions.size() == lag.partitions.size() + (last ? 1 : 0);
      if (!fits || (!last && op.expressions.size() != 1)) return nullptr;
    }
    meanings.insert(meanings.end(), op.expressions.size(), last ? kEnd : kStart);
  }
  auto type = lag.children[0]->return_type.id();
  bool is_micros =
      type == duckdb::LogicalTypeId::TIMESTAMP || type == duckdb::LogicalTypeId::TIMESTAMP_TZ;
  if (!gap || gap->months != 0 || !is_micros) return nullptr;
  call.gap = gap->days * duckdb::Interval::MICROS_PER_DAY + gap->micros;
  for (auto& partition : lag.partitions) call.groups.push_back(CopyOf(*partition));
  call.time = CopyOf(*lag.children[0]);

  auto node = Make(PlanNode::Kind::kSession, input);
  size_t start = node->types.size();
  node->types.insert(node->types.end(), 2, lag.children[0]->return_type);
  node->session = std::move(call);
  node->inputs.push_back(Visit(input));
  auto project = Make(PlanNode::Kind::kProject, ends);
  for (size_t i = 0; i < meanings.size(); i++) {
    size_t column = meanings[i] == kStart ? start : meanings[i] == kEnd ? start + 1 : meanings[i];
    if (column > start + 1) return nullptr;
    project->expressions.push_back(ColumnReference(column, ends.types[i]));
  }
  project->inputs.push_back(std::move(node));
  return project;
}

}  // namespace weir
