// The values of JSON as machines write them, straight into their column: short tests and stores
// that are inlined into the loop over rows.  Whatever is not so plain (escapes, other alphabets
// than ASCII, rare forms of times, long numbers, everything wrong) is left to ColumnWriter::Write.
//
// No reader passes a control character, so none runs over the end of a line, nor over zeros behind
// the last.
#pragma once

#include <limits>

#include "formats/column_writer.h"
#include "formats/number_text.h"
#include "formats/text_scan.h"
#include "formats/uuid_text.h"

namespace weir {

// Where a string ends, at its closing quote, when it is plain ASCII without escapes; else null.
// `text` is behind the opening quote.
inline const char* PlainStringEnd(const char* text) {
  const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
  const __m128i last_control = _mm_set1_epi8(0x1f);
  for (;; text += 16) {
    __m128i bytes = Load16(text);
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    __m128i stops = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote),
                                 _mm_or_si128(_mm_cmpeq_epi8(bytes, backslash), control));
    auto stop = static_cast<unsigned>(_mm_movemask_epi8(stops));
    auto high = static_cast<unsigned>(_mm_movemask_epi8(bytes));
    if (high & (stop ^ (stop - 1))) return nullptr;  // before the first stop, or anywhere
    if (stop == 0) continue;
    text += __builtin_ctz(stop);
    return *text == '"' ? text : nullptr;
  }
}

[[gnu::always_inline]] inline const char* ColumnWriter::WriteQuickText(duckdb::idx_t row,
                                                                       const char* at) {
  if (*at != '"') return nullptr;
  const char* text = at + 1;
  const char* end = PlainStringEnd(text);
  if (!end) return nullptr;
  auto size = static_cast<size_t>(end - text);
  if (size > std::numeric_limits<uint32_t>::max()) return nullptr;
  static_assert(sizeof(duckdb::string_t) == 16 && duckdb::string_t::INLINE_LENGTH == 12);
  if (size <= duckdb::string_t::INLINE_LENGTH) {
    // Its length, its bytes, zeros.
    alignas(32) static constexpr std::array<unsigned char, 32> kKept = [] {
      std::array<unsigned char, 32> kept{};
      for (size_t i = 0; i < 16; i++) kept[i] = 0xff;
      return kept;
    }();
    __m128i bytes = _mm_and_si128(Load16(text), Load16(kKept.data() + 16 - size));
    Store16(values_ + row * 16,
            _mm_or_si128(_mm_slli_si128(bytes, 4), _mm_cvtsi32_si128(static_cast<int>(size))));
    SetValid(row);
  } else {
    Put(row, duckdb::string_t(room_.CopyPadded(text, size), static_cast<uint32_t>(size)));
  }
  return end + 1;
}

[[gnu::always_inline]] inline const char* ColumnWriter::WriteQuickTime(duckdb::idx_t row,
                                                                       const char* at) {
  Micros micros;
  if (*at == '"') {
    at = times_.Read(at + 1, micros);
    if (!at || *at++ != '"') return nullptr;
  } else {
    at = epoch_unit_ ? ReadWholeNumber(at, micros) : nullptr;
    if (!at || __builtin_mul_overflow(micros, epoch_unit_, &micros)) return nullptr;
  }
  Put(row, micros);
  return at;
}

template <class Int>
[[gnu::always_inline]] inline const char* ColumnWriter::WriteQuickInteger(duckdb::idx_t row,
                                                                          const char* at) {
  int64_t value;
  at = ReadWholeNumber(at, value);
  if (!at || !std::in_range<Int>(value)) return nullptr;
  Put(row, static_cast<Int>(value));
  return at;
}

[[gnu::always_inline]] inline const char* ColumnWriter::WriteQuick(duckdb::idx_t row,
                                                                   const char* at) {
  switch (reader_) {
    case Reader::kText: return WriteQuickText(row, at);
    case Reader::kTimestamp:
    case Reader::kTimestampTz: return WriteQuickTime(row, at);
    case Reader::kUuid: {
      duckdb::hugeint_t uuid;
      const char* end = at + 1 + kUuidBytes;
      if (*at != '"' || *end != '"' || !ReadUuidText(at + 1, uuid)) return nullptr;
      Put(row, uuid);
      return end + 1;
    }
    case Reader::kInt64: return WriteQuickInteger<int64_t>(row, at);
    case Reader::kInt32: return WriteQuickInteger<int32_t>(row, at);
    case Reader::kInt16: return WriteQuickInteger<int16_t>(row, at);
    case Reader::kInt8: return WriteQuickInteger<int8_t>(row, at);
    case Reader::kUint64: return WriteQuickInteger<uint64_t>(row, at);
    case Reader::kUint32: return WriteQuickInteger<uint32_t>(row, at);
    case Reader::kUint16: return WriteQuickInteger<uint16_t>(row, at);
    case Reader::kUint8: return WriteQuickInteger<uint8_t>(row, at);
    case Reader::kDouble: {
      double value;
      at = ReadDecimal(at, value);
      if (at) Put(row, value);
      return at;
    }
    case Reader::kDecimal: return WriteQuickDecimal(row, at);
    case Reader::kDate: {
      auto date = *at == '"' && at[11] == '"' ? ReadDate({at + 1, 10}) : std::nullopt;
      if (!date) return nullptr;
      Put(row, *date);
      return at + 12;
    }
    case Reader::kBoolean: {
      bool value = *at == 't';
      size_t size = value ? 4 : 5;
      if (std::memcmp(at, value ? "true" : "false", size) != 0) return nullptr;
      Put(row, value);
      return at + size;
    }
    case Reader::kFloat:
    case Reader::kJson:
    case Reader::kList:
    case Reader::kArray:
    case Reader::kStruct:
    case Reader::kMap:
    case Reader::kCast: break;
  }
  return nullptr;
}

}  // namespace weir
