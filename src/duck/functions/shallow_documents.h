// Functions of DuckDB that go down one level of their stack for each level of a JSON document.
#pragma once

#include "duckdb/planner/expression.hpp"

namespace weir {

// Deeper documents fail before such a function sees them.
inline constexpr int kDocumentDepthMax = 1000;

// Puts a check before the arguments of such a call or cast, if `expression` is one.
void GuardDeepDocuments(duckdb::Expression& expression);

}  // namespace weir
