// Rows for which one of several conditions holds (OR).  Each is asked about the rows that no other
// held for, as DuckDB does, too; cheap ones first where none can fail, and the rows found are put
// in order by marking them, where DuckDB sorts them.  Belongs to one thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"

namespace weir {

class Alternatives {
 public:
  // Keeps references to `any`, a disjunction, and to the context.
  Alternatives(duckdb::ClientContext& context, const duckdb::BoundConjunctionExpression& any);

  // Fills `selection` (room for rows.size()) and returns how many rows hold.
  duckdb::idx_t Select(duckdb::DataChunk& rows, duckdb::SelectionVector& selection);

 private:
  struct Condition {
    std::unique_ptr<duckdb::ExpressionExecutor> executor;
    bool is_call = false;  // of a function: gives a column of values
  };
  duckdb::idx_t SelectByValues(Condition& condition, duckdb::DataChunk& rows,
                               duckdb::SelectionVector& others);

  std::vector<Condition> conditions_;
  duckdb::DataChunk values_;
  duckdb::SelectionVector found_{STANDARD_VECTOR_SIZE};
  duckdb::SelectionVector left_over_[2] = {duckdb::SelectionVector(STANDARD_VECTOR_SIZE),
                                           duckdb::SelectionVector(STANDARD_VECTOR_SIZE)};
  bool holds_[STANDARD_VECTOR_SIZE];
};

}  // namespace weir
