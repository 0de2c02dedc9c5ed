// Makes a column hold one value in all its rows.
//
// Not Vector::Reference(Value): that writes the value's validity through the mask the column has
// at the time, which is another column's own when it referenced or sliced one before.
#pragma once

#include "duckdb/common/types/value.hpp"
#include "duckdb/common/types/vector.hpp"

namespace weir {

inline void SetConstant(duckdb::Vector& column, const duckdb::Value& value) {
  duckdb::Vector fresh(value);
  column.Reference(fresh);
}

inline void SetNull(duckdb::Vector& column) {
  SetConstant(column, duckdb::Value(column.GetType()));
}

}  // namespace weir
