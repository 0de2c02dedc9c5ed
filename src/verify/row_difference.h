// Two sets of rows as multisets: what is in one and not in the other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "duckdb/common/types.hpp"
#include "formats/columns.h"

namespace weir {

using TextRow = std::vector<std::optional<std::string>>;

struct RowDifference {
  std::vector<TextRow> missing, unexpected;  // the first `shown` of each
  uint64_t missing_rows = 0, unexpected_rows = 0;
};

// `expected` against `actual`, columns of the same number.  Floating-point values are equal when
// they differ by no more than a rounding error of summing in another order (1e-9, relative);
// numbers of the columns that `estimated` marks, when they differ by no more than 5 %.
RowDifference CompareRows(const Columns& expected, const Columns& actual,
                          const std::vector<duckdb::LogicalType>& types, size_t shown,
                          const std::vector<bool>& estimated = {});

}  // namespace weir
