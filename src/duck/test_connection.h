// What the tests of this folder set on a connection of DuckDB.
#pragma once

#include <gtest/gtest.h>

#include "duckdb/main/connection.hpp"
#include "duckdb/main/materialized_query_result.hpp"

namespace weir {

// DuckDB's library is not instrumented: what its threads hand to each other looks like races to the
// thread sanitizer, which sees the memory and not what orders it.
inline void UseOneThreadUnderTsan(duckdb::Connection& connection) {
#if defined(__SANITIZE_THREAD__)
  EXPECT_FALSE(connection.Query("SET threads = 1")->HasError());
#else
  (void)connection;
#endif
}

}  // namespace weir
