// Lake files as a table function that opens only those which may hold what is asked for.
//
// The manifest says of each file when its rows arrived and which offsets they have.  Where a query
// bounds `_arrival_time` or `_offset` by constants, files beyond the bounds are left out while it
// is planned, before anything is read of them; the rest is DuckDB's own read_parquet.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "duckdb/common/types.hpp"

namespace duckdb {
class ClientContext;
}

namespace weir {

// The columns that all files of a stream have which were written in one form.
struct FileColumns {
  std::vector<std::string> names;
  std::vector<duckdb::LogicalType> types;
};

struct FileExtent {
  Offset first, last;  // of its first and last row
  Micros arrived_first = 0, arrived_last = 0;
  uint64_t rows = 0;
  std::shared_ptr<const FileColumns> columns;
};

// What is known of files before they are opened, by the path DuckDB has.  Thread-safe.
class KnownFiles {
 public:
  // REQUIRES: an extent that does not end before it begins.
  void Know(const std::string& path, FileExtent extent);
  void Forget();  // all of them
  std::optional<FileExtent> Find(const std::string& path) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, FileExtent> files_;
};

// weir_files(['a', 'b']): the rows of files that are known, in order.  The files outlive the
// context.
void RegisterKnownFiles(duckdb::ClientContext& context, KnownFiles& files);

std::string ReadKnownFiles(const std::vector<std::string>& paths);

}  // namespace weir
