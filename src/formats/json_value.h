// Texts in answers and JSON: what something is not, what may be shown, what is quoted. Thread-safe:
// no state.
#pragma once

#include <string>
#include <string_view>

#include "duckdb/common/types.hpp"

namespace weir {

// "not an INTEGER"
std::string NotA(const duckdb::LogicalType& type);

// The text with U+FFFD in place of bytes that are no UTF-8: what somebody sent may be shown to him.
std::string ValidUtf8(std::string_view text);

// "text" with quotes and escapes.
std::string QuoteJson(std::string_view text);
void AppendQuotedJson(std::string& out, std::string_view text);

}  // namespace weir
