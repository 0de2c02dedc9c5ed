// Our Disk as a DuckDB file system: paths that start with "weir:" are files of the Disk, so that
// Parquet is written and read through the same seam as everything else (and can be put on a
// simulated disk, or elsewhere).  Owned by the DuckDB instance it is registered with; the Disk
// outlives it.
#pragma once

#include <memory>
#include <string>

#include "duckdb/common/file_system.hpp"
#include "io/disk.h"

namespace weir {

inline constexpr char kDiskPrefix[] = "weir:";

duckdb::unique_ptr<duckdb::FileSystem> MakeDiskFileSystem(Disk& disk);

}  // namespace weir
