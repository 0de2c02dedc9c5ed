// Parquet through an in-process DuckDB that runs on the calling thread and keeps the order of rows.
// Opening one costs some milliseconds and a few megabytes: made for a piece of work, then dropped.
// One thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "duck/row_source.h"
#include "io/disk.h"

namespace duckdb {
class Connection;
class DuckDB;
}  // namespace duckdb

namespace weir {

class Parquet {
 public:
  explicit Parquet(Disk& disk);
  ~Parquet();

  // Writes the rows of `source` (StoredNames of `stream`) to a new file; durable when it returns.
  void Write(const std::string& path, const Stream& stream, std::shared_ptr<RowSource> source);
  // One file with the rows of several, in that order; durable when it returns.
  void Merge(const std::vector<std::string>& from, const std::string& to);

  // The rows of files of one stream in order: `columns` are indexes into StoredNames(stream).
  // Stops early when `sink` returns false.
  void Read(const std::vector<std::string>& paths, const Stream& stream,
            const std::vector<size_t>& columns,
            const std::function<bool(std::unique_ptr<duckdb::DataChunk>)>& sink);

 private:
  void Copy(const std::string& query, const std::string& path);

  Disk& disk_;
  RowSources sources_;
  std::unique_ptr<duckdb::DuckDB> database_;
  std::unique_ptr<duckdb::Connection> connection_;
};

}  // namespace weir
