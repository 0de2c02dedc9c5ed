#include "sql/statement_reader.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/interval.hpp"
#include "sql/statement.h"

namespace weir {

const SqlToken& StatementReader::Token(size_t ahead) const {
  static const SqlToken kEnd{Kind::kEnd, 0, 0, ""};
  return at_ + ahead < end_ ? tokens_[at_ + ahead] : kEnd;
}

bool StatementReader::Is(std::string_view word, size_t ahead) const {
  auto& token = Token(ahead);
  return token.kind == Kind::kWord && duckdb::StringUtil::CIEquals(token.text, std::string(word));
}

bool StatementReader::IsSymbol(char symbol, size_t ahead) const {
  auto& token = Token(ahead);
  return token.kind == Kind::kSymbol && token.text[0] == symbol;
}

size_t StatementReader::LastEnd() const {
  return tokens_[at_ - 1].position + tokens_[at_ - 1].length;
}

size_t StatementReader::Position() const {
  auto& last = tokens_[end_ - 1];
  return at_ < end_ ? tokens_[at_].position : last.position + last.length;
}

std::string StatementReader::Rest() const {
  if (AtEnd()) return "";
  auto& last = tokens_[end_ - 1];
  size_t first = tokens_[at_].position;
  return std::string(text_.substr(first, last.position + last.length - first));
}

std::string StatementReader::Whole() const {
  size_t begin = tokens_[begin_].position;
  auto& last = tokens_[whole_end_ - 1];
  return std::string(text_.substr(begin, last.position + last.length - begin));
}

bool StatementReader::Take(std::string_view word) {
  if (!Is(word)) return false;
  at_++;
  return true;
}

bool StatementReader::TakeSymbol(char symbol) {
  if (!IsSymbol(symbol)) return false;
  at_++;
  return true;
}

bool StatementReader::TakeIfExists() {
  if (!Is("IF") || !Is("EXISTS", 1)) return false;
  at_ += 2;
  return true;
}

bool StatementReader::TakeIfNotExists() {
  if (!Is("IF") || !Is("NOT", 1) || !Is("EXISTS", 2)) return false;
  at_ += 3;
  return true;
}

void StatementReader::Expect(std::string_view word) {
  if (!Take(word)) Fail("expected " + std::string(word));
}

void StatementReader::ExpectSymbol(char symbol) {
  if (!TakeSymbol(symbol)) Fail(std::string("expected \"") + symbol + "\"");
}

void StatementReader::ExpectEnd() const {
  if (!AtEnd()) Fail("unexpected \"" + Token().text + "\" after the statement");
}

std::string StatementReader::Name(const char* what) {
  auto& token = Token();
  if (token.kind != Kind::kWord && token.kind != Kind::kQuotedName) {
    Fail(std::string("expected the name of a ") + what);
  }
  if (token.text.empty() || token.text.size() > 200) Fail("a name has 1 to 200 bytes");
  for (char c : token.text) {
    bool odd = static_cast<unsigned char>(c) < 0x20 || c == '/';
    if (odd) Fail("a name may not hold such characters");
  }
  return Next().text;
}

std::string StatementReader::String(const char* what) {
  if (Token().kind != Kind::kString) Fail(std::string("expected ") + what + " in single quotes");
  return Next().text;
}

Micros StatementReader::Interval() {
  Take("INTERVAL");
  size_t position = Position();
  std::string text;
  if (Token().kind == Kind::kString) text = Next().text;
  while (Token().kind == Kind::kNumber || Token().kind == Kind::kWord) {
    text += (text.empty() ? "" : " ") + Next().text;
  }
  return IntervalMicros(text, position);
}

bool StatementReader::TakeLast(std::initializer_list<std::string_view> words) {
  if (words.size() > Left()) return false;
  size_t ahead = Left() - words.size();
  for (auto word : words) {
    if (!Is(word, ahead++)) return false;
  }
  end_ -= words.size();
  return true;
}

void StatementReader::Options(const char* owner, std::initializer_list<std::string_view> known,
                              const std::function<void(const Option&)>& take) {
  ExpectSymbol('(');
  do {
    Option option;
    option.position = Position();
    option.name = duckdb::StringUtil::Lower(Name("option"));
    if (std::find(known.begin(), known.end(), option.name) == known.end()) {
      auto nearest = NearestName(option.name, known.begin(), known.end());
      std::string all;
      for (auto name : known) all += (all.empty() ? "" : ", ") + std::string(name);
      FailAt(option.position,
             std::string(owner) + " has no option \"" + option.name + "\"" +
                 (nearest.empty() ? ", only " + all : ", did you mean \"" + nearest + "\"?"));
    }
    ExpectSymbol('=');
    option.value_position = Position();
    option.value = String("a value");
    take(option);
  } while (TakeSymbol(','));
  ExpectSymbol(')');
}

Micros StatementReader::IntervalOf(const Option& option) const {
  return IntervalMicros(option.value, option.value_position);
}

Micros StatementReader::IntervalMicros(const std::string& text, size_t position) const {
  duckdb::interval_t interval;
  if (!duckdb::Interval::FromString(text, interval) || interval.months != 0) {
    FailAt(position, "\"" + text + "\" is no length of time (write for example '1 day')");
  }
  return interval.days * duckdb::Interval::MICROS_PER_DAY + interval.micros;
}

void StatementReader::FailAt(size_t position, const std::string& message) const {
  throw SqlErrorAt(text_, position, file_, message);
}

}  // namespace weir
