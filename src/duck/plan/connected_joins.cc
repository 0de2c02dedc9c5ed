// Inner joins over one another in an order in which each input is connected with those before it.
//
// DuckDB orders joins by what they cost once; of inputs of which nothing is known it may begin with
// two that only an inequality, or nothing at all, connects, and bring in last what connects them by
// equality (two dimensions of a star, before its facts).  A view keeps what stands between joins,
// so that such an order keeps a product.
//
// Only trees with a join without keys are looked at, and only those that need fewer of them in
// another order are changed.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/error.h"
#include "duck/plan/plan_rewrites.h"
#include "duck/plan/translator.h"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionType;
using Columns = std::set<size_t>;

void AddColumns(const Expression& expression, Columns& columns) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF) {
    columns.insert(expression.Cast<duckdb::BoundReferenceExpression>().index);
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const Expression& child) { AddColumns(child, columns); });
}

Columns ColumnsOf(const ExpressionPtr& expression) {
  Columns columns;
  AddColumns(*expression, columns);
  return columns;
}

bool IsIn(const Columns& some, const Columns& all) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

ExpressionPtr And(const std::vector<ExpressionPtr>& parts) {
  if (parts.empty()) return nullptr;
  if (parts.size() == 1) return parts[0];
  auto all = duckdb::make_uniq<duckdb::BoundConjunctionExpression>(ExpressionType::CONJUNCTION_AND);
  for (auto& part : parts) all->children.push_back(part->Copy());
  return Own(std::move(all));
}

// Rows of some of the tree's columns, in the order in which they stand there.
struct Part {
  NodePtr node;
  std::vector<size_t> columns;  // by position
};

// A tree of inner joins, its inputs' columns numbered through.
class Tree {
 public:
  // `shared`: nodes that others read, too; they are inputs.
  Tree(const NodePtr& root, const std::set<const PlanNode*>& shared) : shared_(shared) {
    output_ = Add(root, true);
    types_of_output_ = root->types;
  }

  // Null where the order is as good as any.
  NodePtr Connected() {
    if (keyless_ == 0 || inputs_.size() < 3) return nullptr;
    std::vector<Part> parts;
    std::vector<bool> done(inputs_.size());
    for (size_t first = 0; first < inputs_.size(); first++) {
      if (!done[first]) parts.push_back(Component(first, done));
    }
    if (parts.size() - 1 >= keyless_) return nullptr;
    Part all = std::move(parts[0]);
    for (size_t i = 1; i < parts.size(); i++) all = Join(std::move(all), std::move(parts[i]));
    CHECK(equalities_.empty());
    return Output(Filtered(std::move(all)));
  }

 private:
  struct Equality {
    std::array<ExpressionPtr, 2> sides;
    std::array<Columns, 2> columns;
    bool null_is_value;
  };
  struct Condition {
    ExpressionPtr expression;
    Columns columns;
  };

  static bool IsOfColumns(const std::vector<ExpressionPtr>& expressions) {
    return std::all_of(expressions.begin(), expressions.end(),
                       [](auto& expression) { return AsColumn(expression).has_value(); });
  }

  // A node that gives no rows but those of inner joins below it.
  bool IsOfJoins(const PlanNode& node, bool is_root = false) const {
    if (!is_root && shared_.contains(&node)) return false;
    switch (node.kind) {
      case PlanNode::Kind::kJoin: return node.join.kind == JoinKind::kInner && !node.join.threshold;
      case PlanNode::Kind::kFilter: return IsOfJoins(*node.inputs[0]);
      case PlanNode::Kind::kProject:
        return IsOfColumns(node.expressions) && IsOfJoins(*node.inputs[0]);
      default: return false;
    }
  }

  // Takes a node in; returns where its columns stand.
  std::vector<size_t> Add(const NodePtr& node, bool is_root = false) {
    if (!IsOfJoins(*node, is_root)) return AddInput(node);
    switch (node->kind) {
      case PlanNode::Kind::kJoin: return AddJoin(*node);
      case PlanNode::Kind::kFilter: {
        auto columns = Add(node->inputs[0]);
        for (auto& test : node->expressions) AddCondition(test, columns);
        return columns;
      }
      default: {
        auto below = Add(node->inputs[0]);
        std::vector<size_t> columns;
        for (auto& column : node->expressions) columns.push_back(below.at(*AsColumn(column)));
        return columns;
      }
    }
  }

