// A query whose answer is determined even where its ORDER BY ... LIMIT leaves ties open.
#pragma once

#include <cstddef>

#include "base/kernel_sql.h"

namespace weir {

// The query with its `columns` columns added, ascending, to the ORDER BY at its top, when it has
// one and a LIMIT: as the engine breaks ties.  Any other query as it is.
KernelSql WithTotalOrder(const KernelSql& query, size_t columns);

}  // namespace weir
