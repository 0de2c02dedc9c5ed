// Joins that only ask whether a row is above or below something: marks them (JoinCall::threshold),
// so that they need not make a pair of each row with it (flow/operators/threshold.cc).
//
// Such are inner joins with one comparison of the two sides beside their keys, where nobody reads
// the columns of one side, and this has at most one row a key: what is left of a comparison with a
// scalar subquery, correlated or not.
#include <map>
#include <set>

#include "duck/plan/plan_rewrites.h"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {
namespace {

using duckdb::ExpressionClass;
using duckdb::ExpressionType;
using Used = std::vector<bool>;  // by column

void AddColumnsOf(const duckdb::Expression& expression, Used& used) {
  if (expression.GetExpressionClass() == ExpressionClass::BOUND_REF) {
    size_t column = expression.Cast<duckdb::BoundReferenceExpression>().index;
    if (column >= used.size()) used.resize(column + 1);
    used[column] = true;
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const duckdb::Expression& child) { AddColumnsOf(child, used); });
}
void AddColumnsOf(const std::vector<ExpressionPtr>& expressions, Used& used) {
  for (auto& expression : expressions) AddColumnsOf(*expression, used);
}

// The side of a join whose columns an expression over both has; nothing: both, or none.
std::optional<size_t> SideOf(const duckdb::Expression& expression, size_t left_width) {
  Used used;
  AddColumnsOf(expression, used);
  bool has[2] = {};
  for (size_t i = 0; i < used.size(); i++) {
    if (used[i]) has[i < left_width ? 0 : 1] = true;
  }
  if (has[0] == has[1]) return std::nullopt;
  return has[0] ? 0 : 1;
}

// What a node's readers read of it, and it of its inputs.
class Reads {
 public:
  explicit Reads(const std::shared_ptr<PlanNode>& root) {
    Order(root.get());
    of_[root.get()].assign(root->types.size(), true);
    for (auto node = order_.rbegin(); node != order_.rend(); ++node) Visit(**node);
  }
  const Used& Of(const PlanNode& node) const { return of_.at(&node); }
  size_t ReadersOf(const PlanNode& node) const { return readers_.at(&node); }
  const std::vector<PlanNode*>& nodes() const { return order_; }  // inputs first

 private:
  void Order(PlanNode* node) {
    if (!seen_.insert(node).second) return;
    for (auto& input : node->inputs) {
      readers_[input.get()]++;
      Order(input.get());
    }
    order_.push_back(node);
  }
  Used& Input(const PlanNode& node, size_t input) {
    auto& columns = of_[node.inputs[input].get()];
    columns.resize(node.inputs[input]->types.size());
    return columns;
  }
  void Visit(const PlanNode& node) {
    auto& own = of_[&node];
    own.resize(node.types.size());
    switch (node.kind) {
      case PlanNode::Kind::kFilter: {
        auto& input = Input(node, 0);
        for (size_t i = 0; i < own.size(); i++) input[i] = input[i] || own[i];
        return AddColumnsOf(node.expressions, input);
      }
      case PlanNode::Kind::kProject:
        for (size_t i = 0; i < own.size(); i++) {
          if (own[i]) AddColumnsOf(*node.expressions[i], Input(node, 0));
        }
        return;
      case PlanNode::Kind::kAggregate:
        AddColumnsOf(node.groups, Input(node, 0));
        for (auto& call : node.aggregates) {
          AddColumnsOf(call.arguments, Input(node, 0));
          if (call.filter) AddColumnsOf(*call.filter, Input(node, 0));
        }
        return;
      case PlanNode::Kind::kJoin: return VisitJoin(node, own);
      default:
        for (size_t i = 0; i < node.inputs.size(); i++) {
          Input(node, i).assign(node.inputs[i]->types.size(), true);
        }
    }
  }
  void VisitJoin(const PlanNode& node, const Used& own) {
    size_t left_width = node.inputs[0]->types.size();
    Used both(left_width + node.inputs[1]->types.size() + 1);  // and a mark
    for (size_t i = 0; i < own.size(); i++) {
      bool is_mark = node.join.kind == JoinKind::kMark && node.join.columns[i] == left_width;
      if (own[i] && !is_mark) both[node.join.columns[i]] = true;
    }
    if (node.join.condition) AddColumnsOf(*node.join.condition, both);
    for (size_t side : {0, 1}) {
      auto& input = Input(node, side);
      for (size_t i = 0; i < input.size(); i++) {
        input[i] = input[i] || both[(side ? left_width : 0) + i];
      }
      AddColumnsOf(side ? node.join.right_keys : node.join.left_keys, input);
    }
  }

