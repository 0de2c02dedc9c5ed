// One text compared with several constants, as `x IN ('a', 'b')` and `CASE WHEN x = 'a' THEN '0'
// WHEN x = 'b' THEN '1' ELSE ... END` do: DuckDB compares all rows with each constant in turn, and
// works out x every time.  Here x is worked out once and looked up among the constants.
#pragma once

#include "duckdb/planner/expression.hpp"

namespace weir {

// Rewrites this expression (not those inside of it), when it is of this kind.
void UseTextChoices(duckdb::unique_ptr<duckdb::Expression>& expression);

}  // namespace weir
