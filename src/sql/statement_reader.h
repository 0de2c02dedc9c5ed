// Reads the tokens of one statement from left to right; what is wrong is said with its place.
//
// Views the text and the tokens: both outlive it.  Used by one thread.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "sql/tokens.h"

namespace weir {

class StatementReader {
 public:
  using Kind = SqlToken::Kind;

  // The tokens [begin, end), at least one, of `text`; `file` is named in errors ("": none).
  StatementReader(std::string_view text, std::string_view file, const std::vector<SqlToken>& tokens,
                  size_t begin, size_t end)
      : text_(text),
        file_(file),
        tokens_(tokens),
        begin_(begin),
        at_(begin),
        end_(end),
        whole_end_(end) {}

  // ---- looking
  bool AtEnd() const { return at_ >= end_; }
  size_t Left() const { return end_ - at_; }               // tokens
  const SqlToken& Token(size_t ahead = 0) const;           // kEnd behind the last
  bool Is(std::string_view word, size_t ahead = 0) const;  // in any case, not quoted
  bool IsSymbol(char symbol, size_t ahead = 0) const;
  size_t Position() const;    // of the next token in the text
  size_t LastEnd() const;     // where the token before it ends
  std::string Rest() const;   // from the next token on
  std::string Whole() const;  // the statement as written, with what TakeLast took
  std::string_view text() const { return text_; }
  std::string_view file() const { return file_; }

  // ---- taking
  const SqlToken& Next() { return tokens_[at_++]; }
  void Skip(size_t tokens) { at_ += tokens; }
  bool Take(std::string_view word);
  bool TakeSymbol(char symbol);
  bool TakeIfExists();
  bool TakeIfNotExists();
  void Expect(std::string_view word);
  void ExpectSymbol(char symbol);
  void ExpectEnd() const;
  std::string Name(const char* what);
  std::string String(const char* what);  // in single quotes
  Micros Interval();                     // 5 SECONDS, '1 day', INTERVAL '5 minutes'
  // Takes these words from the end, if they stand there.
  bool TakeLast(std::initializer_list<std::string_view> words);

  // "(name = 'value', ...)"
  struct Option {
    std::string name;  // lower case
    std::string value;
    size_t position, value_position;
  };
  // `owner` is what the options are of ("a stream"), `known` their names; `take` uses one.
  void Options(const char* owner, std::initializer_list<std::string_view> known,
               const std::function<void(const Option&)>& take);
  // A value that is a length of time.
  Micros IntervalOf(const Option& option) const;

  // ---- what is wrong
  [[noreturn]] void Fail(const std::string& message) const { FailAt(Position(), message); }
  [[noreturn]] void FailAt(size_t position, const std::string& message) const;

 private:
  Micros IntervalMicros(const std::string& text, size_t position) const;

  std::string_view text_, file_;
  const std::vector<SqlToken>& tokens_;
  const size_t begin_;
  size_t at_, end_;
  const size_t whole_end_;
};

}  // namespace weir
