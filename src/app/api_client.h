// The API as the command line uses it: JSON answers, errors as Error.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/net/http_client.h"
#include "yyjson.hpp"

namespace weir {

using JsonDocument =
    std::unique_ptr<duckdb_yyjson::yyjson_doc, decltype(&duckdb_yyjson::yyjson_doc_free)>;

// Throws Error(kInternal) when the text is no JSON.
JsonDocument ParseJson(const std::string& text);
std::string JsonText(duckdb_yyjson::yyjson_val* value, const char* key);
uint64_t JsonNumber(duckdb_yyjson::yyjson_val* value, const char* key);

// Throws the Error that an answer other than 200 tells of.
void CheckAnswer(const HttpAnswer& answer);

// {"columns": [{"name"}], "rows": [[...]]} as text cells.
struct TextTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::string notice;
};
TextTable ReadTable(duckdb_yyjson::yyjson_val* root);
std::vector<std::vector<std::string>> ReadRows(duckdb_yyjson::yyjson_val* rows);
// With lines around, cut to the terminal's width.
std::string DrawTable(const TextTable& table);

}  // namespace weir
