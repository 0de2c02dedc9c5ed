// Texts of up to 12 bytes, of which DuckDB's string_t holds every byte: two such are equal when
// their 16 bytes are.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "duckdb/common/types/selection_vector.hpp"
#include "duckdb/common/types/string_type.hpp"

namespace weir {

struct ShortText {
  uint64_t low, high;  // the bytes of its string_t

  // Nothing for a longer text.
  static std::optional<ShortText> Of(std::string_view text);
  bool Equals(const duckdb::string_t& value) const {
    uint64_t words[2];
    std::memcpy(words, &value, 16);
    return ((words[0] ^ low) | (words[1] ^ high)) == 0;
  }
};

// A string_t of these bytes, which stay where they are when they are more than 12.  Theirs copies
// by a call, whose length no processor foresees.
inline duckdb::string_t TextOf(const char* bytes, size_t size) {
  if (size > duckdb::string_t::INLINE_LENGTH) return {bytes, static_cast<uint32_t>(size)};
  uint64_t first = 0, rest = 0;  // bytes 0 to 7, 8 to 11
  if (size >= 8) {
    std::memcpy(&first, bytes, 8);
    uint32_t last;
    std::memcpy(&last, bytes + size - 4, 4);
    rest = uint64_t{last} >> (12 - size) * 8;
  } else if (size >= 4) {
    uint32_t begin, end;
    std::memcpy(&begin, bytes, 4);
    std::memcpy(&end, bytes + size - 4, 4);
    first = begin | uint64_t{end} << (size - 4) * 8;  // where both are, they are the same
  } else {
    for (size_t i = 0; i < size; i++) first |= uint64_t{static_cast<uint8_t>(bytes[i])} << i * 8;
  }
  uint64_t words[2] = {size | first << 32, first >> 32 | rest << 32};
  duckdb::string_t text;
  std::memcpy(&text, words, 16);
  return text;
}

// The places of the texts that are `wanted` among the first `count`, in order, into `places` (room
// for `count`); returns how many.  Without a branch on what a row says, which no processor guesses.
duckdb::idx_t SelectShortText(ShortText wanted, const duckdb::string_t* texts, duckdb::idx_t count,
                              duckdb::sel_t* places);

}  // namespace weir
