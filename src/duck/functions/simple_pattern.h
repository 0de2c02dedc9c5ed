// Regular expressions that need no automaton: some fixed text, which may begin with a choice, and
// then perhaps one run of characters, as in '(&|^)channel_id=([^&]*)' or 'id=([0-9]+)'.
//
// What such a pattern finds is exactly what RE2 finds (leftmost, the first of several choices,
// as many characters as there are): the fixed text decides where a match begins, and a run at the
// end has nothing behind it for which it would have to give back.  Immutable; any thread.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

class SimplePattern {
 public:
  // Nothing when the pattern is not of this kind.
  static std::optional<SimplePattern> Parse(std::string_view pattern);

  // How many groups can be asked for: those in parentheses and the whole, 0.
  size_t groups() const { return groups_.size(); }
  // What the group is in the first match; "" when there is none.  A part of `text`, which is UTF-8.
  std::string_view Extract(std::string_view text, size_t group) const;

 private:
  class Parser;
  // A place in a match: so many bytes behind the end of the choice; at the very start; at the end.
  static constexpr size_t kStart = SIZE_MAX, kEnd = SIZE_MAX - 1;
  struct Group {
    size_t from = 0, to = 0;
  };
  struct Choice {
    std::string text;  // the choice and all fixed text behind it
    size_t size = 0;   // of the choice itself
    bool at_start = false;
    size_t rare = 0;  // place of the byte to look for
  };

  size_t Find(const Choice& choice, std::string_view text, size_t from) const;

  std::vector<Choice> choices_;
  bool has_run_ = false;
  bool run_must_be_ = false;      // of one character at least
  std::bitset<256> in_run_;       // by byte; those of a character beyond ASCII are alike
  std::optional<char> ends_run_;  // the only byte that does
  std::vector<Group> groups_;
};

}  // namespace weir
