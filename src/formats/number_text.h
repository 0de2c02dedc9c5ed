// Numbers as JSON writes them, of at most 16 digits and without an exponent, eight digits at a
// time. Longer ones are left to others.
#pragma once

#include <array>
#include <cstdint>

#include "formats/text_blocks.h"

namespace weir {

// The digits at `text`, of which 16 bytes may be read: how many (at most 16), and their value.
struct Digits {
  unsigned count;
  uint64_t value;
};

inline constexpr std::array<uint64_t, 16> kPowersOfTen = [] {
  std::array<uint64_t, 16> powers{1};
  for (size_t i = 1; i < powers.size(); i++) powers[i] = powers[i - 1] * 10;
  return powers;
}();

// The value of eight digits, the first the greatest.
inline uint64_t ValueOfEight(uint64_t digits) {
  digits = (digits & 0x0f0f0f0f0f0f0f0f) * (1 + (10 << 8)) >> 8;
  digits = (digits & 0x00ff00ff00ff00ff) * (1 + (100 << 16)) >> 16;
  return (digits & 0x0000ffff0000ffff) * (1 + (uint64_t{10'000} << 32)) >> 32;
}

inline Digits ReadDigits(const char* text) {
  __m128i bytes = _mm_sub_epi8(Load16(text), _mm_set1_epi8('0'));
  unsigned none = ~BytesUpTo(_mm_set1_epi8(9), bytes);  // has bits above the 16th
  auto count = static_cast<unsigned>(__builtin_ctz(none));
  if (count == 0) return {0, 0};
  uint64_t word = LoadWord(text);
  // Zeros in front take the place of digits that are not there.
  if (count <= 8) return {count, ValueOfEight(word << (64 - 8 * count))};
  uint64_t rest = LoadWord(text + 8) << (128 - 8 * count);
  return {count, ValueOfEight(word) * kPowersOfTen[count - 8] + ValueOfEight(rest)};
}

// A whole number of at most 16 digits; null when it is another number or none.
inline const char* ReadWholeNumber(const char* text, int64_t& value) {
  bool negative = *text == '-';
  text += negative;
  Digits digits = ReadDigits(text);
  if (digits.count == 0 || (*text == '0' && digits.count > 1)) return nullptr;
  text += digits.count;
  if (*text == '.' || (*text | 0x20) == 'e' || (*text >= '0' && *text <= '9')) return nullptr;
  auto magnitude = static_cast<int64_t>(digits.value);
  value = negative ? -magnitude : magnitude;
  return text;
}

// A number of at most 15 digits, exactly the nearest double: both parts of the one division are
// (Clinger's fast path).
inline const char* ReadDecimal(const char* text, double& value) {
  bool negative = *text == '-';
  text += negative;
  Digits whole = ReadDigits(text);
  if (whole.count - 1 > 14 || (*text == '0' && whole.count > 1)) return nullptr;
  text += whole.count;
  auto number = static_cast<double>(whole.value);
  if (*text == '.') {
    Digits part = ReadDigits(text + 1);
    if (part.count == 0 || whole.count + part.count > 15) return nullptr;
    text += 1 + part.count;
    number = static_cast<double>(whole.value * kPowersOfTen[part.count] + part.value) /
             static_cast<double>(kPowersOfTen[part.count]);
  }
  if ((*text | 0x20) == 'e') return nullptr;
  value = negative ? -number : number;
  return text;
}

}  // namespace weir
