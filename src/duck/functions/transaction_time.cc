#include "duck/functions/transaction_time.h"

#include "duckdb/main/client_context.hpp"
#include "duckdb/transaction/meta_transaction.hpp"

namespace weir {

void SetTransactionTime(duckdb::ClientContext& context, Micros now) {
  duckdb::MetaTransaction::Get(context).start_timestamp = duckdb::timestamp_t(now);
}

}  // namespace weir
