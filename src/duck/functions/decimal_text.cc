#include "duck/functions/decimal_text.h"

#include <algorithm>
#include <array>

namespace weir {
namespace {

constexpr int kDigitsMax = 38;  // of a DECIMAL
constexpr int64_t kExponentMax = 1'000'000'000;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// A number as 0.DIGITS times 10^exponent, without zeros in front.
struct Parts {
  bool negative = false;
  std::array<char, kDigitsMax + 1> digits{};  // the first ones, zeros behind them
  int64_t exponent = 0;
  bool zero = true;
};

// "e-7", up to the end; false when it is none.
bool ReadExponent(std::string_view text, int64_t& exponent) {
  text.remove_prefix(1);
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return false;
  exponent = 0;
  for (char c : text) {
    if (!IsDigit(c)) return false;
    exponent = std::min(exponent * 10 + (c - '0'), kExponentMax);
  }
  if (negative) exponent = -exponent;
  return true;
}

bool ReadParts(std::string_view text, Parts& parts) {
  parts.negative = text.starts_with('-');
  if (parts.negative || text.starts_with('+')) text.remove_prefix(1);
  bool point = false, any = false;
  size_t kept = 0;
  for (size_t i = 0; i < text.size(); i++) {
    char c = text[i];
    if (c == '.' && !point) {
      point = true;
    } else if (IsDigit(c)) {
      any = true;
      if (parts.zero && c == '0') {
        parts.exponent -= point;
        continue;
      }
      parts.zero = false;
      parts.exponent += !point;
      if (kept < parts.digits.size()) parts.digits[kept++] = static_cast<char>(c - '0');
    } else if ((c == 'e' || c == 'E') && any) {
      int64_t exponent;
      if (!ReadExponent(text.substr(i), exponent)) return false;
      parts.exponent += exponent;
      return true;
    } else {
      return false;
    }
  }
  return any;
}

}  // namespace

DecimalText ReadDecimalText(std::string_view text, int width, int scale, duckdb::hugeint_t& value) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  Parts parts;
  if (!ReadParts(text, parts)) return DecimalText::kNone;
  int64_t wanted = parts.exponent + scale;  // digits of the result
  if (parts.zero || wanted < 0) {
    value = 0;
    return DecimalText::kGood;
  }
  if (wanted > width) return DecimalText::kBeyond;
  __int128 number = 0, beyond = 1;
  for (int64_t i = 0; i < wanted; i++) number = number * 10 + parts.digits[static_cast<size_t>(i)];
  number += parts.digits[static_cast<size_t>(wanted)] >= 5;
  for (int i = 0; i < width; i++) beyond *= 10;
  if (number >= beyond) return DecimalText::kBeyond;
  if (parts.negative) number = -number;
  value.lower = static_cast<uint64_t>(number);
  value.upper = static_cast<int64_t>(number >> 64);
  return DecimalText::kGood;
}

}  // namespace weir
