// What a query leaves open, so that two runs of it may differ and both be right: the order of rows
// that tie, rows picked at random.
#pragma once

#include <string>

#include "base/kernel_sql.h"

namespace weir {

// One phrase, such as "which of the rows that tie in the ORDER BY of row_number comes first", or ""
// when everything is determined.  Only by the query's own text: not by that of views it reads.
std::string LeftOpen(const KernelSql& query);

}  // namespace weir
