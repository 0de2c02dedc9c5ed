#include "duck/plan/row_subqueries.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <vector>

#include "duck/plan/row_marks.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/function/scalar_function.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/conjunction_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_data/create_scalar_function_info.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/subqueryref.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/planner.hpp"

namespace weir {
namespace {

using duckdb::ExpressionType;
using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::Vector;

struct RowComparison {
  ExpressionType type;
  std::string_view function;
};
constexpr std::array<RowComparison, 6> kComparisons = {{
    {ExpressionType::COMPARE_EQUAL, "weir_any_equal"},
    {ExpressionType::COMPARE_NOTEQUAL, "weir_any_other"},
    {ExpressionType::COMPARE_LESSTHAN, "weir_any_above"},
    {ExpressionType::COMPARE_LESSTHANOREQUALTO, "weir_any_not_below"},
    {ExpressionType::COMPARE_GREATERTHAN, "weir_any_below"},
    {ExpressionType::COMPARE_GREATERTHANOREQUALTO, "weir_any_not_above"},
}};

// ---- the function -------------------------------------------------------------------------------

// Of three values the larger is what OR says, the smaller what AND says.
enum Truth : uint8_t { kFalse, kUnknown, kTrue };

// Rows and those they are compared with, a vector of pairs at a time.
class RowPairs {
 public:
  RowPairs(ExpressionType comparison, Vector& row, Vector& others, idx_t columns)
      : comparison_(comparison), row_(row), others_(others), columns_(columns) {}

  void Add(idx_t row, idx_t other, std::vector<Truth>& answers) {
    rows_.set_index(count_, row);
    elements_.set_index(count_, other);
    if (++count_ == STANDARD_VECTOR_SIZE) Settle(answers);
  }

  void Settle(std::vector<Truth>& answers) {
    if (count_ == 0) return;
    std::fill_n(truths_, count_, kTrue);
    std::fill_n(decided_, count_, false);
    for (idx_t c = 0; c < columns_; c++) CompareColumn(c);
    for (idx_t i = 0; i < count_; i++) {
      // All columns are equal.
      if (IsOrder() && !decided_[i]) truths_[i] = AllowsEqual() ? kTrue : kFalse;
      auto truth = truths_[i];
      if (comparison_ == ExpressionType::COMPARE_NOTEQUAL) truth = static_cast<Truth>(2 - truth);
      auto& answer = answers[rows_.get_index(i)];
      answer = std::max(answer, truth);
    }
    count_ = 0;
  }

 private:
  bool IsOrder() const {
    return comparison_ != ExpressionType::COMPARE_EQUAL &&
           comparison_ != ExpressionType::COMPARE_NOTEQUAL;
  }
  bool AllowsEqual() const {
    return comparison_ == ExpressionType::COMPARE_LESSTHANOREQUALTO ||
           comparison_ == ExpressionType::COMPARE_GREATERTHANOREQUALTO;
  }
  bool AsksForLess() const {
    return comparison_ == ExpressionType::COMPARE_LESSTHAN ||
           comparison_ == ExpressionType::COMPARE_LESSTHANOREQUALTO;
  }

  void CompareColumn(idx_t column) {
    Vector left(*duckdb::StructVector::GetEntries(row_)[column], rows_, count_);
    Vector right(*duckdb::StructVector::GetEntries(others_)[column], elements_, count_);
    Vector equal(LogicalType::BOOLEAN), less(LogicalType::BOOLEAN);
    duckdb::VectorOperations::Equals(left, right, equal, count_);
    duckdb::UnifiedVectorFormat equals, lesses;
    equal.ToUnifiedFormat(count_, equals);
    if (IsOrder()) {
      duckdb::VectorOperations::LessThan(left, right, less, count_);
      less.ToUnifiedFormat(count_, lesses);
    }
    for (idx_t i = 0; i < count_; i++) {
      auto at = equals.sel->get_index(i);
      bool known = equals.validity.RowIsValid(at);
      bool same = known && duckdb::UnifiedVectorFormat::GetData<bool>(equals)[at];
      if (!IsOrder()) {
        truths_[i] = std::min(truths_[i], !known ? kUnknown : same ? kTrue : kFalse);
        continue;
      }
      // The first column that is not equal decides.
      if (decided_[i] || same) continue;
      decided_[i] = true;
      bool is_less =
          known && duckdb::UnifiedVectorFormat::GetData<bool>(lesses)[lesses.sel->get_index(i)];
      truths_[i] = !known ? kUnknown : is_less == AsksForLess() ? kTrue : kFalse;
    }
  }

