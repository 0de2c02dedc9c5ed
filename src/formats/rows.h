// Bytes from a producer to columns of a stream: NDJSON, a JSON array or object, CSV with a header.
// A RowParser belongs to one stream's schema and one thread at a time; it learns the order in which
// the producer writes its fields and is fastest when that stays the same.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/catalog.h"
#include "formats/columns.h"
#include "formats/row_memory.h"

namespace weir {

enum class RowFormat { kNdjson, kJson, kCsv };  // kJson: one array of objects, or one object

struct RowError {
  uint64_t line = 0;   // 1-based line of the body (NDJSON, CSV), or 1-based element (JSON array)
  std::string column;  // "" when the row as a whole is bad
  std::string value;   // as sent, cut at 200 bytes, as the other texts are
  std::string reason;
};

struct ParsedRows {
  std::shared_ptr<Columns> columns;  // the good rows, in order
  std::vector<RowError> errors;      // the first 1,000
  uint64_t error_count = 0;
  // Names of fields that the stream does not have and ignores: the first ten different ones.
  std::vector<std::string> unknown_fields;
};

class RowParser {
 public:
  static std::unique_ptr<RowParser> Make(std::shared_ptr<const Stream> stream);
  virtual ~RowParser() = default;
  // Throws Error(kInvalidData / kTooDeep) when the body as a whole is not of the format.  What the
  // rows take is added to `memory`, which may be null, and throws when that is too much.
  virtual ParsedRows Parse(RowFormat format, std::string_view body,
                           RowMemory::Hold* memory = nullptr) = 0;
};

}  // namespace weir
