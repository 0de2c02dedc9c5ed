// DuckDB 1.5.5's optimizer gives wrong answers for correlated subqueries with comparisons other
// than equality.  Its rule that does away with duplicate-eliminated joins ("deliminator")
//  - gives up in the middle where it meets `<` beside `<>`, and leaves a join whose conditions it
//  has
//    changed in part;
//  - makes `<>` of an EXISTS that is a value (in the SELECT list, under OR) an IS DISTINCT FROM, in
//    which a NULL of the outer row differs from everything.
// The first is mended in plans it has made, the second kept from happening.
//
// Thread-safe.
#pragma once

namespace duckdb {
class DuckDB;
class LogicalOperator;
}  // namespace duckdb

namespace weir {

// Mends every plan of the database from now on; with `marks` both, else the first only.
void InstallSubqueryJoins(duckdb::DuckDB& database, bool marks);

// Keeps the rule from EXISTS that are values, in a plan that was bound and not optimized.
void KeepMarksExact(duckdb::LogicalOperator& plan);

}  // namespace weir
