// length(text), and length(replace(text, 'a', 'b')), by which SQL counts how often something is in
// a text: the other text is not made.
#pragma once

#include "duckdb/planner/expression/bound_function_expression.hpp"

namespace weir {

// False: this call is no such thing.
bool UseTextLengths(duckdb::BoundFunctionExpression& call);

}  // namespace weir