  ExpressionType comparison_;
  Vector& row_;
  Vector& others_;
  idx_t columns_;
  duckdb::SelectionVector rows_{STANDARD_VECTOR_SIZE}, elements_{STANDARD_VECTOR_SIZE};
  Truth truths_[STANDARD_VECTOR_SIZE];
  bool decided_[STANDARD_VECTOR_SIZE];
  idx_t count_ = 0;
};

void CompareWithRows(ExpressionType comparison, duckdb::DataChunk& arguments, Vector& result) {
  auto count = arguments.size();
  auto &row = arguments.data[0], &lists = arguments.data[1];
  row.Flatten(count);
  duckdb::UnifiedVectorFormat format;
  lists.ToUnifiedFormat(count, format);
  auto& others = duckdb::ListVector::GetEntry(lists);
  others.Flatten(duckdb::ListVector::GetListSize(lists));
  std::vector<Truth> answers(count, kFalse);
  RowPairs pairs(comparison, row, others, duckdb::StructType::GetChildCount(row.GetType()));
  auto* entries = duckdb::UnifiedVectorFormat::GetData<duckdb::list_entry_t>(format);
  for (idx_t i = 0; i < count; i++) {
    auto at = format.sel->get_index(i);
    if (!format.validity.RowIsValid(at)) continue;  // of no rows there is no list
    for (idx_t k = 0; k < entries[at].length; k++) pairs.Add(i, entries[at].offset + k, answers);
  }
  pairs.Settle(answers);
  result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  auto* values = duckdb::FlatVector::GetData<bool>(result);
  for (idx_t i = 0; i < count; i++) {
    values[i] = answers[i] == kTrue;
    if (answers[i] == kUnknown) duckdb::FlatVector::SetNull(result, i, true);
  }
}

// Both sides become rows of the types in which their columns can be compared.
duckdb::unique_ptr<duckdb::FunctionData> BindRowComparison(
    duckdb::ClientContext& context, duckdb::ScalarFunction& function,
    duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& arguments) {
  auto &row = arguments[0]->return_type, &list = arguments[1]->return_type;
  if (row.id() != LogicalTypeId::STRUCT || list.id() != LogicalTypeId::LIST) {
    throw duckdb::BinderException("a row is compared with rows");
  }
  auto& columns = duckdb::StructType::GetChildTypes(row);
  auto& others = duckdb::StructType::GetChildTypes(duckdb::ListType::GetChildType(list));
  duckdb::child_list_t<LogicalType> types;
  for (size_t i = 0; i < columns.size(); i++) {
    LogicalType type;
    if (!LogicalType::TryGetMaxLogicalType(context, columns[i].second, others.at(i).second, type)) {
      throw duckdb::BinderException(
          "Cannot compare values of type %s and %s in IN/ANY/ALL clause - an explicit cast is "
          "required",
          columns[i].second.ToString(), others[i].second.ToString());
    }
    types.emplace_back("", type);
  }
  auto compared = LogicalType::STRUCT(types);
  function.arguments = {compared, LogicalType::LIST(compared)};
  return nullptr;
}

// ---- the rewriting ------------------------------------------------------------------------------

using ParsedOwner = duckdb::unique_ptr<duckdb::ParsedExpression>;

duckdb::FunctionExpression* AsRow(duckdb::ParsedExpression* expression) {
  if (!expression || expression->GetExpressionClass() != duckdb::ExpressionClass::FUNCTION) {
    return nullptr;
  }
  auto& call = expression->Cast<duckdb::FunctionExpression>();
  return call.function_name == "row" && call.children.size() > 1 ? &call : nullptr;
}

duckdb::SubqueryExpression* AsRowComparison(duckdb::ParsedExpression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::SUBQUERY) return nullptr;
  auto& subquery = expression.Cast<duckdb::SubqueryExpression>();
  if (subquery.subquery_type != duckdb::SubqueryType::ANY || !AsRow(subquery.child.get())) {
    return nullptr;
  }
  // (SELECT (x, y) ...) is a subquery of one column.
  auto& node = *subquery.subquery->node;
  if (node.type == duckdb::QueryNodeType::SELECT_NODE) {
    auto& list = node.Cast<duckdb::SelectNode>().select_list;
    if (list.size() == 1 && AsRow(list[0].get())) return nullptr;
  }
  return &subquery;
}

class RowRewriter {
 public:
  explicit RowRewriter(bool correlated) : correlated_(correlated) {}

  void Statement(duckdb::SelectStatement& statement) { Node(*statement.node); }
  bool changed() const { return changed_; }
  // Whether a row is left that is compared by IN.
  bool found() const { return found_; }

 private:
  void Node(duckdb::QueryNode& node) {
    if (node.type == duckdb::QueryNodeType::SELECT_NODE) {
      auto& where = node.Cast<duckdb::SelectNode>().where_clause;
      if (where) SpareConditions(*where);
    }
    duckdb::ParsedExpressionIterator::EnumerateQueryNodeChildren(
        node, [&](ParsedOwner& child) { Visit(child); });
  }

