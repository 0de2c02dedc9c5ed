// `(a, b) IN (SELECT x, y ...)` and `(a, b) IN ((1, 2), ...)` as SQL has them: a row is compared
// column by column, so that it differs from another as soon as one column tells them apart,
// whatever NULLs there are.  DuckDB 1.5.5 takes any NULL on the right of a subquery, or on the
// left, for one that decides, and compares listed rows as structs, in which NULL equals NULL.
//
// In plans that were bound and not optimized, the join that marks rows becomes several, each of
// which asks for one kind of match: of each set of columns, is there a row whose other columns are
// equal, and of these columns one of the two is NULL?  The empty set says TRUE, any other NULL. All
// have keys, so that this costs what that many joins cost, with or without NULLs.  (Where only TRUE
// matters, in WHERE, the join stays as it is.)
//
// Thread-safe.
#pragma once

#include <cstddef>

#include "duckdb/common/unique_ptr.hpp"

namespace duckdb {
class Binder;
class DuckDB;
class LogicalOperator;
}  // namespace duckdb

namespace weir {

// Rows of a subquery that have more columns are compared otherwise (row_subqueries.h).
constexpr size_t kMarkedColumns = 4;

// Mends one plan.
void CompareRowsExactly(duckdb::Binder& binder, duckdb::unique_ptr<duckdb::LogicalOperator>& plan);

// Mends every plan of the database from now on.
void InstallRowMarks(duckdb::DuckDB& database);

}  // namespace weir
