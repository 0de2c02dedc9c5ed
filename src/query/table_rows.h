// What the name of a table stands for in a query: the latest change of each key, unless it says
// that the row is gone.
#pragma once

#include <string>

#include "catalog/catalog.h"

namespace weir {

// A SELECT of the table's columns (and the hidden two, of the last change) over the relation of its
// changes, which has them all.
//
// The newest offset of each key is found first, over two columns; then the rows that stand there.
// That reads of the other columns only those a query names, and a condition on the key goes below
// the grouping.  docs/internals/queries.md has the figures of other ways.
std::string LatestRows(const Stream& table, const std::string& changes, bool with_hidden);

}  // namespace weir
