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

// How near two numbers must be to be equal.
enum class Nearness {
  kRounding,  // floats: 1e-9, relative: a rounding error of summing in another order
  kEstimate,  // any numbers: 5 %: what approx_quantile says depends on the order of the rows
};

// `expected` against `actual`, columns of the same number.
RowDifference CompareRows(const Columns& expected, const Columns& actual,
                          const std::vector<duckdb::LogicalType>& types, size_t shown,
                          Nearness nearness = Nearness::kRounding);

}  // namespace weir
