// DuckDB's logical operators to PlanNodes.  What has no incremental operator becomes kUnsupported
// with the reason; the view is then kept by recomputing it.
#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "duck/batch_plan.h"
#include "duck/clock_functions.h"
#include "duck/plan.h"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "duckdb/planner/expression/bound_between_expression.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression/bound_unnest_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/list.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionType;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;
using NodePtr = std::shared_ptr<PlanNode>;

ExpressionPtr Own(duckdb::unique_ptr<Expression> expression) {
  return ExpressionPtr(expression.release());
}
ExpressionPtr CopyOf(const Expression& expression) { return Own(expression.Copy()); }

std::optional<Comparison> AsComparison(ExpressionType type) {
  switch (type) {
    case ExpressionType::COMPARE_EQUAL: return Comparison::kEqual;
    case ExpressionType::COMPARE_NOTEQUAL: return Comparison::kNotEqual;
    case ExpressionType::COMPARE_LESSTHAN: return Comparison::kLess;
    case ExpressionType::COMPARE_LESSTHANOREQUALTO: return Comparison::kLessOrEqual;
    case ExpressionType::COMPARE_GREATERTHAN: return Comparison::kGreater;
    case ExpressionType::COMPARE_GREATERTHANOREQUALTO: return Comparison::kGreaterOrEqual;
    default: return std::nullopt;
  }
}

Comparison Flip(Comparison comparison) {
  switch (comparison) {
    case Comparison::kLess: return Comparison::kGreater;
    case Comparison::kLessOrEqual: return Comparison::kGreaterOrEqual;
    case Comparison::kGreater: return Comparison::kLess;
    case Comparison::kGreaterOrEqual: return Comparison::kLessOrEqual;
    default: return comparison;
  }
}

bool IgnoresOrder(const std::string& aggregate) {
  static const std::set<std::string> names = {"count", "count_star", "sum",      "avg",    "mean",
                                              "min",   "max",        "bool_and", "bool_or"};
  return names.contains(aggregate);
}

class Translator {
 public:
  explicit Translator(Session& session) : session_(session) {}

  NodePtr Visit(LogicalOperator& op) {
    switch (op.type) {
      case LogicalOperatorType::LOGICAL_GET: return Get(op.Cast<duckdb::LogicalGet>());
      case LogicalOperatorType::LOGICAL_FILTER: return Filter(op.Cast<duckdb::LogicalFilter>());
      case LogicalOperatorType::LOGICAL_PROJECTION: return Project(op);
      case LogicalOperatorType::LOGICAL_UNNEST: return Unnest(op);
      case LogicalOperatorType::LOGICAL_UNION: return Union(op.Cast<duckdb::LogicalSetOperation>());
      case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY:
        return Aggregate(op.Cast<duckdb::LogicalAggregate>());
      case LogicalOperatorType::LOGICAL_DISTINCT:
        return Distinct(op.Cast<duckdb::LogicalDistinct>());
      case LogicalOperatorType::LOGICAL_TOP_N: return TopN(op.Cast<duckdb::LogicalTopN>());
      case LogicalOperatorType::LOGICAL_LIMIT: return Limit(op.Cast<duckdb::LogicalLimit>());
      case LogicalOperatorType::LOGICAL_ORDER_BY:
        return Visit(*op.children[0]);  // order below the top has no meaning for a bag of rows
      case LogicalOperatorType::LOGICAL_DUMMY_SCAN: return DummyScan(op);
      case LogicalOperatorType::LOGICAL_EMPTY_RESULT: return Constant(op);
      case LogicalOperatorType::LOGICAL_EXPRESSION_GET: return Values(op);
      case LogicalOperatorType::LOGICAL_CHUNK_GET:
        return Rows(op.Cast<duckdb::LogicalColumnDataGet>());
      case LogicalOperatorType::LOGICAL_MATERIALIZED_CTE:
        ctes_[op.Cast<duckdb::LogicalMaterializedCTE>().table_index] = Visit(*op.children[0]);
        return Visit(*op.children[1]);
      case LogicalOperatorType::LOGICAL_CTE_REF: {
        auto found = ctes_.find(op.Cast<duckdb::LogicalCTERef>().cte_index);
        if (found == ctes_.end()) return Unsupported(op, "a recursive query");
        return found->second;
      }
      case LogicalOperatorType::LOGICAL_COMPARISON_JOIN:
        return ComparisonJoin(op.Cast<duckdb::LogicalComparisonJoin>());
      case LogicalOperatorType::LOGICAL_DELIM_JOIN:
        return DelimJoin(op.Cast<duckdb::LogicalComparisonJoin>());
      case LogicalOperatorType::LOGICAL_DELIM_GET: return DelimGet(op);
      case LogicalOperatorType::LOGICAL_ANY_JOIN: return AnyJoin(op.Cast<duckdb::LogicalAnyJoin>());
      case LogicalOperatorType::LOGICAL_CROSS_PRODUCT: return CrossProduct(op);
      case LogicalOperatorType::LOGICAL_ASOF_JOIN:
        return AsofJoin(op.Cast<duckdb::LogicalComparisonJoin>());
      case LogicalOperatorType::LOGICAL_POSITIONAL_JOIN:
        return Unsupported(op, "a positional join");
      case LogicalOperatorType::LOGICAL_WINDOW: return Window(op.Cast<duckdb::LogicalWindow>());
      case LogicalOperatorType::LOGICAL_INTERSECT:
      case LogicalOperatorType::LOGICAL_EXCEPT:
        return SetOperation(op.Cast<duckdb::LogicalSetOperation>());
      case LogicalOperatorType::LOGICAL_RECURSIVE_CTE:
        return Recursive(op.Cast<duckdb::LogicalRecursiveCTE>());
      default: return Unsupported(op, op.GetName());
    }
  }

