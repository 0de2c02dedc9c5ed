// The routes, as one list: what is served and what /v1/openapi.json says are made from it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/net/http_server.h"

namespace weir {

using ExchangePtr = std::shared_ptr<HttpExchange>;
// Parts of the path that the pattern names, in order.
using PathParts = std::vector<std::string>;
using RouteHandler = std::function<void(ExchangePtr, const PathParts&)>;

struct Parameter {
  std::string name;
  std::string description;
  std::string type = "string";  // or "integer", "boolean"
  std::string values = {};      // all there are, comma-separated; "": any
  bool required = false;
};

struct Route {
  std::string method;
  std::string pattern;  // "/v1/streams/{name}/events"
  std::string summary;
  std::vector<Parameter> query;
  std::string request_type;  // media types of the body, comma-separated; "" for none
  std::string answer;        // what 200 holds
  std::string answer_type = "application/json";  // media types, comma-separated
  RouteHandler handle;
  std::string schema = {};              // of a JSON answer, by its name in openapi.cc; "" for any
  std::vector<Parameter> headers = {};  // that it reads
  bool works = false;                   // a GET that runs what is asked for
  std::string request_schema = {};      // of a JSON body, by its name in openapi.cc; "" for any
};

class Router {
 public:
  void Add(Route route) { routes_.push_back(std::move(route)); }
  // Calls `check` with the route (null: none is called), then the handler; throws kUnknownRoute or
  // kMethodNotAllowed (hint: the allowed methods).  False: no route has this path, and it is not
  // one of the API's.
  using Check = std::function<void(const Route*)>;
  bool Dispatch(const ExchangePtr& exchange, std::string* pattern, const Check& check = {}) const;
  const std::vector<Route>& routes() const { return routes_; }
  // The description of all routes: OpenAPI 3.0, as JSON.
  std::string OpenApi() const;

 private:
  std::vector<Route> routes_;
};

}  // namespace weir
