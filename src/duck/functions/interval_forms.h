// '1 month', '30 days' and '720 hours' are one value in several forms, and larger than '29 days'.
// DuckDB 1.5.5 knows that where it compares two intervals, and puts them in one form where an
// INTERVAL column is grouped or ordered by; where it sorts by bytes it goes by months, days and
// microseconds one after the other: intervals inside of lists and structs, arg_min and arg_max,
// min and max of several, greatest and least.
//
// Thread-safe.
#pragma once

#include "duckdb/common/types/vector.hpp"

namespace duckdb {
class DuckDB;
}

namespace weir {

// Whether values of the type have intervals in them.
bool HasIntervals(const duckdb::LogicalType& type);

// A flat copy with all intervals in one form (as many months and days as there are in them).
duckdb::Vector IntervalsInOneForm(duckdb::Vector& values, duckdb::idx_t count);

// In every plan of the database from now on, what is sorted by its bytes is put in one form first.
void InstallIntervalForms(duckdb::DuckDB& database);

}  // namespace weir
