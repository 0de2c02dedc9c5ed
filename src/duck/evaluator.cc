#include "duck/evaluator.h"

#include "base/memory_budget.h"
#include "duck/alternatives.h"
#include "duck/column_equals.h"
#include "duck/errors.h"
#include "duck/functions/faster_functions.h"
#include "duck/functions/short_texts.h"
#include "duck/rounding.h"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace weir {

struct Evaluator::Executor {
  explicit Executor(duckdb::ClientContext& context) : executor(context) {}
  std::vector<std::optional<size_t>> columns;  // by expression: those that are just a column
  // Of the others, in their order.
  std::vector<duckdb::unique_ptr<duckdb::Expression>> faster;  // what is run for each
  duckdb::ExpressionExecutor executor;
  std::vector<std::unique_ptr<Rounding>> roundings;  // instead of the executor, where they are set
  duckdb::DataChunk computed;

  duckdb::DataChunk result;  // refers to columns of the rows and of `computed`
};

Evaluator::Evaluator(std::shared_ptr<Session> session, std::vector<ExpressionPtr> expressions)
    : session_(std::move(session)),
      expressions_(std::move(expressions)),
      executor_(std::make_unique<Executor>(session_->context())) {
  duckdb::vector<duckdb::LogicalType> computed;
  for (auto& expression : expressions_) {
    types_.push_back(expression->return_type);
    executor_->columns.push_back(AsColumn(expression));
    if (executor_->columns.back()) continue;
    auto& faster = executor_->faster.emplace_back(expression->Copy());
    UseFasterFunctions(faster);
    executor_->executor.AddExpression(*faster);
    executor_->roundings.push_back(Rounding::Make(session_, *faster));
    computed.push_back(expression->return_type);
  }
  if (types_.empty()) return;
  executor_->result.InitializeEmpty({types_.begin(), types_.end()});
  if (computed.empty()) return;
  executor_->computed.Initialize(duckdb::Allocator::DefaultAllocator(), computed);
}

Evaluator::~Evaluator() = default;

duckdb::DataChunk& Evaluator::Run(duckdb::DataChunk& rows) {
  auto& executor = executor_->executor;
  auto& computed = executor_->computed;
  auto& result = executor_->result;
  if (computed.ColumnCount() > 0) {
    computed.Reset();
    executor.SetChunk(&rows);
  }
  size_t i = 0, next = 0;
  MemoryBudget budget(RowBudget());
  try {
    for (; i < expressions_.size(); i++) {
      if (auto column = executor_->columns[i]) {
        result.data[i].Reference(rows.data[*column]);
        continue;
      }
      auto& out = computed.data[next];
      if (auto& rounding = executor_->roundings[next]) {
        rounding->Run(rows.data[rounding->column()], rows.size(), out);
      } else {
        executor.ExecuteExpression(next, out);
      }
      result.data[i].Reference(out);
      next++;
    }
  } catch (...) {
    RethrowExpressionFailure(expressions_[i]->ToString());
  }
  result.SetCardinality(rows.size());
  return result;
}

namespace {

// localtimestamp and localtime take the clock when they are bound, so they are bound again.
void BindLocalClock(duckdb::ClientContext& context, duckdb::Expression& expression) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION) {
    auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
    if (call.function.name.find("local") != std::string::npos && call.children.empty() &&
        call.function.HasBindCallback()) {
      call.bind_info = call.function.GetBindCallback()(context, call.function, call.children);
    }
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](duckdb::Expression& child) { BindLocalClock(context, child); });
}

}  // namespace

duckdb::Value Evaluator::RunOnce() {
  auto expression = expressions_[0]->Copy();
  BindLocalClock(session_->context(), *expression);
  return duckdb::ExpressionExecutor::EvaluateScalar(session_->context(), *expression, true);
}

// `column` = a text of at most 12 bytes.
struct ShortTextEquals {
  duckdb::idx_t column;
  ShortText text;
};

