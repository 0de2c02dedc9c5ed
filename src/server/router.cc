#include "server/router.h"

#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace weir {
namespace {

std::optional<PathParts> Match(const std::string& pattern, const PathParts& given) {
  auto wanted = Split(pattern, '/');
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

bool Router::Dispatch(const ExchangePtr& exchange, std::string* pattern, const Check& check) const {
  auto& request = exchange->request;
  std::string method = request.method == "HEAD" ? "GET" : request.method;
  std::string allowed;
  for (auto& route : routes_) {
    auto parts = Match(route.pattern, request.segments);
    if (!parts) continue;
    if (route.method == method) {
      *pattern = route.pattern;
      if (check) check(&route);
      route.handle(exchange, *parts);
      return true;
    }
    allowed += (allowed.empty() ? "" : ", ") + route.method;
  }
  if (check) check(nullptr);
  if (!allowed.empty() && method == "OPTIONS") {
    exchange->Respond({204, {{"Allow", allowed + ", OPTIONS"}}, ""});
    return true;
  }
  if (!allowed.empty()) {
    throw Error(ErrorCode::kMethodNotAllowed, request.method + " is not allowed on " + request.path,
                allowed);
  }
  if (request.path == "*") {
    exchange->Respond({204, {{"Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS"}}, ""});
    return true;
  }
  if (request.path.starts_with("/v1/")) {
    throw Error(ErrorCode::kUnknownRoute, "there is nothing at " + request.path,
                "GET /v1/openapi.json describes what there is.");
  }
  return false;
}

}  // namespace weir
