// Which numbers of a query are estimates: what approx_quantile and reservoir_quantile say depends
// on the order of the rows, so two runs of one query may differ.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/kernel_sql.h"

namespace weir {

bool NamesEstimate(std::string_view sql);

// For each of the query's `columns` columns, whether it may be one, by the query's own text: all of
// them where that does not say (a star, a subquery, a set operation).
std::vector<bool> EstimatedColumns(const KernelSql& query, size_t columns);

}  // namespace weir
