// Readers of single values from text: digits, times, UUIDs.  Each takes text it may read whole and
// says whether the text is one; none allocates.  UUID and timestamp readers are on the hot path of
// ingest and work word by word.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ids.h"
#include "duckdb/common/types/hugeint.hpp"

namespace weir {

// "YYYY-MM-DD[T ]HH:MM:SS[.fraction][Z|+HH[:MM]|-HH[:MM]]", also without seconds, and a date alone.
// `text[0..size)` may be followed by anything readable for 32 bytes when `padded`.
struct TimeText {
  Micros micros;  // as written; with a zone, in UTC
  bool has_zone;
};
std::optional<TimeText> ReadTime(std::string_view text);

// 8-4-4-4-12 hexadecimal digits, in DuckDB's order-preserving form.
std::optional<duckdb::hugeint_t> ReadUuid(std::string_view text);

// A whole number that fits 64 bits.
std::optional<int64_t> ReadInteger(std::string_view text);

}  // namespace weir