  // Where only TRUE lets a row through, NULL or FALSE are one, and DuckDB has a join.
  void SpareConditions(duckdb::ParsedExpression& condition) {
    if (condition.type == ExpressionType::CONJUNCTION_AND) {
      for (auto& child : condition.Cast<duckdb::ConjunctionExpression>().children) {
        SpareConditions(*child);
      }
    } else {
      spared_.insert(&condition);
    }
  }

  void Visit(ParsedOwner& expression) {
    bool spared = spared_.contains(expression.get());
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
      Statement(*expression->Cast<duckdb::SubqueryExpression>().subquery);
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(*expression,
                                                        [&](ParsedOwner& child) { Visit(child); });
    auto* subquery = AsRowComparison(*expression);
    if (!subquery) return;
    bool is_in = subquery->comparison_type == ExpressionType::COMPARE_EQUAL;
    bool wide = AsRow(subquery->child.get())->children.size() > kMarkedColumns;
    if (!is_in || correlated_ || (wide && !spared)) {
      Replace(expression, *subquery);
    } else {
      found_ = true;
    }
  }

  void Replace(ParsedOwner& expression, duckdb::SubqueryExpression& comparison) {
    std::string name(kComparisons[0].function);
    for (auto& known : kComparisons) {
      if (known.type == comparison.comparison_type) name = known.function;
    }
    auto alias = expression->HasAlias() ? expression->GetAlias() : expression->ToString();
    auto rows = duckdb::make_uniq<duckdb::SubqueryRef>(std::move(comparison.subquery), "compared");
    duckdb::vector<ParsedOwner> columns;
    for (size_t i = 0; i < AsRow(comparison.child.get())->children.size(); i++) {
      rows->column_name_alias.push_back("compared column " + std::to_string(i));
      columns.push_back(
          duckdb::make_uniq<duckdb::ColumnRefExpression>(rows->column_name_alias[i], "compared"));
    }
    duckdb::vector<ParsedOwner> row;
    row.push_back(duckdb::make_uniq<duckdb::FunctionExpression>("row", std::move(columns)));
    auto list = duckdb::make_uniq<duckdb::FunctionExpression>("list", std::move(row));
    list->distinct = true;
    auto select = duckdb::make_uniq<duckdb::SelectNode>();
    select->select_list.push_back(std::move(list));
    select->from_table = std::move(rows);
    auto subquery = duckdb::make_uniq<duckdb::SubqueryExpression>();
    subquery->subquery_type = duckdb::SubqueryType::SCALAR;
    subquery->subquery = duckdb::make_uniq<duckdb::SelectStatement>();
    subquery->subquery->node = std::move(select);
    duckdb::vector<ParsedOwner> arguments;
    arguments.push_back(std::move(comparison.child));
    arguments.push_back(std::move(subquery));
    expression = duckdb::make_uniq<duckdb::FunctionExpression>(name, std::move(arguments));
    expression->SetAlias(alias);
    changed_ = true;
  }

  bool correlated_, changed_ = false, found_ = false;
  std::set<const duckdb::ParsedExpression*> spared_;
};

bool IsRefused(duckdb::ClientContext& context, const duckdb::SelectStatement& query) {
  try {
    duckdb::Planner(context).CreatePlan(query.Copy());
  } catch (const std::exception& error) {
    return std::string_view(error.what()).find("Correlated IN/ANY/ALL with multiple columns") !=
           std::string_view::npos;
  }
  return false;
}

}  // namespace

void InstallRowSubqueries(duckdb::DuckDB& database) {
  duckdb::Connection connection(database);
  connection.BeginTransaction();
  auto& catalog = duckdb::Catalog::GetSystemCatalog(*connection.context);
  for (auto& [type, name] : kComparisons) {
    auto comparison = type;
    duckdb::ScalarFunction function(
        std::string(name), {LogicalType::ANY, LogicalType::ANY}, LogicalType::BOOLEAN,
        [comparison](duckdb::DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
          CompareWithRows(comparison, arguments, result);
        },
        BindRowComparison);
    function.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
    duckdb::CreateScalarFunctionInfo info(function);
    catalog.CreateFunction(*connection.context, info);
  }
  connection.Commit();
}

bool RewriteRowSubqueries(duckdb::ClientContext& context, duckdb::SelectStatement& query) {
  RowRewriter first(false), second(true);
  first.Statement(query);
  if (first.found() && IsRefused(context, query)) second.Statement(query);
  return first.changed() || second.changed();
}

}  // namespace weir
