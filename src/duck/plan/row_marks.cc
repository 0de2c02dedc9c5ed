#include "duck/plan/row_marks.h"

#include <map>
#include <optional>
#include <vector>

#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/binder.hpp"
#include "duckdb/planner/expression/bound_case_expression.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_operator_expression.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "duckdb/planner/operator/logical_aggregate.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"
#include "duckdb/planner/operator/logical_cteref.hpp"
#include "duckdb/planner/operator/logical_filter.hpp"
#include "duckdb/planner/operator/logical_materialized_cte.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "duckdb/planner/operator/logical_set_operation.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::ExpressionType;
using duckdb::idx_t;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;
using duckdb::LogicalType;
using ExpressionOwner = duckdb::unique_ptr<Expression>;
using OperatorOwner = duckdb::unique_ptr<LogicalOperator>;

ExpressionOwner MarkConstant(duckdb::Value value) {
  return duckdb::make_uniq<duckdb::BoundConstantExpression>(std::move(value));
}

ExpressionOwner AskedOf(ExpressionType type, ExpressionOwner child) {
  auto made = duckdb::make_uniq<duckdb::BoundOperatorExpression>(type, LogicalType::BOOLEAN);
  made->children.push_back(std::move(child));
  return made;
}

ExpressionOwner MarkedColumn(const LogicalType& type, idx_t table, idx_t column) {
  return duckdb::make_uniq<duckdb::BoundColumnRefExpression>(type,
                                                             duckdb::ColumnBinding(table, column));
}

ExpressionOwner MarkConjunction(ExpressionType type, std::vector<ExpressionOwner> parts) {
  if (parts.size() == 1) return std::move(parts[0]);
  auto all = duckdb::make_uniq<duckdb::BoundConjunctionExpression>(type);
  for (auto& part : parts) all->children.push_back(std::move(part));
  return all;
}

// ---- (a, b) IN ((1, 2), ...) --------------------------------------------------------------------

// The columns of a row that is written as one; nothing when it is a value from elsewhere.
std::optional<std::vector<ExpressionOwner>> ColumnsOf(duckdb::ClientContext& context,
                                                      const Expression& row) {
  std::vector<ExpressionOwner> columns;
  if (row.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION) {
    auto& call = row.Cast<duckdb::BoundFunctionExpression>();
    if (call.function.name != "row") return std::nullopt;
    for (auto& child : call.children) columns.push_back(child->Copy());
    return columns;
  }
  if (row.GetExpressionClass() != duckdb::ExpressionClass::BOUND_CAST) return std::nullopt;
  auto& cast = row.Cast<duckdb::BoundCastExpression>();
  if (cast.try_cast || row.return_type.id() != duckdb::LogicalTypeId::STRUCT) return std::nullopt;
  auto of_child = ColumnsOf(context, *cast.child);
  auto& types = duckdb::StructType::GetChildTypes(row.return_type);
  if (!of_child || of_child->size() != types.size()) return std::nullopt;
  for (size_t i = 0; i < types.size(); i++) {
    columns.push_back(duckdb::BoundCastExpression::AddCastToType(context, std::move((*of_child)[i]),
                                                                 types[i].second));
  }
  return columns;
}

class ListedRows : public duckdb::LogicalOperatorVisitor {
 public:
  explicit ListedRows(duckdb::ClientContext& context) : context_(context) {}

 protected:
  ExpressionOwner VisitReplace(duckdb::BoundOperatorExpression& op, ExpressionOwner*) override {
    bool negated = op.type == ExpressionType::COMPARE_NOT_IN;
    if (!negated && op.type != ExpressionType::COMPARE_IN) return nullptr;
    auto row = ColumnsOf(context_, *op.children[0]);
    if (!row) return nullptr;
    std::vector<ExpressionOwner> matches;
    for (size_t i = 1; i < op.children.size(); i++) {
      auto other = ColumnsOf(context_, *op.children[i]);
      if (!other || other->size() != row->size()) return nullptr;
      std::vector<ExpressionOwner> equal;
      for (size_t c = 0; c < row->size(); c++) {
        if ((*row)[c]->return_type != (*other)[c]->return_type) return nullptr;
        equal.push_back(duckdb::make_uniq<duckdb::BoundComparisonExpression>(
            ExpressionType::COMPARE_EQUAL, (*row)[c]->Copy(), std::move((*other)[c])));
      }
      matches.push_back(MarkConjunction(ExpressionType::CONJUNCTION_AND, std::move(equal)));
    }
    auto any = MarkConjunction(ExpressionType::CONJUNCTION_OR, std::move(matches));
    if (negated) any = AskedOf(ExpressionType::OPERATOR_NOT, std::move(any));
    any->SetAlias(op.GetAlias());
    VisitExpressionChildren(*any);
    return any;
  }

