// The log's payload: a block of rows as bytes, column by column, ready to be mapped back into
// vectors.  Layout: docs/internals/log-format.md, "Block".  Thread-safe: no state.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "duckdb/common/types.hpp"
#include "formats/columns.h"

namespace weir {

// All DuckDB types, nested ones included.
std::string EncodeBlock(const Columns& columns, const std::vector<duckdb::LogicalType>& types);

// Only the columns named by `projection` (indexes into the block's columns, in that order); a
// column the block does not have (it was added later) is all NULL, of the type given in `types`.
// `types` are the stream's types, by block column.  `bytes` must outlive nothing: data is copied
// out, unless `owner` is given, which then keeps `bytes` alive and lets vectors point into them.
// Throws Error(kCorruption) on bytes that are not a block.
Columns DecodeBlock(std::string_view bytes, const std::vector<duckdb::LogicalType>& types,
                    const std::vector<size_t>& projection,
                    std::shared_ptr<const void> owner = nullptr);

}  // namespace weir
