// A piece of a plan that DuckDB's own batch operators compute, over rows handed in: what has no
// closed form (window functions, ASOF joins, recursion) is computed again for what was touched.
//
// The pattern is a bound plan whose inputs are numbered places (MakePlace).  A runner has a session
// of its own, so that a query that fails leaves nothing behind.  One thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "duck/session.h"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/common/types/data_chunk.hpp"

namespace duckdb {
class LogicalOperator;
}

namespace duckdb {
class QueryResult;
}

namespace weir {

struct BatchPattern {
  std::shared_ptr<duckdb::LogicalOperator> root;
  std::vector<std::vector<duckdb::LogicalType>> inputs;
  std::vector<duckdb::LogicalType> types;
  std::string name;      // for EXPLAIN
  std::string identity;  // equal for equal patterns
};
using BatchPatternPtr = std::shared_ptr<const BatchPattern>;

// What stands in a pattern for input number `index`.
std::unique_ptr<duckdb::LogicalOperator> MakePlace(size_t index);
// Which place an operator is, when it is one.
std::optional<size_t> PlaceOf(const duckdb::LogicalOperator& op);
// The bytes of a plan: equal for plans that compute the same from the same.
std::string IdentityOf(const duckdb::LogicalOperator& plan);

// Those that run now give up, with an error: of one thread, or of all.  Any thread.
void InterruptBatchRuns(std::optional<std::thread::id> thread = std::nullopt);

class BatchRunner {
 public:
  using Inputs = std::vector<std::unique_ptr<duckdb::ColumnDataCollection>>;

  BatchRunner(const Session& like, BatchPatternPtr pattern);

  // A collection for the rows of one input.
  std::unique_ptr<duckdb::ColumnDataCollection> Rows(size_t input) const;
  // Throws what the query throws, before the first row.
  void Run(Inputs& inputs, const std::function<void(duckdb::DataChunk&)>& sink);
  // Row by row, without holding them all, until `sink` says false; it may throw in between.
  void RunWhile(Inputs& inputs, const std::function<bool(duckdb::DataChunk&)>& sink);

 private:
  std::unique_ptr<duckdb::QueryResult> Ask(Inputs& inputs, bool streamed);
  void Check(duckdb::QueryResult& result);

  std::unique_ptr<Session> session_;
  BatchPatternPtr pattern_;
};

}  // namespace weir
