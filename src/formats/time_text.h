// Times in the forms that machines write: "2020-02-01T00:00:00", with T or a space, with up to nine
// digits of a fraction or none, in UTC (Z, +00:00, or nothing).  Other forms: ReadTime
// (text_scan.h).
//
// Events mostly come from the minute of the event before, so a reader keeps the last minute's text
// and compares 16 bytes instead of reading them.
#pragma once

#include <array>

#include "base/ids.h"
#include "formats/text_blocks.h"

namespace weir {

class TimeReader {
 public:
  // `text` may be read for 64 bytes.  The place behind the time, or null when it is none of these
  // forms (which the text behind it decides, too: the caller expects a closing quote there).
  const char* Read(const char* text, Micros& micros) {
    if (EqualBytes(Load16(text), Load16(minute_text_.data())) != kAll16 && !ReadMinute(text)) {
      return nullptr;
    }
    const __m128i nine = _mm_set1_epi8(9);
    __m128i values = _mm_sub_epi8(Load16(text + 16), _mm_set1_epi8('0'));  // of ":SS.ffffff"
    unsigned digits = BytesUpTo(nine, values);
    if (text[16] != ':' || (digits & 0b110) != 0b110) return nullptr;
    const char* end = text + 19;
    unsigned count = 0;
    if (*end == '.') {
      count = static_cast<unsigned>(__builtin_ctz(~(digits >> 4)));
      if (count - 1 > 8) return nullptr;
      end += 1 + count;
    }
    values = _mm_and_si128(values, Load16(kKept[count].data()));
    // Each digit times ten plus the next: 1 is the second, 4, 6 and 8 are pairs of the fraction.
    __m128i pairs =
        _mm_add_epi8(_mm_mullo_epi16(values, _mm_set1_epi16(10)), _mm_srli_si128(values, 1));
    int second = _mm_extract_epi16(pairs, 0) >> 8;
    if (second > 59) return nullptr;
    __m128i scaled = _mm_madd_epi16(_mm_and_si128(pairs, _mm_set1_epi16(0xff)),
                                    _mm_setr_epi16(0, 0, 10'000, 100, 1, 0, 0, 0));
    scaled = _mm_add_epi32(scaled, _mm_srli_si128(scaled, 4));
    auto fraction = static_cast<int64_t>(static_cast<uint64_t>(_mm_cvtsi128_si64(scaled)) >> 32);
    micros = minute_ + second * int64_t{1'000'000} + fraction;
    if (*end == 'Z') return end + 1;
    if (*end == '+') return std::memcmp(end, "+00:00", 6) == 0 ? end + 6 : nullptr;
    return end;
  }

 private:
  // Reads "YYYY-MM-DD[T ]HH:MM" into minute_.
  bool ReadMinute(const char* text);

  // Of the bytes from the colon before the seconds: which count, with so many digits of a fraction;
  // those past the sixth are cut, as DuckDB does.
  using Bytes = std::array<unsigned char, 16>;
  static constexpr std::array<Bytes, 10> MakeKept() {
    std::array<Bytes, 10> kept{};
    for (size_t count = 0; count < kept.size(); count++) {
      kept[count][1] = kept[count][2] = 0xff;
      for (size_t i = 0; i < count && i < 6; i++) kept[count][4 + i] = 0xff;
    }
    return kept;
  }
  static const std::array<Bytes, 10> kKept;

  std::array<char, 16> minute_text_ = {'1', '9', '7', '0', '-', '0', '1', '-',
                                       '0', '1', 'T', '0', '0', ':', '0', '0'};
  Micros minute_ = 0;
};

inline constexpr std::array<TimeReader::Bytes, 10> TimeReader::kKept = TimeReader::MakeKept();

}  // namespace weir
