#include "formats/text_scan.h"

#include <emmintrin.h>

#include <array>
#include <charconv>
#include <cstring>

namespace weir {
namespace {

// Two decimal digits, or a number above 99.
unsigned TwoDigits(const char* text) {
  unsigned tens = static_cast<unsigned char>(text[0]) - '0';
  unsigned ones = static_cast<unsigned char>(text[1]) - '0';
  return tens <= 9 && ones <= 9 ? tens * 10 + ones : 1000;
}

// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Hinnant, "chrono-compatible
// low-level date algorithms").
int64_t DaysFromDate(int64_t year, unsigned month, unsigned day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  auto year_of_era = static_cast<unsigned>(year - era * 400);
  unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + static_cast<int64_t>(day_of_era) - 719468;
}

unsigned DaysInMonth(unsigned year, unsigned month) {
  constexpr std::array<unsigned char, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29u : kDays[month - 1];
}

constexpr int64_t kSecond = 1'000'000;

// ".123456789" and the like; digits past the sixth are cut, as DuckDB does.
const char* ReadFraction(const char* at, const char* end, int64_t& micros) {
  if (at == end || *at != '.') return at;
  const char* digit = ++at;
  int64_t value = 0;
  int count = 0;
  for (; digit != end && *digit >= '0' && *digit <= '9'; digit++) {
    if (count < 6) {
      value = value * 10 + (*digit - '0');
      count++;
    }
  }
  if (digit == at) return nullptr;
  for (; count < 6; count++) value *= 10;
  micros += value;
  return digit;
}

// Z, +HH, +HHMM or +HH:MM up to the end.
bool ReadZone(const char* at, const char* end, int64_t& micros, bool& has_zone) {
  if (at != end && *at == ' ') at++;
  if (at == end) return true;
  has_zone = true;
  if ((*at == 'Z' || *at == 'z') && at + 1 == end) return true;
  if (*at != '+' && *at != '-') return false;
  int64_t sign = *at++ == '+' ? 1 : -1;
  if (end - at < 2) return false;
  unsigned hours = TwoDigits(at), minutes = 0;
  at += 2;
  if (at != end && *at == ':') at++;
  if (at != end) {
    if (end - at != 2) return false;
    minutes = TwoDigits(at);
  }
  if (hours > 15 || minutes > 59) return false;
  micros -= sign * (hours * 3600 + minutes * 60) * kSecond;
  return true;
}

// The values of 16 hexadecimal digits; a byte that is none leaves its mark in `bad`.
__m128i HexDigits(__m128i text, __m128i& bad) {
  __m128i folded = _mm_or_si128(text, _mm_set1_epi8(0x20));  // digits stay what they are
  __m128i digit = _mm_sub_epi8(text, _mm_set1_epi8('0'));
  __m128i letter = _mm_sub_epi8(folded, _mm_set1_epi8('a'));
  __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
  __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
  bad = _mm_or_si128(bad, _mm_cmpeq_epi8(_mm_or_si128(is_digit, is_letter), _mm_setzero_si128()));
  return _mm_or_si128(_mm_and_si128(is_digit, digit),
                      _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
}

// 8 bytes in the low half, from 16 digits of which the first of two is the greater.
__m128i JoinDigits(__m128i digits) {
  __m128i joined = _mm_or_si128(_mm_slli_epi16(_mm_and_si128(digits, _mm_set1_epi16(15)), 4),
                                _mm_srli_epi16(digits, 8));
  return _mm_packus_epi16(joined, joined);
}

__m128i Load4(const char* text) {
  int32_t word;
  std::memcpy(&word, text, 4);
  return _mm_cvtsi32_si128(word);
}
__m128i Load8(const char* text) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(text)); }

}  // namespace

std::optional<TimeText> ReadTime(std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  if (text.size() < 10 || at[4] != '-' || at[7] != '-') return std::nullopt;
  unsigned century = TwoDigits(at), rest = TwoDigits(at + 2);
  unsigned year = century * 100 + rest, month = TwoDigits(at + 5), day = TwoDigits(at + 8);
  if (century > 99 || rest > 99 || month - 1 > 11 || day - 1 > 30 ||
      (day > 28 && day > DaysInMonth(year, month))) {
    return std::nullopt;
  }
  TimeText time{DaysFromDate(year, month, day) * 86400 * kSecond, false};
  if (text.size() == 10) return time;
  if ((at[10] != 'T' && at[10] != ' ' && at[10] != 't') || text.size() < 16 || at[13] != ':') {
    return std::nullopt;
  }
  unsigned hour = TwoDigits(at + 11), minute = TwoDigits(at + 14), second = 0;
  at += 16;
  if (at != end && *at == ':') {
    if (end - at < 3) return std::nullopt;
    second = TwoDigits(at + 1);
    at += 3;
  }
  if (hour > 23 || minute > 59 || second > 59) return std::nullopt;
  time.micros += (hour * 3600 + minute * 60 + second) * kSecond;
  at = ReadFraction(at, end, time.micros);
  if (!at || !ReadZone(at, end, time.micros, time.has_zone)) return std::nullopt;
  return time;
}

std::optional<duckdb::hugeint_t> ReadUuid(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  const char* t = text.data();
  if (t[8] != '-' || t[13] != '-' || t[18] != '-' || t[23] != '-') return std::nullopt;
  __m128i bad = _mm_setzero_si128();
  __m128i first =
      HexDigits(_mm_unpacklo_epi64(Load8(t), _mm_unpacklo_epi32(Load4(t + 9), Load4(t + 14))), bad);
  __m128i second = HexDigits(
      _mm_unpacklo_epi64(_mm_unpacklo_epi32(Load4(t + 19), Load4(t + 24)), Load8(t + 28)), bad);
  if (_mm_movemask_epi8(bad)) return std::nullopt;
  auto high = __builtin_bswap64(static_cast<uint64_t>(_mm_cvtsi128_si64(JoinDigits(first))));
  auto low = __builtin_bswap64(static_cast<uint64_t>(_mm_cvtsi128_si64(JoinDigits(second))));
  // DuckDB flips the top bit, so that signed order is the order of the text.
  return duckdb::hugeint_t(static_cast<int64_t>(high ^ (uint64_t{1} << 63)), low);
}

std::optional<int64_t> ReadInteger(std::string_view text) {
  int64_t value;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace weir
