#include "query/params.h"

#include "base/error.h"
#include "simdjson.h"

namespace weir {
namespace {

duckdb::Value ParseValue(simdjson::dom::element element) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::NULL_VALUE: return duckdb::Value();
    case element_type::BOOL: return duckdb::Value::BOOLEAN(bool(element));
    case element_type::INT64: return duckdb::Value::BIGINT(int64_t(element));
    case element_type::UINT64: return duckdb::Value::UBIGINT(uint64_t(element));
    case element_type::DOUBLE: return duckdb::Value::DOUBLE(double(element));
    case element_type::STRING: return duckdb::Value(std::string(std::string_view(element)));
    default:
      throw Error(ErrorCode::kInvalidRequest,
                  "a parameter is a string, a number, true, false or null",
                  "Pass nested values as JSON text and cast them in the query.");
  }
}

}  // namespace

duckdb::vector<duckdb::Value> ParseParams(const std::string& json) {
  duckdb::vector<duckdb::Value> values;
  if (json.empty()) return values;
  simdjson::dom::parser parser;
  simdjson::dom::array array;
  if (parser.parse(json).get(array) != simdjson::SUCCESS) {
    throw Error(ErrorCode::kInvalidRequest, "the parameters are not a JSON array");
  }
  for (auto element : array) values.push_back(ParseValue(element));
  return values;
}

}  // namespace weir
