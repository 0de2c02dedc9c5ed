#include "duck/functions/text_choices.h"

#include <memory>
#include <string>
#include <vector>

#include "duck/functions/choice_case.h"
#include "duck/functions/each_text.h"
#include "duck/functions/faster_functions.h"
#include "duckdb/planner/expression/bound_case_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using duckdb::string_t;
using ExpressionOwner = duckdb::unique_ptr<Expression>;

const std::string* ConstantText(const Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) return nullptr;
  auto& value = expression.Cast<duckdb::BoundConstantExpression>().value;
  if (value.IsNull() || value.type() != duckdb::LogicalType::VARCHAR) return nullptr;
  return &duckdb::StringValue::Get(value);
}

// `text` = a constant.
struct Equality {
  const Expression* text = nullptr;  // null: it is no such comparison
  const std::string* constant = nullptr;
};
Equality AsEquality(const Expression& expression) {
  if (expression.GetExpressionType() != duckdb::ExpressionType::COMPARE_EQUAL) return {};
  auto& comparison = expression.Cast<duckdb::BoundComparisonExpression>();
  const Expression* sides[] = {comparison.left.get(), comparison.right.get()};
  for (int side : {0, 1}) {
    auto* constant = ConstantText(*sides[1 - side]);
    auto& text = *sides[side];
    bool fits = constant && text.return_type == duckdb::LogicalType::VARCHAR && !text.IsVolatile();
    if (fits && !ConstantText(text)) return {&text, constant};
  }
  return {};
}

ExpressionOwner IsOneOf(ExpressionOwner text, Choices choices) {
  duckdb::ScalarFunction function(
      "is one of", {duckdb::LogicalType::VARCHAR}, duckdb::LogicalType::BOOLEAN,
      [choices = std::make_shared<const Choices>(std::move(choices))](
          duckdb::DataChunk& arguments, duckdb::ExpressionState&, duckdb::Vector& result) {
        auto* found = duckdb::FlatVector::GetDataUnsafe<bool>(result);
        ForEachText(arguments.data[0], arguments.size(), result,
                    [&](const string_t& value, duckdb::idx_t row) {
                      found[row] = choices->Find(value) < choices->size();
                    });
      });
  duckdb::vector<ExpressionOwner> children;
  children.push_back(std::move(text));
  return duckdb::make_uniq<duckdb::BoundFunctionExpression>(
      duckdb::LogicalType::BOOLEAN, std::move(function), std::move(children), nullptr);
}

// x = 'a' OR x = 'b' OR ...
void RewriteOr(ExpressionOwner& expression) {
  auto& children = expression->Cast<duckdb::BoundConjunctionExpression>().children;
  duckdb::vector<ExpressionOwner> rest;
  for (size_t first = 0; first < children.size(); first++) {
    if (!children[first]) continue;  // is with one before it
    auto equality = AsEquality(*children[first]);
    Choices choices;
    std::vector<size_t> alike;
    for (size_t i = first; equality.text && i < children.size(); i++) {
      if (!children[i]) continue;
      auto other = AsEquality(*children[i]);
      if (!other.text || !other.text->Equals(*equality.text)) continue;
      choices.Add(*other.constant);
      alike.push_back(i);
    }
    if (choices.size() < 2) {
      rest.push_back(std::move(children[first]));
      continue;
    }
    rest.push_back(IsOneOf(equality.text->Copy(), std::move(choices)));
    for (size_t i : alike) children[i].reset();
  }
  if (rest.size() == 1) {
    expression = std::move(rest[0]);
  } else {
    children = std::move(rest);
  }
}

// CASE WHEN x = 'a' THEN 1 WHEN x = 'b' THEN 2 ...; further conditions, which may be of this kind
// again, become a CASE for the rows that are left.
void RewriteCase(ExpressionOwner& expression) {
  auto& whole = expression->Cast<duckdb::BoundCaseExpression>();
  auto& checks = whole.case_checks;
  Choices choices;
  std::vector<duckdb::Value> results;
  ExpressionOwner text;
  for (auto& check : checks) {
    auto equality = AsEquality(*check.when_expr);
    bool is_constant =
        check.then_expr->GetExpressionClass() == duckdb::ExpressionClass::BOUND_CONSTANT &&
        check.then_expr->return_type == whole.return_type;
    if (!equality.text || !is_constant || (text && !text->Equals(*equality.text))) break;
    if (!text) text = equality.text->Copy();
    choices.Add(*equality.constant);
    results.push_back(check.then_expr->Cast<duckdb::BoundConstantExpression>().value);
  }
  if (results.empty()) return;
  checks.erase(checks.begin(), checks.begin() + static_cast<int64_t>(results.size()));
  ExpressionOwner rest = checks.empty() ? std::move(whole.else_expr) : std::move(expression);
  UseFasterFunctions(rest);
  expression = MakeChoiceCase(std::move(text), std::move(choices), results, std::move(rest));
}

}  // namespace

void UseTextChoices(ExpressionOwner& expression) {
  if (expression->GetExpressionType() == duckdb::ExpressionType::CONJUNCTION_OR) {
    RewriteOr(expression);
  } else if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_CASE &&
             CanBeChosen(expression->return_type) && !expression->IsVolatile()) {
    RewriteCase(expression);
  }
}

}  // namespace weir
