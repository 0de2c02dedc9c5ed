// Rows made by C++ as something SQL can read: `FROM weir_rows('name')`.
//
// A RowSources registry belongs to one DuckDB instance (RegisterRowSources) and must outlive it;
// sources are added and removed between queries.  Only the columns a query uses are asked for.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "duckdb/common/types.hpp"

namespace duckdb {
class ClientContext;
class DataChunk;
}  // namespace duckdb

namespace weir {

// One scan, on one thread at a time.
class RowCursor {
 public:
  virtual ~RowCursor() = default;
  // Fills `out` (reset before) with the next rows of the columns asked for; an empty one ends the
  // scan.  Vectors may be referenced as long as they stay alive until the following call.
  virtual void Next(duckdb::DataChunk& out) = 0;
};

class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual const std::vector<std::string>& Names() const = 0;
  virtual const std::vector<duckdb::LogicalType>& Types() const = 0;
  virtual uint64_t EstimatedRows() const = 0;
  // `columns` holds indexes into Names(), maybe none (the rows are only counted).
  virtual std::unique_ptr<RowCursor> Scan(std::vector<size_t> columns) = 0;
};

class RowSources {
 public:
  void Set(const std::string& name, std::shared_ptr<RowSource> source);
  void Clear();
  std::shared_ptr<RowSource> Get(const std::string& name) const;  // throws Error(kInvalidSql)

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<RowSource>> sources_;
};

// Makes `weir_rows` known to the context's database.
void RegisterRowSources(duckdb::ClientContext& context, RowSources& sources);

}  // namespace weir