  std::vector<size_t> AddJoin(const PlanNode& node) {
    auto& join = node.join;
    auto left = Add(node.inputs[0]), right = Add(node.inputs[1]);
    if (join.left_keys.empty()) keyless_++;
    for (size_t i = 0; i < join.left_keys.size(); i++) {
      Equality equality{{Moved(join.left_keys[i], left), Moved(join.right_keys[i], right)},
                        {},
                        join.null_is_value[i]};
      for (size_t side : {0, 1}) equality.columns[side] = ColumnsOf(equality.sides[side]);
      equalities_.push_back(std::move(equality));
    }
    left.insert(left.end(), right.begin(), right.end());
    if (join.condition) AddCondition(join.condition, left);
    std::vector<size_t> columns;
    for (size_t column : join.columns) columns.push_back(left.at(column));
    return columns;
  }

  std::vector<size_t> AddInput(const NodePtr& node) {
    Part input{node, {}};
    for (auto& type : node->types) {
      input.columns.push_back(types_.size());
      types_.push_back(type);
    }
    inputs_.push_back(input);
    return input.columns;
  }

  void AddCondition(const ExpressionPtr& expression, const std::vector<size_t>& columns) {
    auto moved = Moved(expression, columns);
    auto used = ColumnsOf(moved);
    conditions_.push_back({std::move(moved), std::move(used)});
  }

  ExpressionPtr Moved(const ExpressionPtr& expression, const std::vector<size_t>& columns) const {
    std::vector<bool> used(types_.size());
    return MoveColumns(expression, columns, used);
  }

  // Of an expression over the tree's columns one over a part's.
  static ExpressionPtr Over(const ExpressionPtr& expression, const std::vector<size_t>& columns) {
    std::vector<size_t> places;
    for (size_t i = 0; i < columns.size(); i++) {
      if (columns[i] >= places.size()) places.resize(columns[i] + 1, SIZE_MAX);
      places[columns[i]] = i;
    }
    std::vector<bool> used(columns.size());
    return MoveColumns(expression, places, used);
  }

  // The side of an equality that is of `one`, where the other is of `other`.
  static std::optional<size_t> SideOf(const Equality& equality, const Columns& one,
                                      const Columns& other) {
    if (equality.columns[0].empty() || equality.columns[1].empty()) return std::nullopt;
    for (size_t side : {0, 1}) {
      if (IsIn(equality.columns[side], one) && IsIn(equality.columns[1 - side], other)) return side;
    }
    return std::nullopt;
  }

  static Columns AsSet(const Part& part) { return {part.columns.begin(), part.columns.end()}; }

  // An input and all that equalities connect with it, one after the other.
  Part Component(size_t first, std::vector<bool>& done) {
    Part part = inputs_[first];
    done[first] = true;
    for (bool more = true; more;) {
      more = false;
      for (size_t next = 0; next < inputs_.size() && !more; next++) {
        if (done[next]) continue;
        auto own = AsSet(part), others = AsSet(inputs_[next]);
        more = std::any_of(equalities_.begin(), equalities_.end(), [&](auto& equality) {
          return SideOf(equality, own, others).has_value();
        });
        if (!more) continue;
        done[next] = true;
        part = Join(std::move(part), inputs_[next]);
      }
    }
    return part;
  }

