// Casts of text to DECIMAL that are exact.  DuckDB 1.5.5 rounds a text with an exponent up from
// below a half ('9e-07' is 0.01 as a DECIMAL(10, 2)), and takes one for too large whose digits do
// not fit before its exponent is looked at ('123456789e-5').
//
// Takes what DuckDB takes: blanks around the number, and _ between digits.  Thread-safe.
#pragma once

namespace duckdb {
class DuckDB;
}

namespace weir {

// Used by every cast of the database from now on, inside of lists and structs, too.
void InstallDecimalCasts(duckdb::DuckDB& database);

}  // namespace weir
