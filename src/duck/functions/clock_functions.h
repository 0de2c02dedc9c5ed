// Which expressions depend on the wall clock, and how.
#pragma once

#include <optional>

#include "duck/functions/zone.h"
#include "duckdb/planner/expression.hpp"
#include "duckdb/planner/logical_operator.hpp"

namespace weir {

// Marks now(), current_date and their kin VOLATILE in a bound plan, so that the optimizer neither
// folds them into constants nor moves them; a comparison with one then stays a filter of its own.
// Returns whether there were any.
bool MarkClockFunctionsVolatile(duckdb::LogicalOperator& plan);

bool UsesClock(const duckdb::Expression& expression);
bool UsesColumns(const duckdb::Expression& expression);
// random(), uuid(), nextval(): functions without a value that could be kept.
bool IsUndetermined(const duckdb::Expression& expression);

// now() and its kin; age(x) reads the clock, too, age(x, y) does not.
bool IsClockFunction(const duckdb::Expression& expression);

// date_trunc(UNIT, x) with a constant unit.
bool IsRounding(const duckdb::Expression& expression);
// The same rounding of another expression, which must have the type of what is rounded.
duckdb::unique_ptr<duckdb::Expression> RoundInstead(const duckdb::Expression& rounding,
                                                    duckdb::unique_ptr<duckdb::Expression> other);
// Type of what a rounding rounds.
const duckdb::LogicalType& RoundedType(const duckdb::Expression& rounding);
// True for units of a month and more, where a shift of a day seldom changes the result.
bool IsCoarseRounding(const duckdb::Expression& rounding);

// Whether x >= date_trunc(UNIT, y) is date_trunc(UNIT, x) >= date_trunc(UNIT, y), whatever x is.
bool RoundsAlike(const duckdb::Expression& rounding, const Zone& zone);

// The position of the TIMESTAMP or TIMESTAMPTZ column that is the only column an expression uses.
std::optional<size_t> OnlyTimeColumn(const duckdb::Expression& expression);

}  // namespace weir
