#include "server/router.h"

#include <map>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "formats/json_value.h"

namespace weir {
namespace {

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  std::string part;
  while (std::getline(stream, part, separator)) parts.push_back(part);
  return parts;
}

std::optional<PathParts> Match(const std::string& pattern, const std::string& path) {
  auto wanted = Split(pattern, '/'), given = Split(path, '/');
  if (wanted.size() != given.size()) return std::nullopt;
  PathParts parts;
  for (size_t i = 0; i < wanted.size(); i++) {
    if (!wanted[i].empty() && wanted[i][0] == '{') {
      if (given[i].empty()) return std::nullopt;
      parts.push_back(given[i]);
    } else if (wanted[i] != given[i]) {
      return std::nullopt;
    }
  }
  return parts;
}

}  // namespace

bool Router::Dispatch(const ExchangePtr& exchange, std::string* pattern) const {
  auto& request = exchange->request;
  std::string method = request.method == "HEAD" ? "GET" : request.method;
  std::string allowed;
  for (auto& route : routes_) {
    auto parts = Match(route.pattern, request.path);
    if (!parts) continue;
    if (route.method == method) {
      *pattern = route.pattern;
      route.handle(exchange, *parts);
      return true;
    }
    allowed += (allowed.empty() ? "" : ", ") + route.method;
  }
  if (!allowed.empty()) {
    throw Error(ErrorCode::kMethodNotAllowed, request.method + " is not allowed on " + request.path,
                allowed);
  }
  if (request.path.starts_with("/v1/")) {
    throw Error(ErrorCode::kUnknownRoute, "there is nothing at " + request.path,
                "GET /v1/openapi.json describes what there is.");
  }
  return false;
}

std::string Router::OpenApi() const {
  std::map<std::string, std::string> paths;
  for (auto& route : routes_) {
    std::string method = route.method;
    for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::string operation =
        QuoteJson(method) + ":{\"summary\":" + QuoteJson(route.summary) + ",\"parameters\":[";
    std::string parameters;
    auto add = [&](const std::string& name, const char* where, const std::string& description,
                   bool required) {
      parameters += std::string(parameters.empty() ? "" : ",") + "{\"name\":" + QuoteJson(name) +
                    ",\"in\":\"" + where + "\",\"required\":" + (required ? "true" : "false") +
                    ",\"description\":" + QuoteJson(description) +
                    ",\"schema\":{\"type\":\"string\"}}";
    };
    for (auto& part : Split(route.pattern, '/')) {
      if (!part.empty() && part[0] == '{') add(part.substr(1, part.size() - 2), "path", "", true);
    }
    for (auto& parameter : route.query) add(parameter.name, "query", parameter.description, false);
    operation += parameters + "]";
    if (!route.request_type.empty()) {
      operation += ",\"requestBody\":{\"required\":true,\"content\":{";
      bool first = true;
      for (auto& type : Split(route.request_type, ',')) {
        operation += (first ? "" : ",") + QuoteJson(type) + ":{}";
        first = false;
      }
      operation += "}}";
    }
    operation +=
        ",\"responses\":{\"200\":{\"description\":" + QuoteJson(route.answer) + ",\"content\":{" +
        QuoteJson(route.answer_type) +
        ":{}}},\"default\":{\"description\":\"an error\",\"content\":{\"application/json\":"
        "{\"schema\":{\"$ref\":\"#/components/schemas/Error\"}}}}}}";
    auto& path = paths[route.pattern];
    path += (path.empty() ? "" : ",") + operation;
  }
  std::string all;
  for (auto& [pattern, operations] : paths) {
    all += (all.empty() ? "" : ",") + QuoteJson(pattern) + ":{" + operations + "}";
  }
  return "{\"openapi\":\"3.0.3\",\"info\":{\"title\":\"Weir\",\"version\":\"" WEIR_VERSION
         "\"},\"paths\":{" +
         all +
         "},\"components\":{\"schemas\":{\"Error\":{\"type\":\"object\",\"properties\":{\"error\":"
         "{\"type\":\"object\",\"properties\":{\"code\":{\"type\":\"string\"},\"message\":{"
         "\"type\":"
         "\"string\"},\"hint\":{\"type\":\"string\"}}}}}}}}";
}

}  // namespace weir
