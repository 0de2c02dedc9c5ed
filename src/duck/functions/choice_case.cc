#include "duck/functions/choice_case.h"

#include <map>

#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/execution/expression_executor_state.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {
namespace {

using duckdb::Expression;
using ExpressionOwner = duckdb::unique_ptr<Expression>;

struct SixteenBytes {
  uint64_t words[2];
};

// References to columns become references to the columns of a chunk of their own; which ones these
// are is appended to `columns`.
void TakeColumns(Expression& expression, std::map<size_t, size_t>& places,
                 duckdb::vector<ExpressionOwner>& columns) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF) {
    auto& reference = expression.Cast<duckdb::BoundReferenceExpression>();
    auto [place, is_new] = places.try_emplace(reference.index, places.size());
    if (is_new) columns.push_back(reference.Copy());
    reference.index = place->second;
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](Expression& child) { TakeColumns(child, places, columns); });
}

class ChoiceCase {
 public:
  // Without `rest` the last of the results is that of all other texts.
  ChoiceCase(const duckdb::LogicalType& type, Choices choices,
             const std::vector<duckdb::Value>& results, ExpressionOwner rest,
             const duckdb::vector<duckdb::LogicalType>& columns)
      : choices_(std::move(choices)),
        results_(type, true, true, choices_.size() + 1),
        rest_(std::move(rest)) {
    for (size_t i = 0; i < results.size(); i++) {
      results_.SetValue(i, results[i]);
      has_null_ |= results[i].IsNull();
    }
    if (!rest_) return;
    if (!columns.empty()) rows_.InitializeEmpty(columns);
    answers_.Initialize(duckdb::Allocator::DefaultAllocator(), {type});
  }

  // Arguments: the text, and the columns `rest` reads.
  template <class Value>
  void Run(duckdb::DataChunk& arguments, duckdb::ExpressionState& state, duckdb::Vector& result) {
    auto count = arguments.size();
    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    auto* out = duckdb::FlatVector::GetDataUnsafe<Value>(result);
    auto* results = duckdb::FlatVector::GetDataUnsafe<Value>(results_);
    duckdb::UnifiedVectorFormat texts;
    arguments.data[0].ToUnifiedFormat(count, texts);
    auto* text = duckdb::UnifiedVectorFormat::GetData<duckdb::string_t>(texts);
    bool all_valid = texts.validity.AllValid();
    duckdb::idx_t left = 0;
    for (duckdb::idx_t row = 0; row < count; row++) {
      auto index = texts.sel->get_index(row);
      bool is_null = !all_valid && !texts.validity.RowIsValid(index);
      auto found = is_null ? choices_.size() : choices_.Find(text[index]);
      out[row] = results[found];
      left_.set_index(left, row);
      left += found == choices_.size();
      if (has_null_ && duckdb::FlatVector::IsNull(results_, found)) {
        duckdb::FlatVector::SetNull(result, row, true);
      }
    }
    bool is_text = result.GetType().InternalType() == duckdb::PhysicalType::VARCHAR;
    if (is_text) duckdb::StringVector::AddHeapReference(result, results_);
    if (!rest_ || left == 0) return;
    auto& answers = Answers(arguments, left, state);
    if (is_text) duckdb::StringVector::AddHeapReference(result, answers);
    duckdb::UnifiedVectorFormat format;
    answers.ToUnifiedFormat(left, format);
    auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<Value>(format);
    for (duckdb::idx_t i = 0; i < left; i++) {
      auto index = format.sel->get_index(i);
      auto row = left_.get_index(i);
      out[row] = values[index];
      if (!format.validity.RowIsValid(index)) duckdb::FlatVector::SetNull(result, row, true);
    }
  }

 private:
  // What `rest_` says of the rows left.
  duckdb::Vector& Answers(duckdb::DataChunk& arguments, duckdb::idx_t left,
                          duckdb::ExpressionState& state) {
    if (!executor_) {
      executor_ = std::make_unique<duckdb::ExpressionExecutor>(state.GetContext(), *rest_);
    }
    for (size_t i = 0; i < rows_.ColumnCount(); i++) {
      rows_.data[i].Reference(arguments.data[i + 1]);
      if (left < arguments.size()) rows_.data[i].Slice(left_, left);
    }
    rows_.SetCardinality(left);
    answers_.Reset();
    executor_->ExecuteExpression(rows_, answers_.data[0]);
    return answers_.data[0];
  }

  Choices choices_;
  duckdb::Vector results_;
  bool has_null_ = false;
  ExpressionOwner rest_;  // null: a constant, the last of the results
  std::unique_ptr<duckdb::ExpressionExecutor> executor_;
  duckdb::SelectionVector left_{STANDARD_VECTOR_SIZE};
  duckdb::DataChunk rows_, answers_;
};

template <class Value>
duckdb::scalar_function_t RunOf(std::shared_ptr<ChoiceCase> choice_case) {
  return [choice_case = std::move(choice_case)](
             duckdb::DataChunk& arguments, duckdb::ExpressionState& state, duckdb::Vector& result) {
    choice_case->Run<Value>(arguments, state, result);
  };
}

duckdb::scalar_function_t RunOf(size_t bytes, std::shared_ptr<ChoiceCase> choice_case) {
  switch (bytes) {
    case 1: return RunOf<uint8_t>(std::move(choice_case));
    case 2: return RunOf<uint16_t>(std::move(choice_case));
    case 4: return RunOf<uint32_t>(std::move(choice_case));
    case 8: return RunOf<uint64_t>(std::move(choice_case));
    default: return RunOf<SixteenBytes>(std::move(choice_case));
  }
}

}  // namespace

bool CanBeChosen(const duckdb::LogicalType& type) {
  auto physical = type.InternalType();
  if (physical == duckdb::PhysicalType::VARCHAR) return true;
  if (!duckdb::TypeIsConstantSize(physical)) return false;
  auto bytes = duckdb::GetTypeIdSize(physical);
  return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8 || bytes == sizeof(SixteenBytes);
}

ExpressionOwner MakeChoiceCase(ExpressionOwner text, Choices choices,
                               const std::vector<duckdb::Value>& results, ExpressionOwner rest) {
  auto type = rest->return_type;
  bool can_throw = rest->CanThrow();
  auto of_each = results;
  duckdb::vector<ExpressionOwner> children;
  children.push_back(std::move(text));
  if (rest->GetExpressionClass() == duckdb::ExpressionClass::BOUND_CONSTANT) {
    of_each.push_back(rest->Cast<duckdb::BoundConstantExpression>().value);
    rest.reset();
  } else {
    std::map<size_t, size_t> places;
    TakeColumns(*rest, places, children);
  }
  duckdb::vector<duckdb::LogicalType> types;
  for (auto& child : children) types.push_back(child->return_type);
  auto choice_case = std::make_shared<ChoiceCase>(
      type, std::move(choices), of_each, std::move(rest),
      duckdb::vector<duckdb::LogicalType>(types.begin() + 1, types.end()));
  duckdb::ScalarFunction function("choice", types, type,
                                  RunOf(duckdb::GetTypeIdSize(type.InternalType()), choice_case));
  function.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
  if (can_throw) function.SetFallible();
  return duckdb::make_uniq<duckdb::BoundFunctionExpression>(type, std::move(function),
                                                            std::move(children), nullptr);
}

}  // namespace weir
