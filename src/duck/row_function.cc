#include "duck/row_function.h"

#include "base/memory_budget.h"
#include "duck/errors.h"
#include "duckdb/planner/operator/logical_get.hpp"

namespace weir {

RowFunction::RowFunction(duckdb::LogicalGet& get, std::vector<duckdb::LogicalType> input_types)
    : function(get.function),
      bind_data(std::move(get.bind_data)),
      kept(get.projected_input.begin(), get.projected_input.end()),
      input(std::move(input_types)),
      output(get.types.begin(), get.types.end()),
      name(get.function.name) {
  for (auto& column : get.GetColumnIds()) columns.push_back(column.GetPrimaryIndex());
  identity = name + "(";
  for (auto& value : get.parameters) identity += value.ToSQLString() + ",";
  for (auto& [key, value] : get.named_parameters) identity += key + "=" + value.ToSQLString() + ",";
  for (auto& type : input) identity += type.ToString() + ",";
  identity += ")";
  for (auto column : columns) identity += std::to_string(column) + ",";
  identity += "/";
  for (auto column : kept) identity += std::to_string(column) + ",";
}

RowFunctionRunner::RowFunctionRunner(std::shared_ptr<Session> session, RowFunctionPtr function)
    : session_(std::move(session)),
      function_(std::move(function)),
      thread_(session_->context()),
      execution_(session_->context(), thread_, nullptr) {
  Begin();
  // The columns that are only kept stand behind the arguments.
  duckdb::vector<duckdb::LogicalType> in(
      function_->input.begin(),
      function_->input.end() - static_cast<ptrdiff_t>(function_->kept.size()));
  duckdb::vector<duckdb::LogicalType> out(function_->output.begin(), function_->output.end());
  arguments_.InitializeEmpty(in);
  out_.Initialize(duckdb::Allocator::DefaultAllocator(), out);
}

void RowFunctionRunner::Begin() {
  auto& called = function_->function;
  duckdb::vector<duckdb::column_t> columns(function_->columns.begin(), function_->columns.end());
  duckdb::vector<duckdb::idx_t> projection;
  duckdb::TableFunctionInitInput input(function_->bind_data.get(), columns, projection, nullptr);
  if (called.init_global) global_ = called.init_global(session_->context(), input);
  if (called.init_local) local_ = called.init_local(execution_, input, global_.get());
}

void RowFunctionRunner::Run(duckdb::DataChunk& rows, duckdb::idx_t row,
                            const std::function<void(duckdb::DataChunk&)>& sink) {
  for (duckdb::idx_t i = 0; i < arguments_.ColumnCount(); i++) {
    duckdb::ConstantVector::Reference(arguments_.data[i], rows.data[i], row, rows.size());
  }
  arguments_.SetCardinality(1);
  size_t own = out_.ColumnCount() - function_->kept.size();
  duckdb::TableFunctionInput data(function_->bind_data.get(), local_.get(), global_.get());
  while (true) {
    out_.Reset();
    for (size_t i = 0; i < function_->kept.size(); i++) {
      duckdb::ConstantVector::Reference(out_.data[own + i], rows.data[function_->kept[i]], row,
                                        rows.size());
    }
    duckdb::OperatorResultType result;
    try {
      MemoryBudget budget(RowBudget());
      result = function_->function.in_out_function(execution_, data, arguments_, out_);
    } catch (...) {
      Begin();  // it stands in the middle of the row
      RethrowExpressionFailure(function_->name);
    }
    if (out_.size()) sink(out_);
    if (result != duckdb::OperatorResultType::HAVE_MORE_OUTPUT) break;
  }
}

}  // namespace weir
