// Parquet through an in-process DuckDB that runs on the calling thread and keeps the order of rows.
// Opening one costs some milliseconds and a few megabytes: made for a piece of work, then dropped.
// What the disk throws comes through as it is, and anything else is about the rows.  One thread at
// a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "duck/row_source.h"
#include "io/disk/disk.h"
#include "lake/disk_file_system.h"

namespace duckdb {
class Connection;
class DuckDB;
class QueryResult;
}  // namespace duckdb

namespace weir {

class Parquet {
 public:
  explicit Parquet(Disk& disk);
  ~Parquet();

  // Called at each read and write of a file; what it throws ends what is under way, and comes
  // through as it is.
  void CheckAtFiles(std::function<void()> check) { files_.CheckAtFiles(std::move(check)); }

  // A new file, durable when it returns, and what is needed to trust it.
  struct Written {
    uint64_t rows = 0;  // that went in
    Seal seal;
  };
  // The rows of `source` (StoredNames of `stream`).
  Written Write(const std::string& path, const Stream& stream, std::shared_ptr<RowSource> source);
  // The rows of several files, in that order.  `row_bytes`: what a row takes of them.
  Written Merge(const std::vector<ParquetFile>& from, const std::string& to, uint64_t row_bytes);

  // What a file says of itself in its footer.
  struct Extent {
    uint64_t rows = 0;
    Offset first, last;
    bool operator==(const Extent&) const = default;
  };
  Extent ExtentOf(const ParquetFile& file);

  // The rows of files of one stream in order: `columns` are indexes into StoredNames(stream).
  // Stops early when `sink` returns false.  REQUIRES: files, of which all have a seal, or none has.
  void Read(const std::vector<ParquetFile>& files, const Stream& stream,
            const std::vector<size_t>& columns,
            const std::function<bool(std::unique_ptr<duckdb::DataChunk>)>& sink);

 private:
  Written Copy(const std::string& query, const std::string& path, uint64_t group_rows);
  std::vector<std::string> Expect(const std::vector<ParquetFile>& files);
  [[noreturn]] void Fail(duckdb::QueryResult& result);
  duckdb::unique_ptr<duckdb::DataChunk> Fetch(duckdb::QueryResult& result);

  Disk& disk_;
  DiskFiles files_;
  RowSources sources_;
  std::unique_ptr<duckdb::DuckDB> database_;
  std::unique_ptr<duckdb::Connection> connection_;
};

}  // namespace weir
