#include "duck/text_choices.h"

#include <memory>
#include <string>
#include <vector>

#include "duck/each_text.h"
#include "duck/short_texts.h"
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

// Texts in the order in which they are to be found, and what belongs to each.
class Choices {
 public:
  static constexpr size_t kNone = SIZE_MAX;

  void Add(const std::string& text, const std::string& result = "") {
    kept_.push_back(std::make_unique<std::string>(text));
    texts_.push_back(ViewOf(*kept_.back()));
    kept_.push_back(std::make_unique<std::string>(result));
    results_.push_back(ViewOf(*kept_.back()));
    sizes_ |= SizeBit(text.size());
    auto short_text = ShortText::Of(text);
    if (short_text) short_texts_.push_back(*short_text);
  }
  size_t size() const { return texts_.size(); }
  size_t Find(const string_t& text) const {
    if (short_texts_.size() == texts_.size() && texts_.size() <= kFew) return FindShort(text);
    if (!(sizes_ & SizeBit(text.GetSize()))) return kNone;
    for (size_t i = 0; i < texts_.size(); i++) {
      if (texts_[i] == text) return i;
    }
    return kNone;
  }
  const string_t& result(size_t i) const { return results_[i]; }

 private:
  static constexpr size_t kFew = 16;

  // All are looked at: which of them it is, no processor foresees.
  size_t FindShort(const string_t& text) const {
    size_t found = kNone;
    for (size_t i = short_texts_.size(); i-- > 0;) {
      found = short_texts_[i].Equals(text) ? i : found;
    }
    return found;
  }
  static string_t ViewOf(const std::string& text) {
    return {text.data(), static_cast<uint32_t>(text.size())};
  }
  std::vector<std::unique_ptr<std::string>> kept_;
  static uint64_t SizeBit(size_t size) { return uint64_t{1} << size % 64; }
  std::vector<string_t> texts_, results_;
  std::vector<ShortText> short_texts_;  // those that are short
  uint64_t sizes_ = 0;  // that any of the texts has: most others are told apart by it
};

ExpressionOwner Call(const char* name, const duckdb::LogicalType& type, ExpressionOwner text,
                     duckdb::scalar_function_t run) {
  duckdb::ScalarFunction function(name, {duckdb::LogicalType::VARCHAR}, type, std::move(run));
  duckdb::vector<ExpressionOwner> children;
  children.push_back(std::move(text));
  return duckdb::make_uniq<duckdb::BoundFunctionExpression>(type, std::move(function),
                                                            std::move(children), nullptr);
}

ExpressionOwner IsOneOf(ExpressionOwner text, const std::shared_ptr<const Choices>& choices) {
  return Call(
      "is one of", duckdb::LogicalType::BOOLEAN, std::move(text),
      [choices](duckdb::DataChunk& arguments, duckdb::ExpressionState&, duckdb::Vector& result) {
        auto* found = duckdb::FlatVector::GetDataUnsafe<bool>(result);
        ForEachText(arguments.data[0], arguments.size(), result,
                    [&](const string_t& value, duckdb::idx_t row) {
                      found[row] = choices->Find(value) != Choices::kNone;
                    });
      });
}

// Of texts that are one of the choices.
ExpressionOwner ResultOf(ExpressionOwner text, const std::shared_ptr<const Choices>& choices) {
  return Call(
      "choice", duckdb::LogicalType::VARCHAR, std::move(text),
      [choices](duckdb::DataChunk& arguments, duckdb::ExpressionState&, duckdb::Vector& result) {
        auto* results = duckdb::FlatVector::GetDataUnsafe<string_t>(result);
        ForEachText(arguments.data[0], arguments.size(), result,
                    [&](const string_t& value, duckdb::idx_t row) {
                      auto found = choices->Find(value);
                      if (found == Choices::kNone) return SetRowNull(result, row);
                      results[row] = choices->result(found);
                    });
      });
}

// x = 'a' OR x = 'b' OR ...
void RewriteOr(ExpressionOwner& expression) {
  auto& children = expression->Cast<duckdb::BoundConjunctionExpression>().children;
  duckdb::vector<ExpressionOwner> rest;
  for (size_t first = 0; first < children.size(); first++) {
    if (!children[first]) continue;  // is with one before it
    auto equality = AsEquality(*children[first]);
    auto choices = std::make_shared<Choices>();
    std::vector<size_t> alike;
    for (size_t i = first; equality.text && i < children.size(); i++) {
      if (!children[i]) continue;
      auto other = AsEquality(*children[i]);
      if (!other.text || !other.text->Equals(*equality.text)) continue;
      choices->Add(*other.constant);
      alike.push_back(i);
    }
    if (choices->size() < 2) {
      rest.push_back(std::move(children[first]));
      continue;
    }
    rest.push_back(IsOneOf(equality.text->Copy(), choices));
    for (size_t i : alike) children[i].reset();
  }
  if (rest.size() == 1) {
    expression = std::move(rest[0]);
  } else {
    children = std::move(rest);
  }
}

// CASE WHEN x = 'a' THEN '0' WHEN x = 'b' THEN '1' ...
void RewriteCase(Expression& expression) {
  auto& checks = expression.Cast<duckdb::BoundCaseExpression>().case_checks;
  auto choices = std::make_shared<Choices>();
  ExpressionOwner text;
  for (auto& check : checks) {
    auto equality = AsEquality(*check.when_expr);
    auto* result = ConstantText(*check.then_expr);
    if (!equality.text || !result || (text && !text->Equals(*equality.text))) break;
    if (!text) text = equality.text->Copy();
    choices->Add(*equality.constant, *result);
  }
  if (choices->size() < 2) return;
  checks[0].when_expr = IsOneOf(text->Copy(), choices);
  checks[0].then_expr = ResultOf(std::move(text), choices);
  checks.erase(checks.begin() + 1, checks.begin() + static_cast<int64_t>(choices->size()));
}

}  // namespace

void UseTextChoices(ExpressionOwner& expression) {
  if (expression->GetExpressionType() == duckdb::ExpressionType::CONJUNCTION_OR) {
    RewriteOr(expression);
  } else if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_CASE &&
             expression->return_type == duckdb::LogicalType::VARCHAR) {
    RewriteCase(*expression);
  }
}

}  // namespace weir
