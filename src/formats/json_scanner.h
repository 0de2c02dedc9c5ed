// A strict JSON reader over memory that may be read 64 bytes past its end: tokens as text, strings
// 16 bytes at a time.  No allocation unless a string has escapes.  One thread at a time.
#pragma once

#include <emmintrin.h>

#include <cstring>
#include <string>
#include <string_view>

#include "formats/column_writer.h"

namespace weir {

inline constexpr int kJsonDepthMax = 64;

class JsonScanner {
 public:
  struct Token {
    TokenKind kind;
    std::string_view text;  // valid until the next token
  };

  // [begin, end) is the text; bytes up to end + 64 must be readable.
  JsonScanner(const char* begin, const char* end) : at_(begin), end_(end) {}

  const char* at() const { return at_; }
  void MoveTo(const char* at) { at_ = at; }
  bool AtEnd() const { return at_ >= end_; }

  void SkipSpace() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r' || *at_ == '\n')) {
      if (*at_ == '\n') last_newline_ = at_;
      at_++;
    }
  }
  // Spaces within a line.
  void SkipBlanks() {
    while (*at_ == ' ' || *at_ == '\t') at_++;
  }
  bool Take(char expected) {
    if (at_ >= end_ || *at_ != expected) return false;
    at_++;
    return true;
  }
  // Takes `text` when it stands here; `text` has at most 64 bytes.
  bool TakeText(std::string_view text) {
    if (std::memcmp(at_, text.data(), text.size()) != 0) return false;
    if (at_ + text.size() > end_) return false;
    at_ += text.size();
    return true;
  }
  // The same of the first `size` bytes at `text`, of which 64 can be read: without a call.
  bool TakePadded(const char* text, size_t size) {
    for (size_t block = 0; block < size; block += 16) {
      auto here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at_ + block));
      auto there = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + block));
      auto differ = ~static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(here, there)));
      size_t left = size - block;
      if (differ & (left >= 16 ? 0xffffu : (1u << left) - 1)) return false;
    }
    if (at_ + size > end_) return false;
    at_ += size;
    return true;
  }

  // Each reads one value and returns null, or says what is wrong.
  const char* ReadValue(Token& token);
  const char* ReadString(std::string_view& text);  // at the opening quote
  bool too_deep() const { return too_deep_; }
  // Where a newline was last passed, between tokens (inside of strings none may stand).
  const char* last_newline() const { return last_newline_; }

 private:
  const char* ReadEscaped(std::string_view& text, const char* begin);
  const char* ReadNumber();
  const char* SkipNested(int depth);

  const char* at_;
  const char* end_;
  const char* last_newline_ = nullptr;
  bool too_deep_ = false;
  std::string unescaped_;
};

}  // namespace weir