 private:
  duckdb::ClientContext& context_;
};

// ---- (a, b) IN (SELECT x, y ...) ----------------------------------------------------------------

// How a mark is used: where a filter asks for it to be true, and otherwise.
struct MarkUses {
  size_t all = 0, as_filter = 0;
};

const duckdb::BoundColumnRefExpression* ColumnRefOf(const Expression& expression) {
  if (expression.type != ExpressionType::BOUND_COLUMN_REF) return nullptr;
  return &expression.Cast<duckdb::BoundColumnRefExpression>();
}

class UsesOfMarks : public duckdb::LogicalOperatorVisitor {
 public:
  std::map<idx_t, MarkUses> uses;

  void VisitOperator(LogicalOperator& op) override {
    if (op.type == LogicalOperatorType::LOGICAL_FILTER) {
      for (auto& condition : op.expressions) {
        if (auto* column = ColumnRefOf(*condition)) uses[column->binding.table_index].as_filter++;
      }
    }
    LogicalOperatorVisitor::VisitOperator(op);
  }

 protected:
  ExpressionOwner VisitReplace(duckdb::BoundColumnRefExpression& column,
                               ExpressionOwner*) override {
    uses[column.binding.table_index].all++;
    return nullptr;
  }
};

// The marks that stand for one: the first says TRUE, each other NULL.
using Marks = std::map<idx_t, std::vector<idx_t>>;

ExpressionOwner MarkColumn(idx_t mark) { return MarkedColumn(LogicalType::BOOLEAN, mark, 0); }

class MarkReplacement : public duckdb::LogicalOperatorVisitor {
 public:
  explicit MarkReplacement(const Marks& marks) : marks_(marks) {}

  void VisitOperator(LogicalOperator& op) override {
    if (op.type == LogicalOperatorType::LOGICAL_FILTER) {
      duckdb::vector<ExpressionOwner> conditions;
      for (auto& condition : op.expressions) AddCondition(std::move(condition), conditions);
      op.expressions = std::move(conditions);
    }
    LogicalOperatorVisitor::VisitOperator(op);
  }

 protected:
  ExpressionOwner VisitReplace(duckdb::BoundColumnRefExpression& column,
                               ExpressionOwner*) override {
    auto found = marks_.find(column.binding.table_index);
    if (found == marks_.end()) return nullptr;
    auto& marks = found->second;
    std::vector<ExpressionOwner> unknown;
    for (size_t i = 1; i < marks.size(); i++) unknown.push_back(MarkColumn(marks[i]));
    auto otherwise = duckdb::make_uniq<duckdb::BoundCaseExpression>(
        MarkConjunction(ExpressionType::CONJUNCTION_OR, std::move(unknown)),
        MarkConstant(duckdb::Value(LogicalType::BOOLEAN)),
        MarkConstant(duckdb::Value::BOOLEAN(false)));
    auto value = duckdb::make_uniq<duckdb::BoundCaseExpression>(
        MarkColumn(marks[0]), MarkConstant(duckdb::Value::BOOLEAN(true)), std::move(otherwise));
    value->SetAlias(column.GetAlias());
    return value;
  }

 private:
  // NOT IN as a condition: none of the marks may be there.
  void AddCondition(ExpressionOwner condition, duckdb::vector<ExpressionOwner>& conditions) {
    if (condition->type == ExpressionType::OPERATOR_NOT) {
      auto& child = *condition->Cast<duckdb::BoundOperatorExpression>().children[0];
      auto* column = ColumnRefOf(child);
      auto found = column ? marks_.find(column->binding.table_index) : marks_.end();
      if (found != marks_.end()) {
        for (idx_t mark : found->second) {
          conditions.push_back(AskedOf(ExpressionType::OPERATOR_NOT, MarkColumn(mark)));
        }
        return;
      }
    }
    conditions.push_back(std::move(condition));
  }

