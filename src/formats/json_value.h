// JSON text of nested values to DuckDB values and back to JSON text.  Thread-safe: no state.
#pragma once

#include <string>
#include <string_view>

#include "duckdb/common/types/value.hpp"

namespace weir {

// Reads one JSON value as `type`; returns "" or the reason why it is none.
std::string JsonToValue(std::string_view json, const duckdb::LogicalType& type,
                        duckdb::Value& value);

// "not an INTEGER"
std::string NotA(const duckdb::LogicalType& type);

// Whether a text is one JSON value.
bool IsJson(std::string_view text);

// The text with U+FFFD in place of bytes that are no UTF-8: what somebody sent may be shown to him.
std::string ValidUtf8(std::string_view text);

// "text" with quotes and escapes.
std::string QuoteJson(std::string_view text);
void AppendQuotedJson(std::string& out, std::string_view text);

}  // namespace weir
