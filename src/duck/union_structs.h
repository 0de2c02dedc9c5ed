// A UNION is a STRUCT of its members with a number in front that says which of them counts, and
// that is how it goes into formats that have no unions: nothing of it is lost, not even which
// member is the NULL.
#pragma once

#include "duckdb/common/types.hpp"

namespace duckdb {
class ClientContext;
class Vector;
}  // namespace duckdb

namespace weir {

// The type with STRUCT(tag UTINYINT, members...) for each UNION in it, however deep; the first
// field has another name where a member is called "tag".
duckdb::LogicalType UnionsAsStructs(const duckdb::LogicalType& type);

// The same values as of another type, when UnionsAsStructs is the same for both: what can be is
// shared.
void RelabelVector(duckdb::Vector& from, duckdb::Vector& to, duckdb::idx_t count);

// Makes `weir_relabel(value, CAST(NULL AS TYPE))` known to the context's database: the value as one
// of TYPE, when UnionsAsStructs is the same for both types.
void RegisterUnionStructs(duckdb::ClientContext& context);

}  // namespace weir
