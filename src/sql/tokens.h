// SQL text as tokens, with their places: enough to split statements and to read our own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir {

struct SqlToken {
  enum class Kind { kWord, kQuotedName, kString, kNumber, kSymbol, kEnd };
  Kind kind;
  size_t position;  // of its first byte
  size_t length;
  std::string text;  // a word as written; a name or string without its quotes
};

// Comments (nested ones too) are left out; the last token is kEnd.  Throws Error(kInvalidSql) at a
// quote or comment that is never closed, and where brackets are nested or names dotted deeper than
// any honest query's.
std::vector<SqlToken> TokenizeSql(std::string_view text, std::string_view file);

}  // namespace weir
