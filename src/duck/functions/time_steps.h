// A time and an interval of fixed length: t + INTERVAL '10 seconds', t - ..., and the series
// generate_series(t, u, INTERVAL '2 seconds').  DuckDB takes each time apart into a date and a time
// of day and puts it together again; here each step is one addition.
#pragma once

#include "duckdb/planner/expression/bound_function_expression.hpp"

namespace weir {

// True when the call is one of these, which is then done the short way.  Times at the far ends of
// the type, where steps may fail, are left to DuckDB.
bool UseTimeSteps(duckdb::BoundFunctionExpression& call);

}  // namespace weir