  const Marks& marks_;
};

class RowsOfSubqueries {
 public:
  RowsOfSubqueries(duckdb::Binder& binder, const std::map<idx_t, MarkUses>& uses)
      : binder_(binder), uses_(uses) {}

  void Mend(OperatorOwner& op) {
    for (auto& child : op->children) Mend(child);
    if (op->type != LogicalOperatorType::LOGICAL_COMPARISON_JOIN) return;
    auto& join = op->Cast<duckdb::LogicalComparisonJoin>();
    if (join.join_type != duckdb::JoinType::MARK || join.conditions.size() < 2) return;
    if (join.conditions.size() > kMarkedColumns) return;
    for (auto& condition : join.conditions) {
      if (condition.comparison != ExpressionType::COMPARE_EQUAL) return;
    }
    auto found = uses_.find(join.mark_index);
    if (found == uses_.end() || found->second.all == found->second.as_filter) return;
    op = Expand(join);
  }

  Marks marks;

 private:
  // The columns of the rows on the right, as they are compared.
  struct Rows {
    idx_t cte;
    duckdb::vector<LogicalType> types;
    duckdb::vector<std::string> names;
  };

  OperatorOwner Expand(duckdb::LogicalComparisonJoin& join) {
    Rows rows{binder_.GenerateTableIndex(), {}, {}};
    std::vector<ExpressionOwner> left;
    duckdb::vector<ExpressionOwner> right;
    for (auto& condition : join.conditions) {
      rows.types.push_back(condition.right->return_type);
      rows.names.push_back("column" + std::to_string(left.size()));
      left.push_back(std::move(condition.left));
      right.push_back(std::move(condition.right));
    }
    auto compared = duckdb::make_uniq<duckdb::LogicalProjection>(binder_.GenerateTableIndex(),
                                                                 std::move(right));
    compared->children.push_back(std::move(join.children[1]));
    auto marked = std::move(join.children[0]);
    auto& added = marks[join.mark_index];
    for (size_t unknown = 0; unknown < size_t{1} << left.size(); unknown++) {
      added.push_back(binder_.GenerateTableIndex());
      marked = Mark(std::move(marked), left, rows, unknown, added.back());
    }
    return duckdb::make_uniq<duckdb::LogicalMaterializedCTE>(
        "rows", rows.cte, rows.types.size(), std::move(compared), std::move(marked),
        duckdb::CTEMaterialize::CTE_MATERIALIZE_ALWAYS);
  }

  // Whether there is a row in which each column of the set `unknown` is NULL, or is so on the left,
  // and each other is equal.  What is compared is these others, and which of the set are NULL on
  // the left: a row on the right stands for each answer to that which it is enough for.
  OperatorOwner Mark(OperatorOwner marked, const std::vector<ExpressionOwner>& left,
                     const Rows& rows, size_t unknown, idx_t mark) {
    duckdb::vector<OperatorOwner> answers;
    for (size_t null_left = unknown;; null_left = (null_left - 1) & unknown) {
      answers.push_back(RowsEnoughFor(rows, unknown, null_left));
      if (null_left == 0) break;
    }
    auto join = duckdb::make_uniq<duckdb::LogicalComparisonJoin>(duckdb::JoinType::MARK);
    join->mark_index = mark;
    std::vector<ExpressionOwner> compared;
    for (size_t c = 0; c < left.size(); c++) {
      if (!(unknown >> c & 1)) compared.push_back(left[c]->Copy());
    }
    for (size_t c = 0; c < left.size(); c++) {
      if (!(unknown >> c & 1)) continue;
      compared.push_back(AskedOf(ExpressionType::OPERATOR_IS_NULL, left[c]->Copy()));
    }
    auto right = DistinctOf(std::move(answers), compared);
    auto bindings = right->GetColumnBindings();
    for (size_t i = 0; i < compared.size(); i++) {
      duckdb::JoinCondition condition;
      condition.right =
          MarkedColumn(compared[i]->return_type, bindings[i].table_index, bindings[i].column_index);
      condition.left = std::move(compared[i]);
      // On the right there is no NULL: so this says what `=` says, and never NULL.
      condition.comparison = ExpressionType::COMPARE_NOT_DISTINCT_FROM;
      join->conditions.push_back(std::move(condition));
    }
    join->children.push_back(std::move(marked));
    join->children.push_back(std::move(right));
    return join;
  }

