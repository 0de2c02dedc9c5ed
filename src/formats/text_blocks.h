// Text 16 bytes at a time, with what every x86-64 has (SSE2).
#pragma once

#include <emmintrin.h>

#include <cstdint>
#include <cstring>

namespace weir {

inline __m128i Load16(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
inline __m128i Load8(const void* from) {
  return _mm_loadl_epi64(static_cast<const __m128i*>(from));
}
inline __m128i Load4(const void* from) {
  int32_t word;
  std::memcpy(&word, from, 4);
  return _mm_cvtsi32_si128(word);
}
inline uint64_t LoadWord(const void* from) {
  uint64_t word;
  std::memcpy(&word, from, 8);
  return word;
}
inline void Store16(void* to, __m128i bytes) { _mm_storeu_si128(static_cast<__m128i*>(to), bytes); }

// One bit a byte: which are equal, which are at most `most` (unsigned).
inline unsigned EqualBytes(__m128i a, __m128i b) {
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(a, b)));
}
inline unsigned BytesUpTo(__m128i most, __m128i bytes) {
  return EqualBytes(_mm_min_epu8(bytes, most), bytes);
}
inline constexpr unsigned kAll16 = 0xffff;

}  // namespace weir
