// Predicates that hold only where a column is a constant: `device = 'a'`.
#pragma once

#include <optional>

#include "duckdb/common/types/value.hpp"
#include "duckdb/planner/expression.hpp"

namespace weir {

struct ColumnEquals {
  size_t column;
  duckdb::Value constant;  // of the column's type; not NULL
};

// Nothing for other predicates, and where equal values may have different bytes (floats, and texts
// under a collation: there the column is not compared as it is).
std::optional<ColumnEquals> AsColumnEquals(const duckdb::Expression& predicate);

}  // namespace weir
