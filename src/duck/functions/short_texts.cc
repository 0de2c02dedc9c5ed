#include "duck/functions/short_texts.h"

#include <emmintrin.h>

#include <array>
#include <cstring>

namespace weir {
namespace {

static_assert(sizeof(duckdb::string_t) == 16 && sizeof(duckdb::sel_t) == 4);

// For each four bits: the places of those that are set, first ones first, and how many they are.
struct Places {
  alignas(16) std::array<uint32_t, 4> places{};
  uint32_t count = 0;
};
constexpr auto kPlaces = [] {
  std::array<Places, 16> all{};
  for (uint32_t bits = 0; bits < 16; bits++) {
    for (uint32_t bit = 0; bit < 4; bit++) {
      if (bits >> bit & 1) all[bits].places[all[bits].count++] = bit;
    }
  }
  return all;
}();

// Which of four texts are `wanted`, a bit for each.
uint32_t EqualOnes(const duckdb::string_t* texts, __m128i wanted) {
  auto* at = reinterpret_cast<const __m128i*>(texts);
  __m128i a = _mm_cmpeq_epi32(_mm_loadu_si128(at), wanted);
  __m128i b = _mm_cmpeq_epi32(_mm_loadu_si128(at + 1), wanted);
  __m128i c = _mm_cmpeq_epi32(_mm_loadu_si128(at + 2), wanted);
  __m128i d = _mm_cmpeq_epi32(_mm_loadu_si128(at + 3), wanted);
  // Four words of each text become its four bytes, and those one word: all ones where all were
  // equal.
  __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
  __m128i whole = _mm_cmpeq_epi32(bytes, _mm_set1_epi32(-1));
  return static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(whole)));
}

}  // namespace

std::optional<ShortText> ShortText::Of(std::string_view text) {
  if (text.size() > duckdb::string_t::INLINE_LENGTH) return std::nullopt;
  duckdb::string_t inlined(text.data(), static_cast<uint32_t>(text.size()));
  ShortText result{};
  std::memcpy(&result.low, &inlined, 8);
  std::memcpy(&result.high, reinterpret_cast<const char*>(&inlined) + 8, 8);
  return result;
}

duckdb::idx_t SelectShortText(ShortText wanted, const duckdb::string_t* texts, duckdb::idx_t count,
                              duckdb::sel_t* places) {
  __m128i word =
      _mm_set_epi64x(static_cast<long long>(wanted.high), static_cast<long long>(wanted.low));
  // Columns come from memory, each from a place of its own: too short for the processor to see
  // where they go on, above all over the end of a page.
  constexpr duckdb::idx_t kAhead = 64;
  duckdb::idx_t found = 0, row = 0;
  for (; row + 4 <= count; row += 4) {
    __builtin_prefetch(texts + row + kAhead);
    // Writes four places and keeps as many as there are: found is at most row, so there is room.
    auto& here = kPlaces[EqualOnes(texts + row, word)];
    __m128i first = _mm_set1_epi32(static_cast<int>(row));
    __m128i next = _mm_load_si128(reinterpret_cast<const __m128i*>(here.places.data()));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(places + found), _mm_add_epi32(next, first));
    found += here.count;
  }
  for (; row < count; row++) {
    places[found] = static_cast<duckdb::sel_t>(row);
    found += wanted.Equals(texts[row]);
  }
  return found;
}

}  // namespace weir
