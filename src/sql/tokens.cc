#include "sql/tokens.h"

#include <cctype>

#include "base/error.h"
#include "sql/statement.h"

namespace weir {
namespace {

bool IsWordStart(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || static_cast<signed char>(c) < 0;
}
bool IsWord(char c) {
  return IsWordStart(c) || std::isdigit(static_cast<unsigned char>(c)) || c == '$';
}

// Parsers and planners go down one level of their stack for each level of nesting, and for each
// part of a name; a token takes some 64 bytes.
constexpr size_t kDepthMax = 250;
constexpr size_t kNamePartsMax = 64;
constexpr size_t kTokensMax = 1'000'000;

class Tokenizer {
 public:
  Tokenizer(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  std::vector<SqlToken> Run() {
    while (SkipSpace()) {
      Next();
      CheckLimits(tokens_.back());
    }
    tokens_.push_back({SqlToken::Kind::kEnd, text_.size(), 0, ""});
    return std::move(tokens_);
  }

 private:
  bool At(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  void CheckLimits(const SqlToken& token) {
    // A file is the operator's own.
    if (tokens_.size() > kTokensMax && file_.empty()) {
      throw SqlErrorAt(text_, token.position, file_,
                       "there are more than " + std::to_string(kTokensMax) + " words and signs");
    }
    if (token.kind != SqlToken::Kind::kSymbol) return;
    char symbol = token.text[0];
    if (symbol == '(' || symbol == '[' || symbol == '{') {
      if (++depth_ > kDepthMax) {
        throw SqlErrorAt(text_, token.position, file_,
                         "brackets are nested more than " + std::to_string(kDepthMax) + " deep");
      }
    } else if (symbol == ')' || symbol == ']' || symbol == '}') {
      depth_ -= depth_ > 0;
    } else if (symbol == '.') {
      size_t n = tokens_.size();
      bool goes_on =
          n > 2 && tokens_[n - 3].kind == SqlToken::Kind::kSymbol && tokens_[n - 3].text[0] == '.';
      name_parts_ = goes_on ? name_parts_ + 1 : 1;
      if (name_parts_ > kNamePartsMax) {
        throw SqlErrorAt(text_, token.position, file_,
                         "a name has more than " + std::to_string(kNamePartsMax) + " parts");
      }
    }
  }

  // Skips white space and comments; false at the end.
  bool SkipSpace() {
    while (at_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(text_[at_]))) {
        at_++;
      } else if (At("--")) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (At("/*")) {
        SkipComment();
      } else {
        return true;
      }
    }
    return false;
  }

  void SkipComment() {
    size_t start = at_;
    int depth = 0;
    do {
      if (at_ >= text_.size()) throw SqlErrorAt(text_, start, file_, "a comment is never closed");
      if (At("/*")) {
        depth++;
        at_ += 2;
      } else if (At("*/")) {
        depth--;
        at_ += 2;
      } else {
        at_++;
      }
    } while (depth > 0);
  }

  void Add(SqlToken::Kind kind, size_t start, std::string text) {
    tokens_.push_back({kind, start, at_ - start, std::move(text)});
  }

  void Next() {
    size_t start = at_;
    char c = text_[at_];
    if (c == '\'') return Quoted('\'', SqlToken::Kind::kString);
    if (c == '"') return Quoted('"', SqlToken::Kind::kQuotedName);
    if (c == '$' && DollarQuoted()) return;
    if (IsWordStart(c)) {
      while (at_ < text_.size() && IsWord(text_[at_])) at_++;
      return Add(SqlToken::Kind::kWord, start, std::string(text_.substr(start, at_ - start)));
    }
    if (std::isdigit(static_cast<unsigned char>(c))) {
      while (at_ < text_.size() && (IsWord(text_[at_]) || text_[at_] == '.')) at_++;
      return Add(SqlToken::Kind::kNumber, start, std::string(text_.substr(start, at_ - start)));
    }
    at_++;
    Add(SqlToken::Kind::kSymbol, start, std::string(1, c));
  }

  void Quoted(char quote, SqlToken::Kind kind) {
    size_t start = at_++;
    std::string value;
    while (true) {
      if (at_ >= text_.size()) {
        throw SqlErrorAt(
            text_, start, file_,
            quote == '"' ? "a quoted name is never closed" : "a string is never closed");
      }
      if (text_[at_] == quote) {
        at_++;
        if (at_ >= text_.size() || text_[at_] != quote) break;
      }
      value += text_[at_++];
    }
    Add(kind, start, std::move(value));
  }

  // $$ ... $$ and $tag$ ... $tag$; false when this is a parameter such as $1.
  bool DollarQuoted() {
    size_t end = at_ + 1;
    while (end < text_.size() && IsWord(text_[end]) && text_[end] != '$') end++;
    if (end >= text_.size() || text_[end] != '$') return false;
    if (end > at_ + 1 && std::isdigit(static_cast<unsigned char>(text_[at_ + 1]))) return false;
    size_t start = at_;
    auto tag = text_.substr(at_, end + 1 - at_);
    size_t close = text_.find(tag, end + 1);
    if (close == std::string_view::npos) {
      throw SqlErrorAt(text_, start, file_, "a dollar-quoted string is never closed");
    }
    at_ = close + tag.size();
    Add(SqlToken::Kind::kString, start, std::string(text_.substr(end + 1, close - end - 1)));
    return true;
  }

  std::string_view text_, file_;
  size_t at_ = 0;
  size_t depth_ = 0, name_parts_ = 0;
  std::vector<SqlToken> tokens_;
};

}  // namespace

std::vector<SqlToken> TokenizeSql(std::string_view text, std::string_view file) {
  return Tokenizer(text, file).Run();
}

}  // namespace weir