 private:
  NodePtr Make(PlanNode::Kind kind, const LogicalOperator& op) {
    auto node = std::make_shared<PlanNode>();
    node->kind = kind;
    node->types.assign(op.types.begin(), op.types.end());
    return node;
  }

  NodePtr Unsupported(const LogicalOperator& op, std::string reason) {
    auto node = Make(PlanNode::Kind::kUnsupported, op);
    node->reason = std::move(reason);
    return node;
  }

  NodePtr Get(duckdb::LogicalGet& get) {
    auto scan = AsSourceScan(get);
    if (!scan) return TableFunction(get);
    auto node = Make(PlanNode::Kind::kSource, get);
    node->scan = std::move(*scan);
    return node;
  }

  // A function of constants alone has always the same rows.
  NodePtr TableFunction(duckdb::LogicalGet& get) {
    static const std::set<std::string> known = {"range", "generate_series", "repeat", "unnest"};
    constexpr size_t kMostRows = 1'000'000;
    bool constant = known.contains(get.function.name);
    for (auto& child : get.children) constant = constant && IsConstant(*child);
    if (!constant) return Unsupported(get, "the table function " + get.function.name);
    auto node = Make(PlanNode::Kind::kConstant, get);
    auto pattern = std::make_shared<BatchPattern>();
    pattern->root = get.Copy(session_.context());
    BatchRunner::Inputs none;
    BatchRunner(session_, pattern).Run(none, [&](duckdb::DataChunk& rows) {
      if (node->rows.size() <= kMostRows) AddRows(rows, *node);
    });
    if (node->rows.size() <= kMostRows) return node;
    return Unsupported(get,
                       "the table function " + get.function.name + " with over a million rows");
  }

  static bool IsConstant(const LogicalOperator& op) {
    switch (op.type) {
      case LogicalOperatorType::LOGICAL_DUMMY_SCAN:
      case LogicalOperatorType::LOGICAL_EXPRESSION_GET:
      case LogicalOperatorType::LOGICAL_PROJECTION: break;
      default: return false;
    }
    for (auto& expression : op.expressions) {
      if (expression->IsVolatile()) return false;
    }
    return std::all_of(op.children.begin(), op.children.end(),
                       [](auto& child) { return IsConstant(*child); });
  }

  // Wraps `input` in a filter on the clock; gives null when the predicate has no such form.
  NodePtr ClockFilter(NodePtr input, const Expression& left, ExpressionType type,
                      const Expression& right) {
    auto comparison = AsComparison(type);
    if (!comparison) return nullptr;
    const Expression* row = &left;
    const Expression* clock = &right;
    if (UsesClock(left)) {
      std::swap(row, clock);
      comparison = Flip(*comparison);
    }
    if (UsesClock(*row) || UsesColumns(*clock)) return nullptr;
    auto node = std::make_shared<PlanNode>();
    node->kind = PlanNode::Kind::kClockFilter;
    node->types = input->types;
    ClockPredicate predicate;
    predicate.row = CopyOf(*row);
    predicate.comparison = *comparison;
    predicate.clock = CopyOf(*clock);
    predicate.type = clock->return_type;
    predicate.never_goes_back = NeverGoesBack(*clock);
    bool rounds_alike =
        *comparison == Comparison::kGreaterOrEqual || *comparison == Comparison::kLess;
    if (IsRounding(*row)) {
      predicate.bucket = predicate.row;
      predicate.coarse = IsCoarseRounding(*row);
    } else if (rounds_alike && IsRounding(*clock) && RoundedType(*clock) == row->return_type &&
               clock->return_type == row->return_type) {
      predicate.bucket = Own(RoundInstead(*clock, row->Copy()));
      predicate.coarse = IsCoarseRounding(*clock);
    }
    node->clock = std::move(predicate);
    node->inputs.push_back(std::move(input));
    return node;
  }

