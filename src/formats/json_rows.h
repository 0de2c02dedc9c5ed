// NDJSON, a JSON array of objects, or one object, to a block of a stream.
//
// A row is read in one of two ways.  When it looks like rows before (JsonShape) it is read without
// a look at its grammar: what stands between its values is compared, and the values go straight
// into their columns.  Every other row, and every row with something wrong, is read from its
// beginning in the general way, which knows all of JSON and says what is wrong; from it the shape
// is learned.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "formats/block_builder.h"
#include "formats/json_scanner.h"
#include "formats/json_shape.h"

namespace weir {

class JsonRows {
 public:
  JsonRows(const Stream& stream, BlockBuilder& builder);

  void ParseLines(std::string_view body);
  void ParseDocument(std::string_view body);  // throws when the body is no array or object

  // From now on every row is read in the general way.  For tests that compare the two.
  void ExpectNothing() { expect_ = false; }

 private:
  static constexpr int kUnknown = JsonShape::kUnknown;
  static constexpr ptrdiff_t kLineBytesMax = 1 << 20;

  void ParsePadded(const char* begin, const char* end);
  // As many lines as hold one expected object each, and nothing else; where the next one begins.
  const char* ReadExpectedLines(JsonScanner& scanner, const char* end);
  // The object at `row` when it is as expected and every value good: written, but not kept yet.
  // The place behind it, or null.
  const char* ReadExpected(JsonScanner& scanner, const char* row);
  // A value that no quick reader took, of column `column` or none; the place behind it, or null.
  const char* ReadOther(JsonScanner& scanner, const char* at, int column);
  // One object at the scanner's place; null when it was read (kept or refused by a value), else
  // what is wrong with its form.
  const char* ParseObject(JsonScanner& scanner, uint64_t line);
  // The same of a field, up to behind its value; `step` is where the value before ended.
  const char* ParseField(JsonScanner& scanner, const char* step);
  int ColumnOf(std::string_view name) const;
  void Refuse(std::string column, const JsonScanner::Token& token, std::string reason);
  // NULL in the columns that the row leaves out; false when it is refused for one.
  bool WriteMissing();
  bool FinishRow(uint64_t line);
  // The row has fields, and none of them is a column.
  void RefuseUnknown();
  void TellUnknown();

  const Stream& stream_;
  BlockBuilder& builder_;
  std::map<std::string, int, std::less<>> by_name_;
  JsonShape line_shape_, element_shape_;  // an element of an array may go over several lines
  JsonShape* shape_ = &line_shape_;
  bool expect_ = true;
  std::vector<uint64_t> all_;   // a bit for each column
  std::vector<uint64_t> seen_;  // those that this row wrote
  uint64_t line_ = 1;
  RowError refusal_;
  bool refused_ = false;
  std::string unknown_;  // the names of the first fields of this row that are no columns
  uint64_t body_ = 0;    // how many were read
};

}  // namespace weir
