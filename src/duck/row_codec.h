// Rows as bytes that compare, hash and are equal as the rows do (NULLs equal, -0 as 0), and back.
// The bytes are DuckDB's sort keys: in memcmp order for the given directions.  Of an INTERVAL, also
// inside of other values, the bytes are those of its months, days and microseconds, which tell
// forms of one value apart: columns that are compared are put in one form before.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "duckdb/common/types/data_chunk.hpp"

namespace weir {

class RowCodec {
 public:
  struct Direction {
    bool descending = false;
    bool nulls_first = false;
    bool one_form = false;  // of intervals
  };
  explicit RowCodec(std::vector<duckdb::LogicalType> types, std::vector<Direction> directions = {});
  ~RowCodec();
  // For columns that are compared, in any order.
  static std::vector<Direction> Compared(size_t columns) {
    return std::vector<Direction>(columns, {false, false, true});
  }

  // One key for each row; views into memory that lives until the next call.
  const std::vector<std::string_view>& Encode(duckdb::DataChunk& rows);
  std::string Encode(const duckdb::Value& value);  // one column only

  // Appends a row at the end of `rows` (initialized with these types, with room), starting with
  // column `first_column`; the caller sets the cardinality.
  void Decode(std::string_view key, duckdb::DataChunk& rows, duckdb::idx_t row) const;

  const std::vector<duckdb::LogicalType>& types() const { return types_; }

 private:
  struct State;
  std::vector<duckdb::LogicalType> types_;
  std::unique_ptr<State> state_;
};

}  // namespace weir
