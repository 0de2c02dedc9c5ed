#include "formats/text_scan.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "formats/time_text.h"
#include "formats/uuid_text.h"

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

}  // namespace

std::optional<int32_t> ReadDate(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const char* at = text.data();
  unsigned century = TwoDigits(at), rest = TwoDigits(at + 2);
  unsigned year = century * 100 + rest, month = TwoDigits(at + 5), day = TwoDigits(at + 8);
  if (century > 99 || rest > 99 || month - 1 > 11 || day - 1 > 30 ||
      (day > 28 && day > DaysInMonth(year, month))) {
    return std::nullopt;
  }
  return static_cast<int32_t>(DaysFromDate(year, month, day));
}

std::optional<TimeText> ReadTime(std::string_view text) {
  auto date = ReadDate(text.substr(0, 10));
  if (!date) return std::nullopt;
  const char* at = text.data();
  const char* end = at + text.size();
  TimeText time{*date * 86400 * kSecond, false};
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

bool TimeReader::ReadMinute(const char* text) {
  const __m128i form =
      _mm_setr_epi8('0', '0', '0', '0', '-', '0', '0', '-', '0', '0', 'T', '0', '0', ':', '0', '0');
  // What each byte may be above `form`; byte 10 is looked at by itself.
  const __m128i most = _mm_setr_epi8(9, 9, 9, 9, 0, 1, 9, 0, 3, 9, -1, 2, 9, 0, 5, 9);
  __m128i values = _mm_sub_epi8(Load16(text), form);
  if (BytesUpTo(most, values) != kAll16 || (text[10] != 'T' && text[10] != ' ')) return false;
  values = _mm_andnot_si128(_mm_cmpeq_epi8(most, _mm_set1_epi8(-1)), values);
  // Each digit times ten plus the next.
  __m128i pairs =
      _mm_add_epi8(_mm_mullo_epi16(values, _mm_set1_epi16(10)), _mm_srli_si128(values, 1));
  alignas(16) std::array<unsigned char, 16> pair;
  _mm_store_si128(reinterpret_cast<__m128i*>(pair.data()), pairs);
  unsigned year = pair[0] * 100u + pair[2], month = pair[5], day = pair[8], hour = pair[11];
  if (month - 1 > 11 || day == 0 || (day > 28 && day > DaysInMonth(year, month)) || hour > 23) {
    return false;
  }
  minute_ = (DaysFromDate(year, month, day) * 1440 + hour * 60 + pair[14]) * 60 * kSecond;
  Store16(minute_text_.data(), Load16(text));
  return true;
}

std::optional<duckdb::hugeint_t> ReadUuid(std::string_view text) {
  duckdb::hugeint_t uuid;
  if (text.size() != kUuidBytes || !ReadUuidText(text.data(), uuid)) return std::nullopt;
  return uuid;
}

std::optional<int64_t> ReadInteger(std::string_view text) {
  int64_t value;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int64_t> ReadFixed(std::string_view text, int width, int scale) {
  constexpr int kDigitsMax = 18;
  bool negative = text.starts_with('-');
  int64_t value = 0;
  int digits = 0, point = -1;  // digits so far; before the point, once it was met
  for (char c : text.substr(negative)) {
    if (c == '.' && point < 0 && digits > 0) {
      point = digits;
    } else if (c >= '0' && c <= '9' && digits < kDigitsMax) {
      value = value * 10 + (c - '0');
      digits++;
    } else {
      return std::nullopt;
    }
  }
  int behind = point < 0 ? 0 : digits - point;
  if (digits == 0 || point == digits || behind > scale) return std::nullopt;
  if (digits + scale - behind > kDigitsMax) return std::nullopt;
  for (; behind < scale; behind++) value *= 10;
  int64_t beyond = 1;
  for (int i = 0; i < std::min(width, kDigitsMax); i++) beyond *= 10;
  if (value >= beyond) return std::nullopt;
  return negative ? -value : value;
}

}  // namespace weir
