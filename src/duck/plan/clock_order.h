// By how much what an expression makes of the clock may go back while the clock goes on.
//
// Days and months are no lengths of time.  A month before 29, 30 and 31 March is 28 February, with
// the time of day each of them has.  A local time goes back when clocks are set back; what local
// time says of another instant (a day ago) goes back when they were set forward then.  Each of
// these is bounded, so who keeps rows of so much more time is right.
#pragma once

#include <optional>

#include "duck/functions/zone.h"
#include "duckdb/planner/expression.hpp"

namespace weir {

// Microseconds; 0: never.  Nothing when no bound is known.
std::optional<Micros> GoesBackBy(const duckdb::Expression& expression, const Zone& zone);

}  // namespace weir
