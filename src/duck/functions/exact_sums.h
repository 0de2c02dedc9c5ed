// Sums in the batch engine that say what a kept view says.  DuckDB adds doubles up as they come, so
// that figures depend on their order and differ in the last digits from exact ones (after a round
// or a cast, in the digits that are shown); its wide decimals overflow without an error.  In plans
// that were optimized, its sums and averages of DOUBLE, and sums of HUGEINT and of DECIMAL of more
// than 18 digits, are taken for these.
//
// Thread-safe.
#pragma once

#include <string>

namespace duckdb {
class DuckDB;
class LogicalOperator;
}  // namespace duckdb

namespace weir {

// sum of DOUBLE, by any of the names DuckDB has for it.
bool IsFloatSum(const std::string& function);

// Uses them in every plan of the database from now on.
void InstallExactSums(duckdb::DuckDB& database);

// Has functions of the names below, so that plans with those can be copied (duck/batch_plan.h).
void RegisterExactSums(duckdb::DuckDB& database);
// Uses those of DOUBLE in one plan, under names of their own.
void UseExactSums(duckdb::LogicalOperator& plan);

}  // namespace weir
