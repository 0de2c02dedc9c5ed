// /v1/openapi.json, made from the routes.
#include <fmt/format.h>

#include <cctype>
#include <map>

#include "base/text.h"
#include "formats/json_value.h"
#include "server/router.h"

namespace weir {
namespace {

// The shapes that are the same everywhere.
constexpr const char* kSchemas = R"({
"Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "object",
  "required": ["code", "message", "hint"], "properties": {"code": {"type": "string"},
  "message": {"type": "string"}, "hint": {"type": "string"}}}}},
"IngestAnswer": {"type": "object", "required": ["accepted", "offset", "rejected"], "properties": {
  "accepted": {"type": "integer"},
  "offset": {"type": "integer", "description": "log position of the last row"},
  "duplicates": {"type": "integer", "description": "rows dropped by the stream's dedup_key"},
  "rejected_total": {"type": "integer", "description": "when rejected does not list all"},
  "unknown_fields": {"type": "array", "items": {"type": "string"},
    "description": "fields that were ignored, since the stream has no such columns; the first ten"},
  "rejected": {"type": "array", "items": {"type": "object",
    "required": ["line", "column", "value", "reason"], "properties": {"line": {"type": "integer"},
    "column": {"type": "string"}, "value": {"type": "string"}, "reason": {"type": "string"}}}}}},
"Result": {"type": "object", "required": ["offset", "as_of", "columns", "rows"], "properties": {
  "offset": {"type": "integer", "description": "log position it shows"},
  "as_of": {"type": "string", "format": "date-time"},
  "notice": {"type": "string", "description": "what a statement did"},
  "more": {"type": "boolean", "description": "rows beyond the limit were left out"},
  "columns": {"type": "array", "items": {"type": "object", "required": ["name", "type"],
    "properties": {"name": {"type": "string"}, "type": {"type": "string"}}}},
  "rows": {"type": "array", "items": {"type": "array", "items": {}}}}},
"Catalog": {"type": "object", "required": ["version", "offset", "as_of", "time_zone", "streams",
  "views"], "properties": {"version": {"type": "string"}, "offset": {"type": "integer"},
  "as_of": {"type": "string", "format": "date-time"}, "time_zone": {"type": "string"},
  "streams": {"type": "array", "items": {"type": "object"}},
  "views": {"type": "array", "items": {"type": "object"}}}},
"Verdicts": {"type": "object", "required": ["equal", "views"], "properties": {
  "equal": {"type": "boolean"}, "views": {"type": "array", "items": {"type": "object"}}}},
"Plan": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
"Question": {"type": "object", "required": ["sql"], "properties": {"sql": {"type": "string",
  "description": "one statement"}, "params": {"type": "array", "items": {},
  "description": "values of $1, $2, ..."}}},
"Rows": {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]},
"Layout": {"type": "object"},
"Ready": {"type": "object", "required": ["ready", "progress"], "properties": {
  "ready": {"type": "boolean"}, "progress": {"type": "number"}}}
})";

// What the code takes: numbers without a sign, yes and no in five ways, one of a list.
std::string SchemaJson(const Parameter& parameter) {
  if (parameter.type == "integer") {
    return R"({"type":"integer","format":"int64","minimum":0,"maximum":9007199254740991})";
  }
  std::string values = parameter.type == "boolean" ? "true,false,1,0," : parameter.values;
  if (values.empty()) return R"({"type":"string"})";
  std::string list;
  for (auto& value : Split(values, ',')) list += (list.empty() ? "" : ",") + QuoteJson(value);
  if (values.ends_with(',')) list += R"(,"")";
  return R"({"type":"string","enum":[)" + list + "]}";
}

std::string ParameterJson(const Parameter& parameter, const char* where) {
  bool required = parameter.required || std::string_view(where) == "path";
  return fmt::format(R"({{"name":{},"in":"{}","required":{},"description":{},"schema":{}}})",
                     QuoteJson(parameter.name), where, required, QuoteJson(parameter.description),
                     SchemaJson(parameter));
}

std::string ParametersJson(const Route& route) {
  std::string json;
  auto add = [&](const Parameter& parameter, const char* where) {
    json += (json.empty() ? "" : ",") + ParameterJson(parameter, where);
  };
  for (auto& part : Split(route.pattern, '/')) {
    if (part.empty() || part[0] != '{') continue;
    bool stream = route.pattern.find("/streams/") != std::string::npos;
    bool table = route.pattern.find("/tables/") != std::string::npos;
    auto what = stream ? "of a stream" : table ? "of a table" : "of a view";
    add({part.substr(1, part.size() - 2), what}, "path");
  }
  for (auto& parameter : route.query) add(parameter, "query");
  for (auto& parameter : route.headers) add(parameter, "header");
  return json;
}

// "post" and "/v1/streams/{name}/events": postStreamsNameEvents.
std::string OperationId(const std::string& method, const std::string& pattern) {
  std::string id = method;
  bool upper = true;
  for (char c : pattern.starts_with("/v1/") ? pattern.substr(3) : pattern) {
    bool letter = std::isalnum(static_cast<unsigned char>(c));
    if (letter) id += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = !letter;
  }
  return id;
}

std::string ContentJson(const std::string& types, const std::string& schema) {
  std::string json;
  for (auto& type : Split(types, ',')) {
    json += (json.empty() ? "" : ",") + QuoteJson(type) + ":";
    bool json_type = type == "application/json";
    if (json_type && !schema.empty()) {
      json += R"({"schema":{"$ref":"#/components/schemas/)" + schema + "\"}}";
    } else {
      json += json_type ? "{}" : R"({"schema":{"type":"string"}})";
    }
  }
  return "{" + json + "}";
}

std::string OperationJson(const Route& route, const std::string& method) {
  std::string body;
  if (!route.request_type.empty()) {
    body = R"("requestBody":{"required":true,"content":)" +
           ContentJson(route.request_type, route.request_schema) + "},";
  }
  return fmt::format(
      R"({}:{{"operationId":{},"summary":{},"parameters":[{}],{}"responses":{{"200":{{)"
      R"("description":{},"content":{}}},"default":{{"description":"an error","content":{}}}}}}})",
      QuoteJson(method), QuoteJson(OperationId(method, route.pattern)), QuoteJson(route.summary),
      ParametersJson(route), body, QuoteJson(route.answer),
      ContentJson(route.answer_type, route.schema), ContentJson("application/json", "Error"));
}

}  // namespace

std::string Router::OpenApi() const {
  std::map<std::string, std::string> paths;
  for (auto& route : routes_) {
    std::string method = route.method;
    for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    auto& path = paths[route.pattern];
    path += (path.empty() ? "" : ",") + OperationJson(route, method);
  }
  std::string all;
  for (auto& [pattern, operations] : paths) {
    all += (all.empty() ? "" : ",") + QuoteJson(pattern) + ":{" + operations + "}";
  }
  return R"({"openapi":"3.0.3","info":{"title":"Weir","version":")" WEIR_VERSION
         R"(","description":"Event streams in, SQL views kept fresh.",)"
         R"("license":{"name":"Apache-2.0","url":"https://www.apache.org/licenses/LICENSE-2.0"}},)"
         R"("servers":[{"url":"/"}],"paths":{)" +
         all + R"(},"components":{"schemas":)" + kSchemas + "}}";
}

}  // namespace weir