  // Of the rows without NULL outside of `unknown`, and with NULL in what is not in `null_left`: the
  // columns outside, and for each of the set whether it is in `null_left`.
  OperatorOwner RowsEnoughFor(const Rows& rows, size_t unknown, size_t null_left) {
    auto table = binder_.GenerateTableIndex();
    auto filter = duckdb::make_uniq<duckdb::LogicalFilter>();
    duckdb::vector<ExpressionOwner> columns;
    for (size_t c = 0; c < rows.types.size(); c++) {
      bool is_known = !(unknown >> c & 1);
      if (!is_known && (null_left >> c & 1)) continue;
      auto question =
          is_known ? ExpressionType::OPERATOR_IS_NOT_NULL : ExpressionType::OPERATOR_IS_NULL;
      filter->expressions.push_back(AskedOf(question, MarkedColumn(rows.types[c], table, c)));
      if (is_known) columns.push_back(MarkedColumn(rows.types[c], table, c));
    }
    for (size_t c = 0; c < rows.types.size(); c++) {
      if (!(unknown >> c & 1)) continue;
      columns.push_back(MarkConstant(duckdb::Value::BOOLEAN(null_left >> c & 1)));
    }
    OperatorOwner from =
        duckdb::make_uniq<duckdb::LogicalCTERef>(table, rows.cte, rows.types, rows.names);
    if (!filter->expressions.empty()) {
      filter->children.push_back(std::move(from));
      from = std::move(filter);
    }
    auto projection = duckdb::make_uniq<duckdb::LogicalProjection>(binder_.GenerateTableIndex(),
                                                                   std::move(columns));
    projection->children.push_back(std::move(from));
    return projection;
  }

  // Rows of these types, each once where there are several parts.
  OperatorOwner DistinctOf(duckdb::vector<OperatorOwner> parts,
                           const std::vector<ExpressionOwner>& types) {
    if (parts.size() == 1) return std::move(parts[0]);
    auto table = binder_.GenerateTableIndex(), group = binder_.GenerateTableIndex();
    auto distinct = duckdb::make_uniq<duckdb::LogicalAggregate>(group, binder_.GenerateTableIndex(),
                                                                duckdb::vector<ExpressionOwner>());
    for (size_t i = 0; i < types.size(); i++) {
      distinct->groups.push_back(MarkedColumn(types[i]->return_type, table, i));
    }
    distinct->children.push_back(duckdb::make_uniq<duckdb::LogicalSetOperation>(
        table, types.size(), std::move(parts), LogicalOperatorType::LOGICAL_UNION, true));
    return distinct;
  }

  duckdb::Binder& binder_;
  const std::map<idx_t, MarkUses>& uses_;
};

}  // namespace

void CompareRowsExactly(duckdb::Binder& binder, OperatorOwner& plan) {
  ListedRows(binder.context).VisitOperator(*plan);
  UsesOfMarks uses;
  uses.VisitOperator(*plan);
  RowsOfSubqueries subqueries(binder, uses.uses);
  subqueries.Mend(plan);
  if (subqueries.marks.empty()) return;
  MarkReplacement(subqueries.marks).VisitOperator(*plan);
  plan->ResolveOperatorTypes();
}

void InstallRowMarks(duckdb::DuckDB& database) {
  duckdb::OptimizerExtension rule;
  rule.pre_optimize_function = [](duckdb::OptimizerExtensionInput& input, OperatorOwner& plan) {
    CompareRowsExactly(input.optimizer.binder, plan);
  };
  duckdb::OptimizerExtension::Register(duckdb::DBConfig::GetConfig(*database.instance), rule);
}

}  // namespace weir