  // With all that can be said of both; nothing of it is left.
  Part Join(Part left, Part right) {
    auto node = std::make_shared<PlanNode>();
    node->kind = PlanNode::Kind::kJoin;
    auto& join = node->join;
    auto left_set = AsSet(left), right_set = AsSet(right);
    std::vector<size_t> both = left.columns;
    both.insert(both.end(), right.columns.begin(), right.columns.end());
    Columns all(both.begin(), both.end());
    std::vector<ExpressionPtr> conditions;
    std::erase_if(equalities_, [&](auto& equality) {
      if (auto side = SideOf(equality, left_set, right_set)) {
        join.left_keys.push_back(Over(equality.sides[*side], left.columns));
        join.right_keys.push_back(Over(equality.sides[1 - *side], right.columns));
        join.null_is_value.push_back(equality.null_is_value);
        return true;
      }
      if (!IsIn(equality.columns[0], all) || !IsIn(equality.columns[1], all)) return false;
      conditions.push_back(
          Over(Own(duckdb::make_uniq<duckdb::BoundComparisonExpression>(
                   equality.null_is_value ? ExpressionType::COMPARE_NOT_DISTINCT_FROM
                                          : ExpressionType::COMPARE_EQUAL,
                   equality.sides[0]->Copy(), equality.sides[1]->Copy())),
               both));
      return true;
    });
    std::erase_if(conditions_, [&](auto& condition) {
      bool is_of = IsIn(condition.columns, all) && !condition.columns.empty();
      if (is_of) conditions.push_back(Over(condition.expression, both));
      return is_of;
    });
    join.condition = And(conditions);
    Part joined;
    Columns needed = Needed();
    for (size_t i = 0; i < both.size(); i++) {
      if (!needed.contains(both[i])) continue;
      join.columns.push_back(i);
      joined.columns.push_back(both[i]);
      node->types.push_back(types_[both[i]]);
    }
    node->inputs = {std::move(left.node), std::move(right.node)};
    joined.node = std::move(node);
    return joined;
  }

  // What is still to be said, or given.
  Columns Needed() const {
    Columns needed(output_.begin(), output_.end());
    for (auto& equality : equalities_) {
      for (auto& columns : equality.columns) needed.insert(columns.begin(), columns.end());
    }
    for (auto& condition : conditions_) {
      needed.insert(condition.columns.begin(), condition.columns.end());
    }
    return needed;
  }

  // Conditions of no column.
  Part Filtered(Part all) {
    if (conditions_.empty()) return all;
    auto node = std::make_shared<PlanNode>();
    node->kind = PlanNode::Kind::kFilter;
    node->types = all.node->types;
    for (auto& condition : conditions_) {
      node->expressions.push_back(Over(condition.expression, all.columns));
    }
    node->inputs.push_back(std::move(all.node));
    all.node = std::move(node);
    return all;
  }

  NodePtr Output(Part all) const {
    auto node = std::make_shared<PlanNode>();
    node->kind = PlanNode::Kind::kProject;
    node->types = types_of_output_;
    for (size_t i = 0; i < output_.size(); i++) {
      node->expressions.push_back(
          Over(ColumnReference(output_[i], types_of_output_[i]), all.columns));
    }
    node->inputs.push_back(std::move(all.node));
    return node;
  }

  const std::set<const PlanNode*>& shared_;
  std::vector<Part> inputs_;
  std::vector<duckdb::LogicalType> types_;  // of all columns
  std::vector<size_t> output_;
  std::vector<duckdb::LogicalType> types_of_output_;
  std::vector<Equality> equalities_;  // that no join has yet
  std::vector<Condition> conditions_;
  size_t keyless_ = 0;  // joins
};

class Connecting {
 public:
  void Count(const NodePtr& node) {
    if (!seen_.insert(node.get()).second) {
      shared_.insert(node.get());
      return;
    }
    for (auto& input : node->inputs) Count(input);
  }

  // The node that stands for another one, whose inputs are done, too.
  NodePtr Done(const NodePtr& node) {
    auto [entry, is_new] = done_.try_emplace(node.get(), node);
    if (!is_new) return entry->second;
    NodePtr result = node;
    if (MayBeTree(*node)) {
      if (auto connected = Tree(node, shared_).Connected()) result = connected;
    }
    kept_.push_back(node);  // its address stands for it
    done_[node.get()] = result;
    done_[result.get()] = result;
    for (auto& input : result->inputs) input = Done(input);
    return result;
  }

 private:
  static bool MayBeTree(const PlanNode& node) {
    bool is_join = node.kind == PlanNode::Kind::kJoin && node.join.kind == JoinKind::kInner;
    return is_join || node.kind == PlanNode::Kind::kFilter;
  }

  std::set<const PlanNode*> seen_, shared_;
  std::map<const PlanNode*, NodePtr> done_;
  std::vector<NodePtr> kept_;
};

}  // namespace

NodePtr ConnectJoins(const NodePtr& root) {
  Connecting connecting;
  connecting.Count(root);
  return connecting.Done(root);
}

}  // namespace weir