  // BETWEEN is two comparisons.
  NodePtr ClockPredicates(const NodePtr& input, const Expression& expression) {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_COMPARISON) {
      auto& comparison = expression.Cast<duckdb::BoundComparisonExpression>();
      return ClockFilter(input, *comparison.left, expression.type, *comparison.right);
    }
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_BETWEEN) {
      auto& between = expression.Cast<duckdb::BoundBetweenExpression>();
      auto add = [&](NodePtr below, const Expression& bound, ExpressionType type) -> NodePtr {
        if (!below) return nullptr;
        if (UsesClock(bound) || UsesClock(*between.input)) {
          return ClockFilter(below, *between.input, type, bound);
        }
        auto node = std::make_shared<PlanNode>();
        node->kind = PlanNode::Kind::kFilter;
        node->types = below->types;
        node->expressions.push_back(Own(duckdb::make_uniq<duckdb::BoundComparisonExpression>(
            type, between.input->Copy(), bound.Copy())));
        node->inputs.push_back(std::move(below));
        return node;
      };
      auto lower = add(input, *between.lower, between.LowerComparisonType());
      return add(lower, *between.upper, between.UpperComparisonType());
    }
    return nullptr;
  }

  NodePtr Filter(duckdb::LogicalFilter& filter) {
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
        return Unsupported(filter, "the clock inside \"" + expression->ToString() +
                                       "\" (compare an expression of the row with one of the "
                                       "clock alone, as in ts > now() - INTERVAL 1 HOUR)");
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

  NodePtr Project(LogicalOperator& op) {
    auto node = Make(PlanNode::Kind::kProject, op);
    for (auto& expression : op.expressions) {
      if (UsesClock(*expression)) return Unsupported(op, "the clock in the SELECT list");
      if (IsUndetermined(*expression)) return Unsupported(op, "a random value");
      node->expressions.push_back(CopyOf(*expression));
    }
    node->inputs.push_back(Visit(*op.children[0]));
    return node;
  }

  NodePtr Unnest(LogicalOperator& op) {
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

  // ---- joins ----------------------------------------------------------------------------------

  static std::optional<JoinKind> AsJoinKind(duckdb::JoinType type) {
    switch (type) {
      case duckdb::JoinType::INNER: return JoinKind::kInner;
      case duckdb::JoinType::LEFT: return JoinKind::kLeft;
      case duckdb::JoinType::RIGHT: return JoinKind::kRight;
      case duckdb::JoinType::OUTER: return JoinKind::kFull;
      case duckdb::JoinType::SEMI:
      case duckdb::JoinType::RIGHT_SEMI: return JoinKind::kSemi;
      case duckdb::JoinType::ANTI:
      case duckdb::JoinType::RIGHT_ANTI: return JoinKind::kAnti;
      case duckdb::JoinType::MARK: return JoinKind::kMark;
      case duckdb::JoinType::SINGLE: return JoinKind::kSingle;
      default: return std::nullopt;
    }
  }
  static bool SwapsSides(duckdb::JoinType type) {
    return type == duckdb::JoinType::RIGHT_SEMI || type == duckdb::JoinType::RIGHT_ANTI;
  }

  static void ShiftReferences(Expression& expression, size_t by) {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF) {
      expression.Cast<duckdb::BoundReferenceExpression>().index += by;
    }
    duckdb::ExpressionIterator::EnumerateChildren(
        expression, [&](Expression& child) { ShiftReferences(child, by); });
  }

  static ExpressionPtr And(std::vector<duckdb::unique_ptr<Expression>> parts) {
    if (parts.empty()) return nullptr;
    if (parts.size() == 1) return Own(std::move(parts[0]));
    auto all =
        duckdb::make_uniq<duckdb::BoundConjunctionExpression>(ExpressionType::CONJUNCTION_AND);
    for (auto& part : parts) all->children.push_back(std::move(part));
    return Own(std::move(all));
  }

  // The output of a join by its projection maps.
  static std::vector<size_t> OutputColumns(const duckdb::LogicalJoin& op, JoinKind kind,
                                           size_t left, size_t right, bool swapped) {
    auto map = [](const duckdb::vector<duckdb::idx_t>& kept, size_t count, size_t first) {
      std::vector<size_t> columns;
      for (size_t i = 0; i < (kept.empty() ? count : kept.size()); i++) {
        columns.push_back(first + (kept.empty() ? i : kept[i]));
      }
      return columns;
    };
    auto columns = map(swapped ? op.right_projection_map : op.left_projection_map, left, 0);
    if (kind == JoinKind::kMark) columns.push_back(left);
    if (kind == JoinKind::kSemi || kind == JoinKind::kAnti || kind == JoinKind::kMark) {
      return columns;
    }
    auto others = map(op.right_projection_map, right, left);
    columns.insert(columns.end(), others.begin(), others.end());
    return columns;
  }

  NodePtr MakeJoin(duckdb::LogicalJoin& op, NodePtr left, NodePtr right) {
    auto kind = AsJoinKind(op.join_type);
    if (!kind) return Unsupported(op, "this kind of join");
    auto node = Make(PlanNode::Kind::kJoin, op);
    bool swapped = SwapsSides(op.join_type);
    if (swapped) std::swap(left, right);
    node->join.kind = *kind;
    node->join.columns = OutputColumns(op, *kind, left->types.size(), right->types.size(), swapped);
    node->inputs = {std::move(left), std::move(right)};
    return node;
  }

  NodePtr Join(duckdb::LogicalComparisonJoin& op, NodePtr left, NodePtr right) {
    auto node = MakeJoin(op, std::move(left), std::move(right));
    if (node->kind != PlanNode::Kind::kJoin) return node;
    auto& join = node->join;
    bool swapped = SwapsSides(op.join_type);
    auto is_equality = [](ExpressionType type) {
      return type == ExpressionType::COMPARE_EQUAL ||
             type == ExpressionType::COMPARE_NOT_DISTINCT_FROM;
    };
    // Whether a mark is NULL is decided pair by pair once there is more than equality.
    bool only_equal = !op.predicate;
    for (auto& condition : op.conditions) only_equal &= is_equality(condition.comparison);
    std::vector<duckdb::unique_ptr<Expression>> others;
    for (auto& condition : op.conditions) {
      if (UsesClock(*condition.left) || UsesClock(*condition.right)) {
        return Unsupported(op, "the clock inside a join's condition");
      }
      bool null_is_value = condition.comparison == ExpressionType::COMPARE_NOT_DISTINCT_FROM;
      bool as_key = is_equality(condition.comparison) &&
                    (join.kind != JoinKind::kMark || only_equal || null_is_value);
      auto first = condition.left->Copy();
      auto second = condition.right->Copy();
      auto comparison = condition.comparison;
      if (swapped) {
        std::swap(first, second);
        comparison = duckdb::FlipComparisonExpression(comparison);
      }
      if (as_key) {
        join.left_keys.push_back(Own(std::move(first)));
        join.right_keys.push_back(Own(std::move(second)));
        join.null_is_value.push_back(null_is_value);
      } else {
        ShiftReferences(*second, node->inputs[0]->types.size());
        others.push_back(duckdb::make_uniq<duckdb::BoundComparisonExpression>(
            comparison, std::move(first), std::move(second)));
      }
    }
    if (op.predicate) {
      if (swapped || UsesClock(*op.predicate)) {
        return Unsupported(op, "the clock inside a join's condition");
      }
      others.push_back(op.predicate->Copy());
    }
    join.condition = And(std::move(others));
    return node;
  }

  NodePtr ComparisonJoin(duckdb::LogicalComparisonJoin& op) {
    auto left = Visit(*op.children[0]);
    return Join(op, std::move(left), Visit(*op.children[1]));
  }

  NodePtr AnyJoin(duckdb::LogicalAnyJoin& op) {
    if (UsesClock(*op.condition)) return Unsupported(op, "the clock inside a join's condition");
    if (SwapsSides(op.join_type)) return Unsupported(op, "this kind of join");
    auto left = Visit(*op.children[0]);
    auto node = MakeJoin(op, std::move(left), Visit(*op.children[1]));
    if (node->kind == PlanNode::Kind::kJoin) node->join.condition = CopyOf(*op.condition);
    return node;
  }

  NodePtr CrossProduct(LogicalOperator& op) {
    auto node = Make(PlanNode::Kind::kJoin, op);
    for (auto& child : op.children) node->inputs.push_back(Visit(*child));
    for (size_t i = 0; i < op.types.size(); i++) node->join.columns.push_back(i);
    return node;
  }

  // One side's distinct values of some columns are an input of the other side (what is left of a
  // correlated subquery).
  NodePtr DelimJoin(duckdb::LogicalComparisonJoin& op) {
    size_t outer = op.delim_flipped ? 1 : 0;
    NodePtr sides[2];
    sides[outer] = Visit(*op.children[outer]);
    auto values = std::make_shared<PlanNode>();
    values->kind = PlanNode::Kind::kProject;
    for (auto& column : op.duplicate_eliminated_columns) {
      values->expressions.push_back(CopyOf(*column));
      values->types.push_back(column->return_type);
    }
    values->inputs.push_back(sides[outer]);
    auto distinct = std::make_shared<PlanNode>();
    distinct->kind = PlanNode::Kind::kDistinct;
    distinct->types = values->types;
    distinct->inputs.push_back(values);
    delims_.push_back(distinct);
    sides[1 - outer] = Visit(*op.children[1 - outer]);
    delims_.pop_back();
    return Join(op, sides[0], sides[1]);
  }

  NodePtr DelimGet(LogicalOperator& op) {
    if (delims_.empty()) return Unsupported(op, "an unusual correlated subquery");
    return delims_.back();
  }

  // ---- what is computed again for touched keys -------------------------------------------------

  NodePtr Batch(std::unique_ptr<LogicalOperator> root, std::string name,
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

  // ---- sessions --------------------------------------------------------------------------------

  // What a column within the expansion of SESSION (sql/window_functions.cc) is: a column of its
  // input, or one of these.
  static constexpr size_t kLag = SIZE_MAX, kBegins = SIZE_MAX - 1, kStart = SIZE_MAX - 2,
                          kEnd = SIZE_MAX - 3;
  using Meanings = std::vector<size_t>;

  static const duckdb::BoundWindowExpression& WindowCall(const LogicalOperator& op, size_t i) {
    return op.expressions[i]->Cast<duckdb::BoundWindowExpression>();
  }
  static bool IsColumn(const Expression& expression, const Meanings& meanings, size_t meaning) {
    return expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF &&
           meanings.at(expression.Cast<duckdb::BoundReferenceExpression>().index) == meaning;
  }
  static bool IsMaximum(const duckdb::BoundWindowExpression& call) {
    return call.type == ExpressionType::WINDOW_AGGREGATE && call.aggregate->name == "max" &&
           call.children.size() == 1 && !call.filter_expr && !call.distinct;
  }

  // The interval with which `time - lag` is compared.
  static std::optional<duckdb::interval_t> GapIn(const Expression& expression) {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_CONSTANT &&
        expression.return_type.id() == duckdb::LogicalTypeId::INTERVAL) {
      return expression.Cast<duckdb::BoundConstantExpression>()
          .value.GetValue<duckdb::interval_t>();
    }
    std::optional<duckdb::interval_t> found;
    duckdb::ExpressionIterator::EnumerateChildren(expression, [&](const Expression& child) {
      if (auto gap = GapIn(child)) found = gap;
    });
    return found;
  }

  // The expansion of SESSION as one operator; null for other windows.  It is told by the name of
  // its inner column, and taken only when every column in it is understood.
  NodePtr Sessions(duckdb::LogicalWindow& ends) {
    std::vector<LogicalOperator*> chain;  // from the innermost window to `ends`
    for (LogicalOperator* op = &ends;;) {
      chain.insert(chain.begin(), op);
      if (op->type == LogicalOperatorType::LOGICAL_WINDOW &&
          WindowCall(*op, 0).type == ExpressionType::WINDOW_LAG) {
        break;
      }
      if (op->children.size() != 1) return nullptr;
      op = op->children[0].get();
      bool known = op->type == LogicalOperatorType::LOGICAL_WINDOW ||
                   op->type == LogicalOperatorType::LOGICAL_PROJECTION;
      if (!known || chain.size() > 6) return nullptr;
    }
    auto& lag = WindowCall(*chain[0], 0);
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
        auto& window = WindowCall(op, i);
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

  // One node for each list of partitions; each adds its columns.
  NodePtr Window(duckdb::LogicalWindow& op) {
    if (auto session = Sessions(op)) return session;
    std::vector<std::string> partitions;  // of each expression
    for (auto& expression : op.expressions) {
      if (UsesClock(*expression)) return Unsupported(op, "the clock inside a window function");
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
    }
    auto project = Make(PlanNode::Kind::kProject, op);
    for (size_t i = 0; i < places.size(); i++) {
      project->expressions.push_back(ColumnReference(places[i], op.types[i]));
    }
    project->inputs.push_back(std::move(node));
    return project;
  }

  // A filter on row_number, rank or dense_rank that only lets the first through: gives the rows
  // that it could let through, with their numbers; null when it is no such filter.
  NodePtr GroupTop(duckdb::LogicalFilter& filter) {
    if (filter.children[0]->type != LogicalOperatorType::LOGICAL_WINDOW) return nullptr;
    auto& window = filter.children[0]->Cast<duckdb::LogicalWindow>();
    if (window.expressions.size() != 1 || UsesClock(*window.expressions[0])) return nullptr;
    auto& call = window.expressions[0]->Cast<duckdb::BoundWindowExpression>();
    GroupTopCall top;
    switch (call.type) {
      case ExpressionType::WINDOW_ROW_NUMBER: top.numbering = RowNumbering::kRowNumber; break;
      case ExpressionType::WINDOW_RANK: top.numbering = RowNumbering::kRank; break;
      case ExpressionType::WINDOW_RANK_DENSE: top.numbering = RowNumbering::kDenseRank; break;
      default: return nullptr;
    }
    size_t number = window.children[0]->types.size();
    std::optional<uint64_t> limit;
    for (auto& predicate : filter.expressions) {
      auto bound = UpperBound(*predicate, number);
      if (bound && (!limit || *bound < *limit)) limit = bound;
    }
    if (!limit || !call.arg_orders.empty()) return nullptr;
    top.limit = *limit;
    top.with_number = true;
    for (auto& partition : call.partitions) top.groups.push_back(CopyOf(*partition));
    top.order = SortKeys(call.orders);
    auto node = Make(PlanNode::Kind::kGroupTop, window);
    node->group_top = std::move(top);
    node->inputs.push_back(Visit(*window.children[0]));
    return node;
  }

  // `column` <= 3, < 4, = 3, BETWEEN 1 AND 3: 3.
  static std::optional<uint64_t> UpperBound(const Expression& predicate, size_t column) {
    auto is_column = [&](const Expression& expression) {
      return expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF &&
             expression.Cast<duckdb::BoundReferenceExpression>().index == column;
    };
    auto number = [](const Expression& expression) -> std::optional<int64_t> {
      if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) return {};
      auto& value = expression.Cast<duckdb::BoundConstantExpression>().value;
      if (value.IsNull() || value.type() != duckdb::LogicalType::BIGINT) return {};
      return value.GetValue<int64_t>();
    };
    std::optional<int64_t> bound;
    if (predicate.GetExpressionClass() == duckdb::ExpressionClass::BOUND_BETWEEN) {
      auto& between = predicate.Cast<duckdb::BoundBetweenExpression>();
      if (!is_column(*between.input)) return {};
      bound = number(*between.upper);
    } else if (predicate.GetExpressionClass() == duckdb::ExpressionClass::BOUND_COMPARISON) {
      auto& comparison = predicate.Cast<duckdb::BoundComparisonExpression>();
      auto type = predicate.type;
      const Expression* constant = comparison.right.get();
      if (is_column(*comparison.right)) {
        type = duckdb::FlipComparisonExpression(type);
        constant = comparison.left.get();
      } else if (!is_column(*comparison.left)) {
        return {};
      }
      bound = number(*constant);
      if (type == ExpressionType::COMPARE_LESSTHAN && bound) {
        bound = *bound - 1;
      } else if (type != ExpressionType::COMPARE_LESSTHANOREQUALTO &&
                 type != ExpressionType::COMPARE_EQUAL) {
        return {};
      }
    }
    if (!bound) return {};
    return static_cast<uint64_t>(std::max<int64_t>(*bound, 0));
  }

  NodePtr DistinctOn(duckdb::LogicalDistinct& op) {
    auto node = Make(PlanNode::Kind::kGroupTop, op);
    for (auto& target : op.distinct_targets) {
      if (UsesClock(*target)) return Unsupported(op, "the clock inside DISTINCT ON");
      node->group_top.groups.push_back(CopyOf(*target));
    }
    if (op.order_by) node->group_top.order = SortKeys(op.order_by->orders);
    node->group_top.limit = 1;
    node->inputs.push_back(Visit(*op.children[0]));
    return node;
  }

  NodePtr SetOperation(duckdb::LogicalSetOperation& op) {
    auto node = Make(PlanNode::Kind::kSetOperation, op);
    node->is_except = op.type == LogicalOperatorType::LOGICAL_EXCEPT;
    node->keeps_copies = op.setop_all;
    for (auto& child : op.children) node->inputs.push_back(Visit(*child));
    return node;
  }

  NodePtr AsofJoin(duckdb::LogicalComparisonJoin& op) {
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
    if (left_stays && op.left_projection_map.empty()) {
      node->batch.output_keys = keys[0];
      node->batch.keys = {std::move(keys[0]), std::move(keys[1])};
    }
    return node;
  }

  // Recursion stays DuckDB's; what does not take part in it is an input.
  NodePtr Recursive(duckdb::LogicalRecursiveCTE& op) {
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
    return Batch(std::move(root), "recursion " + op.ctename, std::move(inputs),
                 {op.types.begin(), op.types.end()});
  }

  void Cut(duckdb::unique_ptr<LogicalOperator>& op, duckdb::idx_t cte, std::vector<NodePtr>& inputs,
           std::string& obstacle) {
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

  // Means the same outside of the recursion and of the joins above it.
  static bool IsClosed(const LogicalOperator& op, duckdb::idx_t cte, int delim_joins) {
    if (op.type == LogicalOperatorType::LOGICAL_CTE_REF &&
        op.Cast<duckdb::LogicalCTERef>().cte_index == cte) {
      return false;
    }
    if (op.type == LogicalOperatorType::LOGICAL_DELIM_GET && delim_joins == 0) return false;
    if (op.type == LogicalOperatorType::LOGICAL_DELIM_JOIN) delim_joins++;
    return std::all_of(op.children.begin(), op.children.end(),
                       [&](auto& child) { return IsClosed(*child, cte, delim_joins); });
  }

  NodePtr Union(duckdb::LogicalSetOperation& op) {
    auto node = Make(PlanNode::Kind::kUnionAll, op);
    for (auto& child : op.children) node->inputs.push_back(Visit(*child));
    if (op.setop_all) return node;
    auto distinct = std::make_shared<PlanNode>();
    distinct->kind = PlanNode::Kind::kDistinct;
    distinct->types = node->types;
    distinct->inputs.push_back(node);
    return distinct;
  }

  NodePtr Aggregate(duckdb::LogicalAggregate& op) {
    auto node = Make(PlanNode::Kind::kAggregate, op);
    for (auto& group : op.groups) {
      if (UsesClock(*group)) return Unsupported(op, "the clock in GROUP BY");
      node->groups.push_back(CopyOf(*group));
    }
    for (auto& set : op.grouping_sets) {
      node->grouping_sets.emplace_back(set.begin(), set.end());
    }
    for (auto& call : op.grouping_functions) {
      node->grouping_calls.emplace_back(call.begin(), call.end());
    }
    for (auto& expression : op.expressions) {
      auto& bound = expression->Cast<duckdb::BoundAggregateExpression>();
      AggregateCall call;
      call.function = bound.function.name;
      for (auto& child : bound.children) {
        if (UsesClock(*child)) return Unsupported(op, "the clock inside an aggregate");
        call.argument_types.push_back(child->return_type);
        call.arguments.push_back(CopyOf(*child));
      }
      if (bound.filter) {
        if (UsesClock(*bound.filter)) return Unsupported(op, "the clock inside FILTER");
        call.filter = CopyOf(*bound.filter);
      }
      call.distinct = bound.IsDistinct();
      call.type = bound.return_type;
      auto copy = expression->Copy();
      copy->Cast<duckdb::BoundAggregateExpression>().order_bys.reset();
      call.call = Own(std::move(copy));
      if (bound.order_bys && !IgnoresOrder(call.function)) {
        for (auto& key : bound.order_bys->orders) {
          if (UsesClock(*key.expression)) return Unsupported(op, "the clock inside an aggregate");
          call.arguments.push_back(CopyOf(*key.expression));
          call.argument_types.push_back(key.expression->return_type);
          call.order.push_back({key.type == duckdb::OrderType::DESCENDING,
                                key.null_order == duckdb::OrderByNullType::NULLS_FIRST});
        }
      }
      node->aggregates.push_back(std::move(call));
    }
    if (node->groups.empty() && OnlyCounts(*node)) {
      LogicalOperator* below = op.children[0].get();
      while (below->type == LogicalOperatorType::LOGICAL_PROJECTION)
        below = below->children[0].get();
      rows_only_counted_ = below;
    }
    node->inputs.push_back(Visit(*op.children[0]));
    return node;
  }

  // What EXISTS becomes: which rows a LIMIT below lets through does not matter.
  static bool OnlyCounts(const PlanNode& node) {
    return std::all_of(node.aggregates.begin(), node.aggregates.end(),
                       [](auto& call) { return call.function == "count_star" && !call.filter; });
  }

  NodePtr Distinct(duckdb::LogicalDistinct& op) {
    if (op.distinct_type != duckdb::DistinctType::DISTINCT) return DistinctOn(op);
    auto node = Make(PlanNode::Kind::kDistinct, op);
    node->inputs.push_back(Visit(*op.children[0]));
    return node;
  }

  static std::vector<SortKey> SortKeys(const duckdb::vector<duckdb::BoundOrderByNode>& orders) {
    std::vector<SortKey> keys;
    for (auto& order : orders) {
      keys.push_back({CopyOf(*order.expression), order.type == duckdb::OrderType::DESCENDING,
                      order.null_order == duckdb::OrderByNullType::NULLS_FIRST});
    }
    return keys;
  }

  NodePtr TopN(duckdb::LogicalTopN& op) {
    auto node = Make(PlanNode::Kind::kTop, op);
    node->order = SortKeys(op.orders);
    node->limit = op.limit;
    node->offset = op.offset;
    node->inputs.push_back(Visit(*op.children[0]));
    return node;
  }

  NodePtr Limit(duckdb::LogicalLimit& op) {
    auto is_constant = [](const duckdb::BoundLimitNode& limit) {
      return limit.Type() == duckdb::LimitNodeType::CONSTANT_VALUE ||
             limit.Type() == duckdb::LimitNodeType::UNSET;
    };
    if (!is_constant(op.limit_val) || !is_constant(op.offset_val)) {
      return Unsupported(op, "a LIMIT that is not a number");
    }
    // Below it an ORDER BY may stand that the optimizer did not fold into a top-n.
    LogicalOperator* below = op.children[0].get();
    auto node = Make(PlanNode::Kind::kTop, op);
    if (below->type == LogicalOperatorType::LOGICAL_ORDER_BY) {
      node->order = SortKeys(below->Cast<duckdb::LogicalOrder>().orders);
      below = below->children[0].get();
    }
    if (node->order.empty() && &op != rows_only_counted_) {
      return Unsupported(op, "a LIMIT without ORDER BY");
    }
    if (op.limit_val.Type() == duckdb::LimitNodeType::CONSTANT_VALUE) {
      node->limit = op.limit_val.GetConstantValue();
    }
    if (op.offset_val.Type() == duckdb::LimitNodeType::CONSTANT_VALUE) {
      node->offset = op.offset_val.GetConstantValue();
    }
    node->inputs.push_back(Visit(*below));
    return node;
  }

  NodePtr Constant(const LogicalOperator& op) { return Make(PlanNode::Kind::kConstant, op); }

  NodePtr DummyScan(const LogicalOperator& op) {
    auto node = Make(PlanNode::Kind::kConstant, op);
    std::vector<duckdb::Value> row;
    for (auto& type : node->types) row.emplace_back(duckdb::Value(type));
    node->rows.push_back(std::move(row));
    return node;
  }

  // What DuckDB makes of a long IN (1, 2, ...).
  NodePtr Rows(duckdb::LogicalColumnDataGet& get) {
    auto node = Make(PlanNode::Kind::kConstant, get);
    for (auto& chunk : get.collection->Chunks()) AddRows(chunk, *node);
    return node;
  }

  static void AddRows(duckdb::DataChunk& rows, PlanNode& constant) {
    for (duckdb::idx_t row = 0; row < rows.size(); row++) {
      auto& values = constant.rows.emplace_back();
      for (auto& column : rows.data) values.push_back(column.GetValue(row));
    }
  }

  NodePtr Values(LogicalOperator& op) {
    auto& get = op.Cast<duckdb::LogicalExpressionGet>();
    auto node = Make(PlanNode::Kind::kConstant, op);
    for (auto& expressions : get.expressions) {
      std::vector<duckdb::Value> row;
      for (auto& expression : expressions) {
        if (expression->GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) {
          return Unsupported(op, "VALUES with expressions");
        }
        row.push_back(expression->Cast<duckdb::BoundConstantExpression>().value);
      }
      node->rows.push_back(std::move(row));
    }
    return node;
  }

  Session& session_;
  std::map<duckdb::idx_t, NodePtr> ctes_;
  const LogicalOperator* rows_only_counted_ = nullptr;
  std::vector<NodePtr> delims_;  // of the joins we are inside of
};

}  // namespace

