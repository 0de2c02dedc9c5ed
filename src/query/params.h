// The values of $1, $2, ... of a query.
#pragma once

#include <string>

#include "duckdb/common/types/value.hpp"

namespace weir {

// `json`: an array of strings, numbers, booleans and nulls, or "" for none.  DuckDB casts them to
// what the query needs.  Throws Error(kInvalidRequest).
duckdb::vector<duckdb::Value> ParseParams(const std::string& json);

}  // namespace weir
