// For short texts: a call to memchr or memcmp would cost more than the bytes.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace weir {

// The place of the first such byte from `from` on, or the size of the text.
inline size_t FindByte(std::string_view text, size_t from, char wanted) {
#ifdef __SSE2__
  __m128i all = _mm_set1_epi8(wanted);
  auto equal = [&](size_t at) {
    auto bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, all)));
  };
  for (; from + 16 <= text.size(); from += 16) {
    if (auto found = equal(from)) return from + static_cast<size_t>(std::countr_zero(found));
  }
  if (text.size() >= 16) {  // the last 16 bytes, without those before `from`
    size_t last = text.size() - 16;
    auto found = equal(last) >> (from - last);
    return found ? from + static_cast<size_t>(std::countr_zero(found)) : text.size();
  }
#endif
  while (from < text.size() && text[from] != wanted) from++;
  return from;
}

// As memcmp.
inline bool AreEqual(const char* a, const char* b, size_t size) {
  auto equal = [&]<class Word>(Word) {
    Word words[4];
    std::memcpy(&words[0], a, sizeof(Word));
    std::memcpy(&words[1], b, sizeof(Word));
    std::memcpy(&words[2], a + size - sizeof(Word), sizeof(Word));
    std::memcpy(&words[3], b + size - sizeof(Word), sizeof(Word));
    return ((words[0] ^ words[1]) | (words[2] ^ words[3])) == 0;
  };
  if (size > 16) return std::memcmp(a, b, size) == 0;
  if (size >= 8) return equal(uint64_t{});
  if (size >= 4) return equal(uint32_t{});
  for (size_t i = 0; i < size; i++) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

}  // namespace weir
