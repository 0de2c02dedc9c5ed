// Whether what a query says depends on the time zone of its session.
#pragma once

#include "duckdb/planner/logical_operator.hpp"

namespace weir {

// Of a bound plan, before it is optimized: literals still say what they were made of.  Says true
// when in doubt.  TIMESTAMPTZ columns that are only passed on, or compared with one another and
// with now(), depend on no zone.
bool UsesZone(duckdb::LogicalOperator& plan);

}  // namespace weir
