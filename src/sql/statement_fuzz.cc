// Any text as statements: parsed, or refused with a place inside the text.
#include "base/error.h"
#include "sql/statement.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    weir::ParseStatements(std::string_view(reinterpret_cast<const char*>(data), size), "a.sql");
  } catch (const weir::Error& error) {
    if (error.code != weir::ErrorCode::kInvalidSql) __builtin_trap();
  }
  return 0;
}
