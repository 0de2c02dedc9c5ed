// NDJSON, a JSON array of objects, or one object, to a block of a stream.  Remembers in which order
// the producer writes its fields: a row in the expected order costs one comparison a key.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "formats/block_builder.h"
#include "formats/json_scanner.h"

namespace weir {

class JsonRows {
 public:
  JsonRows(const Stream& stream, BlockBuilder& builder);

  void ParseLines(std::string_view body);
  void ParseDocument(std::string_view body);  // throws when the body is no array or object

 private:
  struct Field {
    std::array<char, 64> key;  // with its quotes, as the producer wrote it; zeros behind
    size_t size;
    int column;  // -1: unknown to the stream
    std::string_view Name() const { return {key.data() + 1, size - 2}; }
  };
  static constexpr int kUnknown = -1;

  void ParsePadded(const char* begin, const char* end);
  // One object at the scanner's place; null when it was read (kept or refused by a value), else
  // what is wrong with its form.
  const char* ParseObject(JsonScanner& scanner, uint64_t line);
  int ColumnOf(JsonScanner& scanner, size_t position, const char*& wrong);
  bool FinishRow(uint64_t line);

  const Stream& stream_;
  BlockBuilder& builder_;
  std::map<std::string, int, std::less<>> by_name_;
  std::vector<Field> order_;    // fields of the row before, in its order
  std::vector<uint64_t> seen_;  // the row in which each column was last written
  uint64_t row_number_ = 0;
  uint64_t line_ = 1;
  RowError refusal_;
  bool refused_ = false;
};

}  // namespace weir
