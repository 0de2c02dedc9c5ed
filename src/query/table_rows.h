// What the name of a table stands for in a query: the latest change of each key, unless it says
// that the row is gone.
#pragma once

#include <string>

#include "catalog/catalog.h"

namespace weir {

// A SELECT of the table's columns (and the hidden two, of the last change) over the relation of its
// changes, which has them all.
//
// A window, which DuckDB computes as an aggregate: conditions on the key go below it, and no join
// is there to be put into a bad order.  docs/decisions/tables.md has the figures of other ways.
std::string LatestRows(const Stream& table, const std::string& changes, bool with_hidden);

}  // namespace weir
