// UUIDs as text, 8-4-4-4-12 hexadecimal digits, to DuckDB's form of them.
#pragma once

#include "duckdb/common/types/hugeint.hpp"
#include "formats/text_blocks.h"

namespace weir {

inline constexpr size_t kUuidBytes = 36;

// The values of 16 hexadecimal digits; where a byte is none, `bad` is not zero.
inline __m128i HexValues(__m128i text, __m128i& bad) {
  const __m128i case_bit = _mm_set1_epi8(0x20);
  __m128i letters = _mm_cmpgt_epi8(_mm_or_si128(text, case_bit), _mm_set1_epi8('a' - 1));
  __m128i small = _mm_or_si128(text, _mm_and_si128(letters, case_bit));
  __m128i zero =
      _mm_add_epi8(_mm_set1_epi8('0'), _mm_and_si128(letters, _mm_set1_epi8('a' - 10 - '0')));
  __m128i most = _mm_add_epi8(_mm_set1_epi8(9), _mm_and_si128(letters, _mm_set1_epi8(6)));
  __m128i values = _mm_sub_epi8(small, zero);
  bad = _mm_or_si128(bad, _mm_subs_epu8(values, most));
  return values;
}

// 8 values of 8 bits in 16-bit lanes, from 16 digits of which the first of two is the greater.
inline __m128i JoinHexValues(__m128i values) {
  __m128i first = _mm_slli_epi16(values, 4);
  return _mm_and_si128(_mm_or_si128(first, _mm_srli_epi16(values, 8)), _mm_set1_epi16(0xff));
}

// Reads the kUuidBytes at `text`, of any case; false when they are no UUID.
inline bool ReadUuidText(const char* text, duckdb::hugeint_t& uuid) {
  // Dashes stand at 8, 13, 18 and 23.
  constexpr uint64_t kDashPlaces = 0x0000ff00000000ff;
  constexpr uint64_t kDashes = 0x00002d000000002d;
  uint64_t no_dashes = (LoadWord(text + 8) ^ kDashes) | (LoadWord(text + 18) ^ kDashes);
  __m128i bad = _mm_setzero_si128();
  __m128i first = HexValues(
      _mm_unpacklo_epi64(Load8(text), _mm_unpacklo_epi32(Load4(text + 9), Load4(text + 14))), bad);
  __m128i second = HexValues(
      _mm_unpacklo_epi64(_mm_unpacklo_epi32(Load4(text + 19), Load4(text + 24)), Load8(text + 28)),
      bad);
  if ((no_dashes & kDashPlaces) || EqualBytes(bad, _mm_setzero_si128()) != kAll16) return false;
  __m128i bytes = _mm_packus_epi16(JoinHexValues(first), JoinHexValues(second));
  auto high = __builtin_bswap64(static_cast<uint64_t>(_mm_cvtsi128_si64(bytes)));
  auto low = static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(bytes, bytes)));
  // DuckDB flips the top bit, so that signed order is the order of the text.
  uuid.upper = static_cast<int64_t>(high ^ (uint64_t{1} << 63));
  uuid.lower = __builtin_bswap64(low);
  return true;
}

}  // namespace weir
