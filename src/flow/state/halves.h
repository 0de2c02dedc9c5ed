// A chunk whose rows cannot be told apart by the expression that failed on them, cut in two.
// Halving goes on until such rows stand alone: log n runs over for each of them, nothing for the
// others.
#pragma once

#include <utility>

#include "base/error.h"
#include "duckdb/common/types/data_chunk.hpp"

namespace weir {

// Calls visit(half, first row of the half in `rows`) for both halves.
// REQUIRES: `rows` has two rows or more.
template <class Visit>
void EachHalf(duckdb::DataChunk& rows, Visit visit) {
  CHECK(rows.size() >= 2);  // less would be halved without an end
  duckdb::DataChunk half;
  half.InitializeEmpty(rows.GetTypes());
  duckdb::idx_t middle = rows.size() / 2, end = rows.size();
  for (auto [from, to] : {std::pair(duckdb::idx_t{0}, middle), std::pair(middle, end)}) {
    duckdb::SelectionVector chosen(to - from);
    for (duckdb::idx_t i = from; i < to; i++) chosen.set_index(i - from, i);
    half.Reference(rows);
    half.Slice(chosen, to - from);
    visit(half, from);
  }
}

}  // namespace weir
