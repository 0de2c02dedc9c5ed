// JSON text of nested values to DuckDB values and back to JSON text.  Thread-safe: no state.
#pragma once

#include <string>
#include <string_view>

#include "duckdb/common/types/value.hpp"

namespace weir {

// Reads one JSON value as `type`; returns "" or the reason why it is none.
std::string JsonToValue(std::string_view json, const duckdb::LogicalType& type,
                        duckdb::Value& value);

// "text" with quotes and escapes.
std::string QuoteJson(std::string_view text);
void AppendQuotedJson(std::string& out, std::string_view text);

}  // namespace weir
