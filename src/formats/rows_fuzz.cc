// Any bytes as a request body: rows are accepted or refused, never more, and what was accepted
// survives the log's block format.
#include <algorithm>

#include "base/error.h"
#include "catalog/catalog.h"
#include "formats/block.h"
#include "formats/rows.h"

namespace weir {
namespace {

std::shared_ptr<const Stream> MakeStream() {
  auto stream = std::make_shared<Stream>();
  stream->name = "s";
  for (const char* type : {"BOOLEAN",
                           "TINYINT",
                           "INTEGER",
                           "BIGINT",
                           "HUGEINT",
                           "UBIGINT",
                           "DOUBLE",
                           "FLOAT",
                           "DECIMAL(9,3)",
                           "DECIMAL(38,10)",
                           "VARCHAR",
                           "BLOB",
                           "UUID",
                           "DATE",
                           "TIME",
                           "TIMESTAMP",
                           "TIMESTAMPTZ",
                           "INTERVAL",
                           "JSON",
                           "INTEGER[]",
                           "STRUCT(a INTEGER, b VARCHAR[])",
                           "MAP(VARCHAR, DOUBLE)"}) {
    std::string name(1, static_cast<char>('a' + stream->columns.size()));
    stream->columns.push_back({name, ParseColumnType(type)});
  }
  stream->columns[1].not_null = false;
  return stream;
}

void Try(RowParser& parser, const Stream& stream, RowFormat format, std::string_view body) {
  ParsedRows parsed;
  try {
    parsed = parser.Parse(format, body);
  } catch (const Error&) {
    return;
  }
  std::string block = EncodeBlock(*parsed.columns, stream.Types());
  std::vector<size_t> all(stream.columns.size());
  for (size_t i = 0; i < all.size(); i++) all[i] = i;
  Columns back = DecodeBlock(block, stream.Types(), all);
  if (back.rows != parsed.columns->rows) __builtin_trap();
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto stream = weir::MakeStream();
  static auto parser = weir::RowParser::Make(stream);
  if (size == 0) return 0;
  std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto format = data[0] % 3 == 0   ? weir::RowFormat::kNdjson
                : data[0] % 3 == 1 ? weir::RowFormat::kJson
                                   : weir::RowFormat::kCsv;
  weir::Try(*parser, *stream, format, body);
  return 0;
}