  std::set<PlanNode*> seen_;
  std::vector<PlanNode*> order_;
  std::map<const PlanNode*, size_t> readers_;
  std::map<const PlanNode*, Used> of_;
};

// Whether no two rows of a node have the same values of some of its columns.
bool IsUniqueBy(const PlanNode& node, std::set<size_t> columns) {
  switch (node.kind) {
    case PlanNode::Kind::kFilter: return IsUniqueBy(*node.inputs[0], std::move(columns));
    case PlanNode::Kind::kProject: {
      std::set<size_t> below;
      for (size_t column : columns) {
        if (auto of = AsColumn(node.expressions[column])) below.insert(*of);
      }
      return IsUniqueBy(*node.inputs[0], std::move(below));
    }
    case PlanNode::Kind::kAggregate: {
      if (node.grouping_sets.size() > 1) return false;
      for (size_t i = 0; i < node.groups.size(); i++) {
        if (!columns.contains(i)) return false;
      }
      return true;
    }
    default: return false;
  }
}

bool HasOneRowAKey(const PlanNode& join, size_t side) {
  std::set<size_t> columns;
  for (auto& key : side ? join.join.right_keys : join.join.left_keys) {
    if (auto column = AsColumn(key)) columns.insert(*column);
  }
  return IsUniqueBy(*join.inputs[side], std::move(columns));
}

// NULL whenever some column is.
bool IsStrict(const duckdb::Expression& expression) {
  switch (expression.GetExpressionClass()) {
    case ExpressionClass::BOUND_REF: return true;
    case ExpressionClass::BOUND_CAST:
      return IsStrict(*expression.Cast<duckdb::BoundCastExpression>().child);
    case ExpressionClass::BOUND_FUNCTION: {
      auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
      if (call.function.GetNullHandling() != duckdb::FunctionNullHandling::DEFAULT_NULL_HANDLING) {
        return false;
      }
      for (auto& child : call.children) {
        if (!child->IsFoldable() && !IsStrict(*child)) return false;
      }
      return true;
    }
    default: return false;
  }
}

// A comparison of the two sides of a join that is not true where one is NULL, as those are that
// stand in for a partner.
const duckdb::BoundComparisonExpression* AsComparison(const duckdb::Expression& expression,
                                                      size_t left_width) {
  switch (expression.type) {
    case ExpressionType::COMPARE_LESSTHAN:
    case ExpressionType::COMPARE_LESSTHANOREQUALTO:
    case ExpressionType::COMPARE_GREATERTHAN:
    case ExpressionType::COMPARE_GREATERTHANOREQUALTO: break;
    default: return nullptr;
  }
  auto& comparison = expression.Cast<duckdb::BoundComparisonExpression>();
  auto first = SideOf(*comparison.left, left_width), second = SideOf(*comparison.right, left_width);
  return first && second && *first != *second ? &comparison : nullptr;
}

// A filter above a join that compares the left side with the one row of the right side that has
// its key, if any: where there is none it does not hold, so that it may as well stand in the join,
// and this be an inner one.  Projections between the two only pick columns.
class FilterAboveJoin {
 public:
  FilterAboveJoin(PlanNode& filter, const Reads& reads) : filter_(filter) {
    PlanNode* node = filter.inputs[0].get();
    for (size_t i = 0; i < node->types.size(); i++) columns_.push_back(i);
    while (node->kind == PlanNode::Kind::kProject && reads.ReadersOf(*node) == 1) {
      for (size_t& column : columns_) {
        auto of = AsColumn(node->expressions[column]);
        if (!of) return;
        column = *of;
      }
      node = node->inputs[0].get();
    }
    if (reads.ReadersOf(*node) > 1 || !CanTake(*node)) return;
    for (size_t& column : columns_) column = node->join.columns[column];
    join_ = node;
  }

