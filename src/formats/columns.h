// Rows as columns: the shape in which events travel from the door to the views.
//
// A block of rows in DuckDB vectors of at most 2,048 rows each.  Built by one thread, then
// immutable and shared (ColumnsPtr): log, views and lake read the very same memory.
#pragma once

#include <memory>
#include <vector>

#include "duckdb/common/types/data_chunk.hpp"

namespace weir {

struct Columns {
  std::vector<std::unique_ptr<duckdb::DataChunk>> chunks;
  duckdb::idx_t rows = 0;
};
using ColumnsPtr = std::shared_ptr<const Columns>;

}  // namespace weir
