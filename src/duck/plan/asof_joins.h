// What DuckDB 1.5.5's ASOF joins do with NULLs.  Where they sort (more than 64 rows on the left), a
// NULL in the inequality stands behind all values, so that it meets the last row of the other side;
// of several equalities only the first is asked for NULLs; and a NULL in an IS NOT DISTINCT FROM
// meets no NULL.  In plans that were optimized, conditions are said so that they have no NULLs to
// get wrong.
//
// Thread-safe.
#pragma once

namespace duckdb {
class DuckDB;
}

namespace weir {

// Mends every plan of the database from now on.
void InstallAsofJoins(duckdb::DuckDB& database);

}  // namespace weir
