#include "formats/json_scanner.h"

#include <emmintrin.h>

#include "simdjson.h"

namespace weir {
namespace {

constexpr const char* kOpenString = "a string without its closing quote";
constexpr const char* kControl = "a control character inside a string (escape it)";
constexpr const char* kBadUtf8 = "not UTF-8";
constexpr const char* kBadEscape = "a bad escape in a string";
constexpr const char* kBadNumber = "a malformed number";
constexpr const char* kBadValue = "not a JSON value";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Four hexadecimal digits, or -1.
int ReadHex4(const char* at) {
  int value = 0;
  for (int i = 0; i < 4; i++) {
    char c = at[i];
    int digit = IsDigit(c)             ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

void AppendUtf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 63));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 63));
    out += static_cast<char>(0x80 | (code & 63));
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 63));
    out += static_cast<char>(0x80 | (code >> 6 & 63));
    out += static_cast<char>(0x80 | (code & 63));
  }
}

}  // namespace

const char* JsonScanner::ReadString(std::string_view& text) {
  const char* begin = ++at_;
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i last_control = _mm_set1_epi8(0x1f);
  int any_high = 0;
  for (const char* block = begin;; block += 16) {
    if (block >= end_) return kOpenString;
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    __m128i special = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote),
                                   _mm_or_si128(_mm_cmpeq_epi8(bytes, backslash), control));
    auto mask = static_cast<unsigned>(_mm_movemask_epi8(special));
    auto high = static_cast<unsigned>(_mm_movemask_epi8(bytes));
    if (mask == 0) {
      any_high |= static_cast<int>(high);
      continue;
    }
    int first = __builtin_ctz(mask);
    any_high |= static_cast<int>(high & ((1u << first) - 1));
    const char* stop = block + first;
    if (stop >= end_) return kOpenString;
    if (*stop == '\\') return ReadEscaped(text, begin);
    if (*stop != '"') return kControl;
    auto size = static_cast<size_t>(stop - begin);
    if (any_high && !simdjson::validate_utf8(begin, size)) return kBadUtf8;
    text = std::string_view(begin, size);
    at_ = stop + 1;
    return nullptr;
  }
}

const char* JsonScanner::ReadEscaped(std::string_view& text, const char* begin) {
  unescaped_.clear();
  for (const char* c = begin; c < end_; c++) {
    auto byte = static_cast<unsigned char>(*c);
    if (byte == '"') {
      if (!simdjson::validate_utf8(unescaped_)) return kBadUtf8;
      text = unescaped_;
      at_ = c + 1;
      return nullptr;
    }
    if (byte < 0x20) return kControl;
    if (byte != '\\') {
      unescaped_ += *c;
      continue;
    }
    if (++c >= end_) return kOpenString;
    switch (*c) {
      case '"': unescaped_ += '"'; break;
      case '\\': unescaped_ += '\\'; break;
      case '/': unescaped_ += '/'; break;
      case 'b': unescaped_ += '\b'; break;
      case 'f': unescaped_ += '\f'; break;
      case 'n': unescaped_ += '\n'; break;
      case 'r': unescaped_ += '\r'; break;
      case 't': unescaped_ += '\t'; break;
      case 'u': {
        int unit = end_ - c > 4 ? ReadHex4(c + 1) : -1;
        if (unit < 0) return kBadEscape;
        c += 4;
        auto code = static_cast<uint32_t>(unit);
        if (code >= 0xd800 && code < 0xdc00) {
          int low = end_ - c > 6 && c[1] == '\\' && c[2] == 'u' ? ReadHex4(c + 3) : -1;
          if (low < 0xdc00 || low > 0xdfff) return "half of a surrogate pair";
          code = 0x10000 + ((code - 0xd800) << 10) + (static_cast<uint32_t>(low) - 0xdc00);
          c += 6;
        } else if (code >= 0xdc00 && code < 0xe000) {
          return "half of a surrogate pair";
        } else if (code == 0) {
          return "a NUL character inside a string";
        }
        AppendUtf8(unescaped_, code);
        break;
      }
      default: return kBadEscape;
    }
  }
  return kOpenString;
}

const char* JsonScanner::ReadNumber() {
  if (*at_ == '-') at_++;
  if (!IsDigit(*at_)) return kBadNumber;
  if (*at_ == '0' && IsDigit(at_[1])) return kBadNumber;
  while (IsDigit(*at_)) at_++;
  if (*at_ == '.') {
    if (!IsDigit(*++at_)) return kBadNumber;
    while (IsDigit(*at_)) at_++;
  }
  if (*at_ == 'e' || *at_ == 'E') {
    at_++;
    if (*at_ == '+' || *at_ == '-') at_++;
    if (!IsDigit(*at_)) return kBadNumber;
    while (IsDigit(*at_)) at_++;
  }
  return at_ > end_ ? kBadNumber : nullptr;
}

const char* JsonScanner::ReadValue(Token& token) {
  if (at_ >= end_) return kBadValue;
  const char* begin = at_;
  switch (*at_) {
    case '"': token.kind = TokenKind::kString; return ReadString(token.text);
    case 't':
      token.kind = TokenKind::kTrue;
      token.text = "true";
      return TakeText("true") ? nullptr : kBadValue;
    case 'f':
      token.kind = TokenKind::kFalse;
      token.text = "false";
      return TakeText("false") ? nullptr : kBadValue;
    case 'n': token.kind = TokenKind::kNull; return TakeText("null") ? nullptr : kBadValue;
    case '{':
    case '[': {
      token.kind = *at_ == '{' ? TokenKind::kObject : TokenKind::kArray;
      const char* wrong = SkipNested(1);
      token.text = std::string_view(begin, static_cast<size_t>(at_ - begin));
      return wrong;
    }
    default: {
      if (*at_ != '-' && !IsDigit(*at_)) return kBadValue;
      token.kind = TokenKind::kNumber;
      const char* wrong = ReadNumber();
      token.text = std::string_view(begin, static_cast<size_t>(at_ - begin));
      return wrong;
    }
  }
}

// At '{' or '['; checks the grammar while it goes.
const char* JsonScanner::SkipNested(int depth) {
  if (depth >= kJsonDepthMax) {
    too_deep_ = true;
    return "nested too deeply";
  }
  bool object = *at_++ == '{';
  char close = object ? '}' : ']';
  SkipSpace();
  if (Take(close)) return nullptr;
  while (true) {
    SkipSpace();
    std::string_view key;
    if (object) {
      if (at_ >= end_ || *at_ != '"') return "expected a field name in quotes";
      if (const char* wrong = ReadString(key)) return wrong;
      SkipSpace();
      if (!Take(':')) return "expected a colon after a field name";
      SkipSpace();
    }
    const char* wrong;
    if (at_ < end_ && (*at_ == '{' || *at_ == '[')) {
      wrong = SkipNested(depth + 1);
    } else {
      Token token;
      wrong = ReadValue(token);
    }
    if (wrong) return wrong;
    SkipSpace();
    if (Take(close)) return nullptr;
    if (!Take(',')) return object ? "expected a comma or }" : "expected a comma or ]";
  }
}

}  // namespace weir