namespace {

std::optional<ShortTextEquals> AsShortTextEquals(const duckdb::Expression& expression) {
  auto equals = AsColumnEquals(expression);
  if (!equals || equals->constant.type().InternalType() != duckdb::PhysicalType::VARCHAR) {
    return std::nullopt;
  }
  auto text = ShortText::Of(duckdb::StringValue::Get(equals->constant));
  if (!text) return std::nullopt;
  return ShortTextEquals{equals->column, *text};
}

// Rows of `input` (null: all) whose string matches, into `output`.
duckdb::idx_t SelectRows(const ShortTextEquals& test, duckdb::DataChunk& rows,
                         const duckdb::SelectionVector* input, duckdb::idx_t count,
                         duckdb::SelectionVector& output) {
  auto& column = rows.data[test.column];
  duckdb::UnifiedVectorFormat format;
  column.ToUnifiedFormat(rows.size(), format);
  auto* values = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::string_t>(format);
  duckdb::idx_t found = 0;
  if (!input && column.GetVectorType() == duckdb::VectorType::FLAT_VECTOR &&
      format.validity.AllValid()) {
    return SelectShortText(test.text, values, count, output.data());
  }
  for (duckdb::idx_t i = 0; i < count; i++) {
    auto row = input ? input->get_index(i) : i;
    auto index = format.sel->get_index(row);
    output.set_index(found, row);
    found += format.validity.RowIsValid(index) && test.text.Equals(values[index]);
  }
  return found;
}

}  // namespace

struct Selector::Impl {
  duckdb::idx_t SelectRest(duckdb::DataChunk& rows, duckdb::SelectionVector& selection) {
    MemoryBudget budget(RowBudget());
    try {
      if (alternatives) return alternatives->Select(rows, selection);
      return executor->SelectExpression(rows, selection);
    } catch (...) {
      RethrowExpressionFailure(rest_as_written->ToString());
    }
  }

  std::shared_ptr<Session> session;
  std::vector<ExpressionPtr> predicates;
  std::vector<ShortTextEquals> short_texts;
  ExpressionPtr rest;             // a conjunction of the others, or null
  ExpressionPtr rest_as_written;  // for people
  std::unique_ptr<duckdb::ExpressionExecutor> executor;
  std::unique_ptr<Alternatives> alternatives;  // instead, when it is a disjunction
  duckdb::SelectionVector first{STANDARD_VECTOR_SIZE};
  duckdb::DataChunk sliced;
};

Selector::Selector(std::shared_ptr<Session> session, std::vector<ExpressionPtr> predicates)
    : impl_(std::make_unique<Impl>()) {
  impl_->session = std::move(session);
  impl_->predicates = std::move(predicates);
  duckdb::unique_ptr<duckdb::Expression> rest;
  for (auto& predicate : impl_->predicates) {
    if (auto test = AsShortTextEquals(*predicate)) {
      impl_->short_texts.push_back(*test);
    } else if (!rest) {
      rest = predicate->Copy();
    } else {
      rest = duckdb::make_uniq<duckdb::BoundConjunctionExpression>(
          duckdb::ExpressionType::CONJUNCTION_AND, std::move(rest), predicate->Copy());
    }
  }
  if (rest) {
    impl_->rest_as_written = ExpressionPtr(rest->Copy().release());
    UseFasterFunctions(rest);
    impl_->rest = ExpressionPtr(rest.release());
    impl_->executor =
        std::make_unique<duckdb::ExpressionExecutor>(impl_->session->context(), *impl_->rest);
    if (impl_->rest->GetExpressionType() == duckdb::ExpressionType::CONJUNCTION_OR) {
      impl_->alternatives = std::make_unique<Alternatives>(
          impl_->session->context(), impl_->rest->Cast<duckdb::BoundConjunctionExpression>());
    }
  }
}

Selector::~Selector() = default;

duckdb::idx_t Selector::Select(duckdb::DataChunk& rows, duckdb::SelectionVector& selection) {
  duckdb::idx_t count = rows.size();
  const duckdb::SelectionVector* current = nullptr;
  for (auto& test : impl_->short_texts) {
    // In place is safe: a row is written at or before the place it was read from.
    count = SelectRows(test, rows, current, count, selection);
    current = &selection;
  }
  if (!impl_->rest || count == 0) return count;
  if (!current) return impl_->SelectRest(rows, selection);
  auto& sliced = impl_->sliced;
  if (sliced.ColumnCount() == 0) sliced.InitializeEmpty(rows.GetTypes());
  sliced.Reference(rows);
  sliced.Slice(selection, count);
  auto kept = impl_->SelectRest(sliced, impl_->first);
  for (duckdb::idx_t i = 0; i < kept; i++) {
    selection.set_index(i, selection.get_index(impl_->first.get_index(i)));
  }
  return kept;
}

}  // namespace weir
