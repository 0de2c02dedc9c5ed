// Any bytes as a block: its rows, or an error.
#include "base/error.h"
#include "catalog/catalog.h"
#include "formats/block.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<duckdb::LogicalType> types = {
      weir::ParseColumnType("INTEGER"), weir::ParseColumnType("VARCHAR"),
      weir::ParseColumnType("VARCHAR[]"), weir::ParseColumnType("STRUCT(a INTEGER, b VARCHAR)"),
      weir::ParseColumnType("TIMESTAMPTZ")};
  try {
    weir::DecodeBlock(std::string_view(reinterpret_cast<const char*>(data), size), types,
                      {0, 1, 2, 3, 4});
  } catch (const weir::Error&) {
  }
  return 0;
}
