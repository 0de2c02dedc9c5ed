// A table function of each row (LATERAL generate_series(1, n), json_each(doc)): DuckDB's own,
// called with one row after the other.  What it says depends on the row alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "duck/session.h"
#include "duckdb/common/types/data_chunk.hpp"
#include "duckdb/execution/execution_context.hpp"
#include "duckdb/function/table_function.hpp"
#include "duckdb/parallel/thread_context.hpp"

namespace duckdb {
class LogicalGet;
}

namespace weir {

// Bound, and taken out of its plan.  Immutable.
struct RowFunction {
  // `get` gives its bind data away.
  RowFunction(duckdb::LogicalGet& get, std::vector<duckdb::LogicalType> input);

  duckdb::TableFunction function;
  std::unique_ptr<duckdb::FunctionData> bind_data;
  std::vector<duckdb::column_t> columns;  // of the function
  std::vector<size_t> kept;               // columns of the input, behind those of the function
  std::vector<duckdb::LogicalType> input, output;
  std::string name;
  std::string identity;  // equal for those that say the same of the same rows
};
using RowFunctionPtr = std::shared_ptr<const RowFunction>;

// One thread at a time.
class RowFunctionRunner {
 public:
  RowFunctionRunner(std::shared_ptr<Session> session, RowFunctionPtr function);

  // Calls `sink` with the rows that row `row` of `rows` becomes, some at a time; they are valid
  // during the call.  Throws ExpressionFailed when the function does not take the row's values.
  void Run(duckdb::DataChunk& rows, duckdb::idx_t row,
           const std::function<void(duckdb::DataChunk&)>& sink);

 private:
  void Begin();

  std::shared_ptr<Session> session_;
  RowFunctionPtr function_;
  duckdb::ThreadContext thread_;
  duckdb::ExecutionContext execution_;
  std::unique_ptr<duckdb::GlobalTableFunctionState> global_;
  std::unique_ptr<duckdb::LocalTableFunctionState> local_;
  duckdb::DataChunk arguments_, out_;
};

}  // namespace weir
