// Readers of single values from text: digits, times, UUIDs.  Each takes text it may read whole and
// says whether the text is one; none allocates.  Those of the hot path stand in uuid_text.h,
// time_text.h and number_text.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ids.h"
#include "duckdb/common/types/hugeint.hpp"

namespace weir {

// "YYYY-MM-DD", as days since 1970.
std::optional<int32_t> ReadDate(std::string_view text);

// "YYYY-MM-DD[T ]HH:MM:SS[.fraction][Z|+HH[:MM]|-HH[:MM]]", also without seconds, and a date alone.
struct TimeText {
  Micros micros;  // as written; with a zone, in UTC
  bool has_zone;
};
std::optional<TimeText> ReadTime(std::string_view text);

// 8-4-4-4-12 hexadecimal digits, in DuckDB's order-preserving form.
std::optional<duckdb::hugeint_t> ReadUuid(std::string_view text);

// A whole number that fits 64 bits.
std::optional<int64_t> ReadInteger(std::string_view text);

// "-12.5" as a number of `width` digits in all, `scale` of them behind the point: times 10^scale,
// exactly. Nothing when it would have to be rounded, is too great, has more than 18 digits or an
// exponent.
std::optional<int64_t> ReadFixed(std::string_view text, int width, int scale);

}  // namespace weir
