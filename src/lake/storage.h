// How a stream's columns look inside a Parquet file, and how they are read back.
//
// Types that Parquet keeps exactly are stored as they are; the few it would round (HUGEINT,
// INTERVAL, TIMETZ, ...) are stored as text and cast back, and UNION is a STRUCT there
// (duck/union_structs.h, whose function must be registered).  Every file ends with two hidden
// columns: `_offset` UBIGINT and `_arrival_time` TIMESTAMPTZ.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/quoted.h"
#include "catalog/catalog.h"

namespace weir {

inline constexpr std::string_view kOffsetName = "_offset";
inline constexpr std::string_view kArrivalTimeName = "_arrival_time";

// A stream's columns as SQL sees them, the two hidden ones last.
std::vector<std::string> StoredNames(const Stream& stream);
std::vector<duckdb::LogicalType> StoredTypes(const Stream& stream);
// What those columns are in a file (one with checksums).
std::vector<duckdb::LogicalType> FileTypes(const Stream& stream);

// Select lists over StoredNames by index: what a file holds from the rows, and the rows from a
// file.  A file without checksums is of a time when a UNION was stored as text.
std::string WriteList(const Stream& stream);
std::string ReadList(const Stream& stream, const std::vector<size_t>& columns, bool sealed);

// read_parquet(['a', 'b'])
std::string ReadParquet(const std::vector<std::string>& paths);

}  // namespace weir
