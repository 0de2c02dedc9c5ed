// For functions of a text: goes through a vector of them, whatever its form.
#pragma once

#include "duckdb/common/types/vector.hpp"

namespace weir {

inline void SetRowNull(duckdb::Vector& result, duckdb::idx_t row) {
  if (result.GetVectorType() == duckdb::VectorType::CONSTANT_VECTOR) {
    duckdb::ConstantVector::SetNull(result, true);
  } else {
    duckdb::FlatVector::SetNull(result, row, true);
  }
}

// The result's shape: constant for a constant text, otherwise flat.  Calls `of` for each text that
// is not NULL with its place in the result; of NULL the result is NULL.
template <class Of>
void ForEachText(duckdb::Vector& texts, duckdb::idx_t rows, duckdb::Vector& result, Of of) {
  bool constant = texts.GetVectorType() == duckdb::VectorType::CONSTANT_VECTOR;
  result.SetVectorType(constant ? duckdb::VectorType::CONSTANT_VECTOR
                                : duckdb::VectorType::FLAT_VECTOR);
  duckdb::UnifiedVectorFormat format;
  texts.ToUnifiedFormat(rows, format);
  auto* values = duckdb::UnifiedVectorFormat::GetData<duckdb::string_t>(format);
  if (texts.GetVectorType() == duckdb::VectorType::FLAT_VECTOR && format.validity.AllValid()) {
    for (duckdb::idx_t row = 0; row < rows; row++) of(values[row], row);
    return;
  }
  for (duckdb::idx_t row = 0; row < (constant ? 1 : rows); row++) {
    auto index = format.sel->get_index(row);
    if (!format.validity.RowIsValid(index)) {
      SetRowNull(result, row);
    } else {
      of(values[index], row);
    }
  }
}

}  // namespace weir
