// Rows of a result as text for clients: JSON, NDJSON, CSV.  Thread-safe: no state.
//
// JSON has no 64-bit integers beyond a double, no NaN and no infinities: with `exact`, integers of
// 64 bits and more and decimals are strings; NaN and infinities always are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "catalog/catalog.h"
#include "formats/columns.h"

namespace weir {

// {"name":"hour","type":"TIMESTAMP"}, ... without the brackets around.
std::string JsonColumns(const std::vector<Column>& columns);

// [2026,"a"],[...] : the rows of a chunk, each an array, with commas between.
void AppendJsonRows(duckdb::DataChunk& rows, bool exact, std::string& out);
// The rows of all chunks, in brackets.
std::string JsonRowsOf(const Columns& columns, bool exact);

// {"hour":"...","n":42}\n for each row.
void AppendNdjsonRows(const std::vector<Column>& columns, duckdb::DataChunk& rows, bool exact,
                      std::string& out);

// A header line; then fields quoted where they must be, NULL as an empty field.
std::string CsvHeader(const std::vector<Column>& columns);
void AppendCsvRows(duckdb::DataChunk& rows, std::string& out);

// "2026-11-23T12:00:00.123Z"
std::string IsoTime(Micros micros);

}  // namespace weir