  void MoveComparison() {
    if (!join_) return;
    size_t left_width = join_->inputs[0]->types.size();
    for (size_t i = 0; i < filter_.expressions.size(); i++) {
      Used used(left_width + join_->inputs[1]->types.size());
      auto moved = MoveColumns(filter_.expressions[i], columns_, used);
      auto* comparison = AsComparison(*moved, left_width);
      if (!comparison) continue;
      bool is_first = SideOf(*comparison->left, left_width) == 1;
      if (!IsStrict(is_first ? *comparison->left : *comparison->right)) continue;
      join_->join.kind = JoinKind::kInner;
      join_->join.condition = moved;
      filter_.expressions.erase(filter_.expressions.begin() + static_cast<ptrdiff_t>(i));
      return;
    }
  }

 private:
  static bool CanTake(const PlanNode& node) {
    auto kind = node.join.kind;
    bool is_kind = kind == JoinKind::kInner || kind == JoinKind::kLeft || kind == JoinKind::kSingle;
    return node.kind == PlanNode::Kind::kJoin && is_kind && !node.join.condition &&
           HasOneRowAKey(node, 1);
  }

  PlanNode& filter_;
  std::vector<size_t> columns_;  // where those of the filter stand among both sides'
  PlanNode* join_ = nullptr;
};

ExpressionPtr OfSide(const duckdb::Expression& expression, size_t side, const PlanNode& join) {
  size_t left_width = join.inputs[0]->types.size();
  std::vector<size_t> columns(left_width + join.inputs[1]->types.size());
  for (size_t i = 0; i < columns.size(); i++) columns[i] = i - (i < left_width ? 0 : left_width);
  std::vector<bool> used(join.inputs[side]->types.size());
  return MoveColumns(ExpressionPtr(expression.Copy().release()), columns, used);
}

void MarkThreshold(PlanNode& join, const Used& read) {
  auto& call = join.join;
  if (call.kind != JoinKind::kInner || !call.condition) return;
  size_t left_width = join.inputs[0]->types.size();
  auto* comparison = AsComparison(*call.condition, left_width);
  if (!comparison) return;
  bool reads[2] = {};
  for (size_t i = 0; i < call.columns.size(); i++) {
    if (read[i]) reads[call.columns[i] < left_width ? 0 : 1] = true;
  }
  size_t hidden = reads[1] ? 0 : 1;
  if (reads[hidden] || !HasOneRowAKey(join, hidden)) return;
  bool shown_first = SideOf(*comparison->left, left_width) == 1 - hidden;
  bool is_less = comparison->type == ExpressionType::COMPARE_LESSTHAN ||
                 comparison->type == ExpressionType::COMPARE_LESSTHANOREQUALTO;
  JoinThreshold threshold;
  threshold.side = hidden;
  threshold.rows = OfSide(shown_first ? *comparison->left : *comparison->right, 1 - hidden, join);
  threshold.threshold = OfSide(shown_first ? *comparison->right : *comparison->left, hidden, join);
  threshold.below = is_less == shown_first;
  threshold.or_equal = comparison->type == ExpressionType::COMPARE_LESSTHANOREQUALTO ||
                       comparison->type == ExpressionType::COMPARE_GREATERTHANOREQUALTO;
  call.threshold = std::move(threshold);
}

// What nobody reads is not computed; its column stays.
void DropUnread(PlanNode& project, const Used& read) {
  for (size_t i = 0; i < read.size(); i++) {
    if (!read[i]) project.expressions[i] = ConstantValue(duckdb::Value(project.types[i]));
  }
}

}  // namespace

void MarkThresholds(const std::shared_ptr<PlanNode>& root) {
  {
    Reads reads(root);
    for (PlanNode* node : reads.nodes()) {
      if (node->kind == PlanNode::Kind::kFilter) FilterAboveJoin(*node, reads).MoveComparison();
    }
  }
  Reads reads(root);
  for (PlanNode* node : reads.nodes()) {
    if (node->kind == PlanNode::Kind::kJoin) MarkThreshold(*node, reads.Of(*node));
    if (node->kind == PlanNode::Kind::kProject) DropUnread(*node, reads.Of(*node));
  }
}

}  // namespace weir
