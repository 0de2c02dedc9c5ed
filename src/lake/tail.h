// Rows of one stream that are still in the log, as columns.
//
// The same code reads them for landing, for filling views and inside query workers; only where the
// records come from differs.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "catalog/catalog.h"
#include "duck/row_source.h"
#include "duckdb/common/types/data_chunk.hpp"
#include "formats/columns.h"
#include "log/log.h"

namespace weir {

// The next record in log order, of any stream; null at the end.
using NextRecord = std::function<std::shared_ptr<const CommittedRecord>()>;

// Rows of (after, up_to].  `columns` are indexes into StoredNames(stream) (lake/storage.h).
// REQUIRES: after <= up_to.
class TailCursor : public RowCursor {
 public:
  TailCursor(std::shared_ptr<const Stream> stream, std::vector<size_t> columns, Offset after,
             Offset up_to, NextRecord next);
  void Next(duckdb::DataChunk& out) override;

  // The last row that Next returned.
  Offset last() const { return last_; }

 private:
  bool LoadRecord();
  duckdb::DataChunk& Current() { return *rows_.chunks[chunk_]; }
  void Take(duckdb::DataChunk& to, duckdb::idx_t count, bool reference);

  std::shared_ptr<const Stream> stream_;
  std::vector<duckdb::LogicalType> stream_types_, types_;
  std::vector<size_t> projection_;          // stream columns wanted, without the hidden ones
  std::vector<size_t> targets_;             // where each of them goes in the output
  std::vector<size_t> offsets_, arrivals_;  // output columns that hold the hidden ones
  Offset after_, up_to_, last_;
  NextRecord next_;

  std::shared_ptr<const CommittedRecord> record_;
  Columns rows_;                    // of record_, projected
  size_t chunk_ = 0;                // the chunk we stand in ...
  duckdb::idx_t in_chunk_ = 0;      // ... and the row inside it
  uint64_t row_ = 0, row_end_ = 0;  // row numbers within the record
};

// A stream's tail as something SQL can scan, any number of times.
class TailSource : public RowSource {
 public:
  // `open` starts reading records from the beginning of the range.
  TailSource(std::shared_ptr<const Stream> stream, Offset after, Offset up_to,
             uint64_t estimated_rows, std::function<NextRecord()> open);
  const std::vector<std::string>& Names() const override { return names_; }
  const std::vector<duckdb::LogicalType>& Types() const override { return types_; }
  uint64_t EstimatedRows() const override { return estimated_rows_; }
  std::unique_ptr<RowCursor> Scan(std::vector<size_t> columns) override;

 private:
  std::shared_ptr<const Stream> stream_;
  std::vector<std::string> names_;
  std::vector<duckdb::LogicalType> types_;
  Offset after_, up_to_;
  uint64_t estimated_rows_;
  std::function<NextRecord()> open_;
};

}  // namespace weir
