// Any bytes as a request body: rows are accepted or refused, never more; what was accepted survives
// the log's block format; and what is read as expected is what the general way reads.
#include <algorithm>

#include "base/error.h"
#include "catalog/catalog.h"
#include "formats/block.h"
#include "formats/json_rows.h"
#include "formats/results.h"
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

// The lines three times over, so that they become what is expected.
void TryTwoWays(const Stream& stream, std::string_view lines) {
  std::string body;
  for (int i = 0; i < 3; i++) body.append(lines).append("\n");
  BlockBuilder builder(stream);
  auto read = [&](bool expecting) {
    JsonRows rows(stream, builder);
    if (!expecting) rows.ExpectNothing();
    builder.Begin(4);
    rows.ParseLines(body);
    return builder.Finish();
  };
  ParsedRows expected = read(true), general = read(false);
  if (expected.error_count != general.error_count) __builtin_trap();
  if (JsonRowsOf(*expected.columns, true) != JsonRowsOf(*general.columns, true)) __builtin_trap();
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
  if (format == weir::RowFormat::kNdjson) weir::TryTwoWays(*stream, body);
  return 0;
}
