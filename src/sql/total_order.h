// A query whose answer is determined even where its ORDER BY ... LIMIT leaves ties open.
#pragma once

#include <string>

namespace weir {

// The query with its `columns` columns added, ascending, to the ORDER BY at its top, when it has
// one and a LIMIT: as the engine breaks ties.  Any other query as it is.
std::string WithTotalOrder(const std::string& query, size_t columns);

}  // namespace weir
