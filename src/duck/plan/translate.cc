#include "duck/batch_plan.h"
#include "duck/plan/plan_rewrites.h"
#include "duck/plan/translator.h"

namespace weir {
namespace {

using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;

}  // namespace

NodePtr Translator::Visit(LogicalOperator& op) {
  switch (op.type) {
    case LogicalOperatorType::LOGICAL_GET: return Get(op.Cast<duckdb::LogicalGet>());
    case LogicalOperatorType::LOGICAL_FILTER: return Filter(op.Cast<duckdb::LogicalFilter>());
    case LogicalOperatorType::LOGICAL_PROJECTION: return Project(op);
    case LogicalOperatorType::LOGICAL_UNNEST: return Unnest(op);
    case LogicalOperatorType::LOGICAL_UNION: return Union(op.Cast<duckdb::LogicalSetOperation>());
    case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY:
      return Aggregate(op.Cast<duckdb::LogicalAggregate>());
    case LogicalOperatorType::LOGICAL_DISTINCT: return Distinct(op.Cast<duckdb::LogicalDistinct>());
    case LogicalOperatorType::LOGICAL_TOP_N: return TopN(op.Cast<duckdb::LogicalTopN>());
    case LogicalOperatorType::LOGICAL_LIMIT: return Limit(op.Cast<duckdb::LogicalLimit>());
    case LogicalOperatorType::LOGICAL_ORDER_BY:
      return Visit(*op.children[0]);  // order below the top has no meaning for a bag of rows
    case LogicalOperatorType::LOGICAL_DUMMY_SCAN:
      if (auto place = PlaceOf(op)) return places_.at(*place);
      return DummyScan(op);
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
    case LogicalOperatorType::LOGICAL_POSITIONAL_JOIN: return Unsupported(op, "a positional join");
    case LogicalOperatorType::LOGICAL_WINDOW: return Window(op.Cast<duckdb::LogicalWindow>());
    case LogicalOperatorType::LOGICAL_INTERSECT:
    case LogicalOperatorType::LOGICAL_EXCEPT:
      return SetOperation(op.Cast<duckdb::LogicalSetOperation>());
    case LogicalOperatorType::LOGICAL_RECURSIVE_CTE:
      return Recursive(op.Cast<duckdb::LogicalRecursiveCTE>());
    default: return Unsupported(op, op.GetName());
  }
}

NodePtr Translator::Make(PlanNode::Kind kind, const LogicalOperator& op) {
  auto node = std::make_shared<PlanNode>();
  node->kind = kind;
  node->types.assign(op.types.begin(), op.types.end());
  return node;
}

NodePtr Translator::Unsupported(const LogicalOperator& op, std::string reason, std::string hint) {
  auto node = Make(PlanNode::Kind::kUnsupported, op);
  node->reason = std::move(reason);
  node->hint = std::move(hint);
  return node;
}

std::shared_ptr<PlanNode> Translate(Session& session, LogicalOperator& root, bool says_is_distinct,
                                    std::vector<SortKey>& presentation) {
  LogicalOperator* top = &root;
  if (top->type == LogicalOperatorType::LOGICAL_ORDER_BY) {
    presentation = SortKeys(top->Cast<duckdb::LogicalOrder>().orders);
    top = top->children[0].get();
  } else if (top->type == LogicalOperatorType::LOGICAL_TOP_N) {
    presentation = SortKeys(top->Cast<duckdb::LogicalTopN>().orders);
  }
  auto plan = ConnectJoins(Translator(session, says_is_distinct).Visit(*top));
  MarkThresholds(plan);
  return plan;
}

}  // namespace weir
