#pragma once

#include <vector>

#include "duckdb/common/types.hpp"

namespace weir {

// The types of a row's columns, in order.
using RowTypes = std::vector<duckdb::LogicalType>;

}  // namespace weir
