// Runs expressions over rows with DuckDB's vectorized executor.  Belongs to one thread at a time;
// keeps its session alive.
#pragma once

#include <memory>
#include <vector>

#include "duck/plan/plan_node.h"
#include "duck/session.h"
#include "duckdb/common/types/data_chunk.hpp"

namespace weir {

class Evaluator {
 public:
  Evaluator(std::shared_ptr<Session> session, std::vector<ExpressionPtr> expressions);
  ~Evaluator();

  // The values of all expressions, one column each; valid until the next call.  Throws
  // ExpressionFailed when one fails on a row; it can be asked again with fewer rows.
  duckdb::DataChunk& Run(duckdb::DataChunk& rows);
  // One value of the only expression, which uses no columns.
  duckdb::Value RunOnce();

  const std::vector<duckdb::LogicalType>& types() const { return types_; }
  Session& session() { return *session_; }

 private:
  struct Executor;
  std::shared_ptr<Session> session_;
  std::vector<ExpressionPtr> expressions_;
  std::vector<duckdb::LogicalType> types_;
  std::unique_ptr<Executor> executor_;
};

// Rows for which all expressions are true.  Comparing a string column with a short constant, the
// commonest filter on event streams, takes a path of its own (two 8-byte compares a row).
class Selector {
 public:
  Selector(std::shared_ptr<Session> session, std::vector<ExpressionPtr> predicates);
  ~Selector();

  // Fills `selection` (room for rows.size()) and returns how many rows hold.  Throws as
  // Evaluator::Run.
  duckdb::idx_t Select(duckdb::DataChunk& rows, duckdb::SelectionVector& selection);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir
