// An answer's rows in types that files of the answer (Arrow, Parquet) keep exactly.
//
// What such a format would round or does not know goes as text, a UNION as the STRUCT it is
// (duck/union_structs.h).  A HUGEINT, which is what sums of integers are, goes as DECIMAL(38,0)
// when all values of its column fit, and as text otherwise: its type must be known before the first
// row is sent, so rows are held back until the last, or, when they are too many, asked for twice.
// One thread.  Owned by the query.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "duck/row_source.h"
#include "duckdb/common/types.hpp"
#include "duckdb/common/types/data_chunk.hpp"

namespace duckdb {
class ClientContext;
class QueryResult;
}  // namespace duckdb

namespace weir {

// The type in which a column goes; `fits`: a HUGEINT's values are all of 38 digits at most.
duckdb::LogicalType FittedType(const duckdb::LogicalType& type, bool fits);

class FittedRows {
 public:
  using Ask = std::function<std::unique_ptr<duckdb::QueryResult>()>;
  // Asks once or twice.  `held_bytes`: so much of an answer is held back.
  FittedRows(duckdb::ClientContext& context, Ask ask, uint64_t held_bytes = 32 << 20);
  ~FittedRows();

  const std::vector<std::string>& names() const { return names_; }
  const std::vector<duckdb::LogicalType>& types() const { return types_; }
  // The next rows, valid until the following call; null at the end.  Throws what the query throws.
  duckdb::DataChunk* Next();

 private:
  std::unique_ptr<duckdb::DataChunk> Fetch();
  void Look(uint64_t held_bytes);
  void NoteValues(duckdb::DataChunk& chunk);

  duckdb::ClientContext& context_;
  Ask ask_;
  std::unique_ptr<duckdb::QueryResult> result_;
  std::vector<std::string> names_;
  std::vector<duckdb::LogicalType> types_;
  std::vector<bool> fits_;  // of each column
  bool ended_ = false;      // the result has no more
  std::deque<std::unique_ptr<duckdb::DataChunk>> held_;
  std::unique_ptr<duckdb::DataChunk> chunk_, fitted_;
};

// The same as something SQL can read, once; the rows outlive it.  Names that differ in case alone
// get numbers.
std::shared_ptr<RowSource> MakeFittedSource(std::shared_ptr<FittedRows> rows);

}  // namespace weir
