// What `now()` and its kin say inside a transaction: DuckDB reads the transaction's start.
#pragma once

#include "base/ids.h"

namespace duckdb {
class ClientContext;
}

namespace weir {

// `context` must be in a transaction; holds until it ends.
void SetTransactionTime(duckdb::ClientContext& context, Micros now);

}  // namespace weir
