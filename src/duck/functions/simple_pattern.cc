#include "duck/functions/simple_pattern.h"

#include <algorithm>
#include <cstring>

#include "duck/functions/find_byte.h"

namespace weir {
namespace {

constexpr size_t kNowhere = std::string_view::npos;
constexpr size_t kMostChoices = 4;

bool IsAsciiLetterOrDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
// Of those that mean something in a pattern.
bool IsSpecial(char c) { return std::strchr("\\^$.|?*+()[]{}", c) != nullptr; }

// Letters and digits are what texts are made of; other characters are rarer.
size_t RarestByte(std::string_view text) {
  for (size_t i = 0; i < text.size(); i++) {
    if (!IsAsciiLetterOrDigit(text[i])) return i;
  }
  return 0;
}

}  // namespace

// Fails (returns false, or nothing) at the first thing that is not of this kind.
class SimplePattern::Parser {
 public:
  explicit Parser(std::string_view pattern) : rest_(pattern) {}

  std::optional<SimplePattern> Parse() {
    // A NUL, or what is not ASCII, is left to RE2.
    for (char c : rest_) {
      if (static_cast<signed char>(c) <= 0) return std::nullopt;
    }
    result_.groups_.push_back({kStart, kEnd});
    if (!ParseChoice()) return std::nullopt;
    while (!rest_.empty()) {
      if (Take('(')) {
        if (open_ != kNone || rest_.starts_with('?')) return std::nullopt;
        open_ = result_.groups_.size();
        result_.groups_.push_back({fixed_.size(), 0});
      } else if (Take(')')) {
        if (open_ == kNone || IsQuantified()) return std::nullopt;
        Close();
      } else if (result_.has_run_ || !ParsePiece()) {
        return std::nullopt;
      }
    }
    if (open_ != kNone) return std::nullopt;
    if (result_.in_run_.count() == 255) {
      unsigned byte = 0;
      while (result_.in_run_[byte]) byte++;
      result_.ends_run_ = static_cast<char>(byte);
    }
    // Where one choice finds no run another might, from the same place on.
    if (result_.run_must_be_ && result_.choices_.size() > 1) return std::nullopt;
    for (auto& choice : result_.choices_) {
      choice.size = choice.text.size();
      choice.text += fixed_;
      if (choice.text.empty() && !choice.at_start) return std::nullopt;
      choice.rare = RarestByte(choice.text);
    }
    return std::move(result_);
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  bool Take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool IsQuantified() const { return !rest_.empty() && std::strchr("*+?{", rest_[0]) != nullptr; }
  void Close() {
    result_.groups_[open_].to = result_.has_run_ ? kEnd : fixed_.size();
    open_ = kNone;
  }

  // ^, or a group of choices that are texts or ^, at the very beginning.
  bool ParseChoice() {
    auto& choices = result_.choices_;
    if (Take('^')) {
      choices.push_back({"", 0, true});
      return !IsQuantified();
    }
    auto end = rest_.find(')');
    bool is_choice = rest_.starts_with('(') && !rest_.starts_with("(?") && end != kNowhere &&
                     rest_.substr(0, end).find_first_of("|^") != kNowhere &&
                     rest_.substr(0, end).find_first_of("[\\") == kNowhere;
    if (!is_choice) {
      choices.push_back({});
      return true;
    }
    Take('(');
    choices.push_back({});
    while (!Take(')')) {
      if (Take('|')) {
        choices.push_back({});
      } else if (rest_.starts_with('^') && choices.back().text.empty()) {
        Take('^');
        choices.back().at_start = true;
      } else if (IsSpecial(rest_[0])) {
        return false;
      } else {
        choices.back().text += rest_[0];
        rest_.remove_prefix(1);
      }
    }
    result_.groups_.push_back({kStart, 0});
    return choices.size() <= kMostChoices && !IsQuantified();
  }

  // A character of the fixed text, or the run at the end.
  bool ParsePiece() {
    std::bitset<256> set;
    char character = rest_[0];
    bool is_set = false;
    if (Take('[')) {
      is_set = true;
      if (!ParseSet(set)) return false;
    } else if (Take('\\')) {
      if (rest_.empty()) return false;
      character = rest_[0];
      rest_.remove_prefix(1);
      if (character == 'd') {
        is_set = true;
        for (char c = '0'; c <= '9'; c++) set.set(static_cast<unsigned char>(c));
      } else if (IsAsciiLetterOrDigit(character)) {
        return false;
      }
    } else if (IsSpecial(character)) {
      return false;
    } else {
      rest_.remove_prefix(1);
    }
    if (!is_set) {
      if (IsQuantified()) return false;
      fixed_ += character;
      return true;
    }
    bool any = Take('*');
    if (!any && !Take('+')) return false;
    if (IsQuantified()) return false;  // +? asks for little, ++ is an error
    result_.has_run_ = true;
    result_.run_must_be_ = !any;
    result_.in_run_ = set;
    return true;
  }

  // Behind the [.
  bool ParseSet(std::bitset<256>& set) {
    bool negated = Take('^');
    bool is_empty = true;
    while (!Take(']')) {
      if (rest_.empty() || rest_[0] == '[' || rest_[0] == '\\') return false;
      auto from = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      if (from == '-' && !is_empty && !rest_.starts_with(']')) return false;
      auto to = from;
      if (rest_.starts_with('-') && rest_.size() > 1 && rest_[1] != ']') {
        to = static_cast<unsigned char>(rest_[1]);
        if (to == '[' || to == '\\' || to < from) return false;
        rest_.remove_prefix(2);
      }
      for (unsigned c = from; c <= to; c++) set.set(c);
      is_empty = false;
    }
    if (negated) set.flip();
    return !is_empty;
  }

  std::string_view rest_;
  std::string fixed_;
  size_t open_ = kNone;  // the group that is not closed yet
  SimplePattern result_;
};

std::optional<SimplePattern> SimplePattern::Parse(std::string_view pattern) {
  return Parser(pattern).Parse();
}

// Where the choice's text stands first at or behind `from`.
size_t SimplePattern::Find(const Choice& choice, std::string_view text, size_t from) const {
  auto& wanted = choice.text;
  if (choice.at_start) {
    bool may_be = from == 0 && (wanted.empty() || (!text.empty() && text[0] == wanted[0]));
    return may_be && text.starts_with(wanted) ? 0 : kNowhere;
  }
  while (from + wanted.size() <= text.size()) {
    size_t rare = FindByte(text, from + choice.rare, wanted[choice.rare]);
    from = rare - choice.rare;
    if (from + wanted.size() > text.size()) return kNowhere;
    if (AreEqual(text.data() + from, wanted.data(), wanted.size())) return from;
    from++;
  }
  return kNowhere;
}

std::string_view SimplePattern::Extract(std::string_view text, size_t group) const {
  for (size_t from = 0;;) {
    const Choice* first = nullptr;
    size_t start = kNowhere;
    for (auto& choice : choices_) {
      size_t found = Find(choice, text, from);
      if (found < start) {
        first = &choice;
        start = found;
      }
    }
    if (!first) return {};
    size_t end = start + first->text.size();
    if (has_run_) {
      size_t run = end;
      if (ends_run_) {
        run = FindByte(text, run, *ends_run_);
      } else {
        while (run < text.size() && in_run_[static_cast<unsigned char>(text[run])]) run++;
      }
      if (run == end && run_must_be_) {
        from = start + 1;
        continue;
      }
      end = run;
    }
    auto place = [&](size_t at) {
      if (at == kStart) return start;
      return at == kEnd ? end : start + first->size + at;
    };
    size_t begin = place(groups_[group].from);
    return text.substr(begin, place(groups_[group].to) - begin);
  }
}

}  // namespace weir
