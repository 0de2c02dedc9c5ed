// DECIMAL values from text, exactly: with a point, an exponent, or both, and as many digits as
// there are.  Thread-safe: no state.
#pragma once

#include <optional>
#include <string_view>

#include "duckdb/common/types/hugeint.hpp"

namespace weir {

enum class DecimalText { kGood, kBeyond, kNone };

// "-12.5e-1" as a number of at most `width` digits, `scale` of them behind the point: times
// 10^scale, rounded to the nearest, half away from zero.  kBeyond: a number that needs more digits
// before the point.  kNone: not a number in this form.
DecimalText ReadDecimalText(std::string_view text, int width, int scale, duckdb::hugeint_t& value);

}  // namespace weir