ExpressionPtr ColumnReference(size_t column, const duckdb::LogicalType& type) {
  return Own(duckdb::make_uniq<duckdb::BoundReferenceExpression>(type, column));
}

std::optional<size_t> AsColumn(const ExpressionPtr& expression) {
  if (expression->GetExpressionClass() != duckdb::ExpressionClass::BOUND_REF) return std::nullopt;
  return expression->Cast<duckdb::BoundReferenceExpression>().index;
}

ExpressionPtr ConstantValue(const duckdb::Value& value) {
  return Own(duckdb::make_uniq<duckdb::BoundConstantExpression>(value));
}

namespace {

void MoveReferences(Expression& expression, const std::vector<size_t>& columns,
                    std::vector<bool>& used) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF) {
    auto& reference = expression.Cast<duckdb::BoundReferenceExpression>();
    reference.index = columns.at(reference.index);
    used.at(reference.index) = true;
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](Expression& child) { MoveReferences(child, columns, used); });
}

}  // namespace

ExpressionPtr MoveColumns(const ExpressionPtr& expression, const std::vector<size_t>& columns,
                          std::vector<bool>& used) {
  auto copy = expression->Copy();
  MoveReferences(*copy, columns, used);
  return Own(std::move(copy));
}

const duckdb::LogicalType& TypeOf(const ExpressionPtr& expression) {
  return expression->return_type;
}

std::shared_ptr<PlanNode> Translate(Session& session, LogicalOperator& root,
                                    std::vector<SortKey>& presentation) {
  LogicalOperator* top = &root;
  if (top->type == LogicalOperatorType::LOGICAL_ORDER_BY) {
    for (auto& order : top->Cast<duckdb::LogicalOrder>().orders) {
      presentation.push_back({CopyOf(*order.expression),
                              order.type == duckdb::OrderType::DESCENDING,
                              order.null_order == duckdb::OrderByNullType::NULLS_FIRST});
    }
    top = top->children[0].get();
  } else if (top->type == LogicalOperatorType::LOGICAL_TOP_N) {
    for (auto& order : top->Cast<duckdb::LogicalTopN>().orders) {
      presentation.push_back({CopyOf(*order.expression),
                              order.type == duckdb::OrderType::DESCENDING,
                              order.null_order == duckdb::OrderByNullType::NULLS_FIRST});
    }
  }
  return Translator(session).Visit(*top);
}

}  // namespace weir
