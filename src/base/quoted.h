// Names and texts as SQL has them, whatever is in them.
#pragma once

#include <string>
#include <string_view>

namespace weir {

inline std::string QuotedBy(std::string_view text, char quote) {
  std::string quoted(1, quote);
  for (char c : text) {
    if (c == quote) quoted += quote;
    quoted += c;
  }
  return quoted + quote;
}
inline std::string QuotedName(std::string_view name) { return QuotedBy(name, '"'); }
inline std::string QuotedText(std::string_view text) { return QuotedBy(text, '\''); }

}  // namespace weir
