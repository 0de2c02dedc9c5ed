// Queries that are plainly cheap to plan.
#pragma once

#include "base/kernel_sql.h"
#include "catalog/catalog.h"

namespace weir {

// Whether a query is so plain that planning it takes next to nothing, whatever constants it has: a
// short one of a single stream or table, without joins, subqueries and windows, made of operators
// and functions whose results are no longer than what is written.  False says nothing.
bool IsPlain(const CatalogState& state, const KernelSql& query);

}  // namespace weir
