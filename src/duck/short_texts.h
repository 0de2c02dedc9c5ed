// Texts of up to 12 bytes, of which DuckDB's string_t holds every byte: two such are equal when
// their 16 bytes are.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "duckdb/common/types/selection_vector.hpp"
#include "duckdb/common/types/string_type.hpp"

namespace weir {

struct ShortText {
  uint64_t low, high;  // the bytes of its string_t

  // Nothing for a longer text.
  static std::optional<ShortText> Of(std::string_view text);
  bool Equals(const duckdb::string_t& value) const;
};

// The places of the texts that are `wanted` among the first `count`, in order, into `places` (room
// for `count`); returns how many.  Without a branch on what a row says, which no processor guesses.
duckdb::idx_t SelectShortText(ShortText wanted, const duckdb::string_t* texts, duckdb::idx_t count,
                              duckdb::sel_t* places);

}  // namespace weir
