// Comparisons of a row with those of a subquery that DuckDB 1.5.5 has no join for, or a wrong one:
//  - `(a, b) IN (SELECT x, y ... WHERE z = c)`, of a subquery that knows the outer row, it refuses;
//  - `(a, b) <> ANY (...)`, and with it `= ALL`, it takes for "differ in every column";
//  - `(a, b) < ANY (...)` and its kin compare structs, in which NULL is the largest value;
//  - IN of more columns than row_marks.h takes.
// These become a function of the row and the list of the subquery's distinct rows, which compares
// column by column.
//
// Thread-safe.
#pragma once

namespace duckdb {
class ClientContext;
class DuckDB;
class SelectStatement;
}  // namespace duckdb

namespace weir {

// Has the function.
void InstallRowSubqueries(duckdb::DuckDB& database);

// Rewrites a query that was parsed and not bound.  What it reads must be known to the context by
// now, which is within a transaction: whether a subquery knows the outer row comes out of planning.
// True when something has changed.
bool RewriteRowSubqueries(duckdb::ClientContext& context, duckdb::SelectStatement& query);

}  // namespace weir
