// CSV (RFC 4180) with a header to a block of a stream.  Column names of the header are matched
// without regard to case; an empty field without quotes is NULL.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/block_builder.h"

namespace weir {

class CsvRows {
 public:
  CsvRows(const Stream& stream, BlockBuilder& builder) : stream_(stream), builder_(builder) {}
  // Throws Error(kInvalidData) when there is no usable header.
  void Parse(std::string_view body);

 private:
  struct Cell {
    std::string text;
    bool quoted = false;
  };
  // Reads one record; false at the end of the body.  `wrong` says what is malformed in it.  Of more
  // than fields_max_ fields the rest is counted and not kept.
  bool ReadRecord(std::vector<Cell>& cells, size_t& count, const char*& wrong);
  void ReadHeader();
  std::string WriteText(ColumnWriter& writer, const duckdb::LogicalType& type,
                        const std::string& text);
  void WriteRow(const std::vector<Cell>& cells, size_t count, uint64_t line);

  const Stream& stream_;
  BlockBuilder& builder_;
  std::string_view body_;
  size_t at_ = 0;
  uint64_t line_ = 1;
  std::vector<int> columns_;  // of the stream, by position in the record; -1: unknown
  std::vector<std::string> names_;
  std::vector<bool> given_;
  std::string padded_;
  size_t fields_max_ = 0;  // of a record, that are kept
};

}  // namespace weir
