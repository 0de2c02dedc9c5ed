// GET /v1/views/NAME and its changes; the live feed.
#include <fmt/format.h>

#include <sstream>

#include "duck/errors.h"
#include "formats/json_value.h"
#include "formats/results.h"
#include "io/net/url.h"
#include "query/shut_in.h"
#include "server/http_errors.h"
#include "server/rest/wait.h"
#include "server/server.h"
#include "sql/kernel_sql.h"
#include "sql/statement.h"

namespace weir {

bool IsTrue(const HttpRequest& request, const char* name) {
  auto* value = request.Parameter(name);
  if (!value) return false;
  if (value->empty() || *value == "true" || *value == "1") return true;
  if (*value == "false" || *value == "0") return false;
  throw Error(ErrorCode::kInvalidRequest,
              std::string(name) + " is true or false, not \"" + *value + "\"");
}

uint64_t NumberParameter(const HttpRequest& request, const char* name, uint64_t otherwise) {
  auto* text = request.Parameter(name);
  if (!text) return otherwise;
  if (text->empty() || text->size() > 19 ||
      text->find_first_not_of("0123456789") != std::string::npos) {
    throw Error(ErrorCode::kInvalidRequest,
                std::string(name) + " is a whole number, not \"" + *text + "\"");
  }
  return std::stoull(*text);
}

Caller CallerOf(const HttpRequest& request) { return {.address = request.client}; }

std::optional<Offset> WaitFor(const HttpRequest& request) {
  if (!request.Parameter("wait_for")) return std::nullopt;
  return Offset{NumberParameter(request, "wait_for", 0)};
}

Micros WaitMax(const HttpRequest& request) {
  uint64_t timeout_ms = NumberParameter(request, "timeout_ms", 10'000);
  return static_cast<Micros>(std::min<uint64_t>(timeout_ms, 60'000)) * 1000;
}

void WhenReached(Server& server, const ExchangePtr& exchange, const std::string& view,
                 std::function<void()> then) {
  auto guarded = [exchange, then = std::move(then)] {
    try {
      then();
    } catch (...) {
      exchange->Respond(ErrorResponse(CurrentError()));
    }
  };
  auto wanted = WaitFor(exchange->request);
  Micros wait_max = WaitMax(exchange->request);  // looked at also where nothing is waited for
  if (!wanted) return guarded();
  Micros deadline = server.parts().clock.Monotonic() + wait_max;
  server.parts().views.WaitForView(
      view, *wanted, deadline, server.parts().sql.answers(),
      [exchange, guarded, offset = *wanted](bool reached) {
        if (reached) return guarded();
        exchange->Respond(ErrorResponse(Error(
            ErrorCode::kTimeout,
            "the views have not reached offset " + std::to_string(offset.value) + " in time")));
      });
}

namespace {

std::string SnapshotJson(const Snapshot& snapshot, bool exact, bool more) {
  std::string json = "{\"offset\":" + std::to_string(snapshot.offset.value) + ",\"as_of\":\"" +
                     IsoTime(snapshot.as_of) + "\"";
  if (snapshot.version) json += ",\"version\":" + std::to_string(snapshot.version);
  if (auto& next = snapshot.replaced_by) {
    json += fmt::format(R"(,"replaced_by":{{"version":{},"progress":{:.4f}}})", next->version,
                        next->progress);
  }
  return json + ",\"columns\":[" + JsonColumns(snapshot.columns) +
         "],\"rows\":" + JsonRowsOf(snapshot.rows, exact) + (more ? ",\"more\":true}" : "}");
}

}  // namespace

std::string ReplacedHeader(const std::string& view, const Replacement& by) {
  return fmt::format("{}; version={}; progress={:.4f}", EncodeUrl(view), by.version, by.progress);
}

namespace {

// True when there were more rows.
bool CutTo(uint64_t limit, Columns& rows) {
  if (limit == 0 || rows.rows <= limit) return false;
  while (rows.rows - rows.chunks.back()->size() >= limit) {
    rows.rows -= rows.chunks.back()->size();
    rows.chunks.pop_back();
  }
  auto& last = *rows.chunks.back();
  last.SetCardinality(last.size() - (rows.rows - limit));
  rows.rows = limit;
  return true;
}

}  // namespace

HttpResponse SnapshotResponse(Snapshot& snapshot, const HttpRequest& request, uint64_t limit) {
  bool more = CutTo(limit, snapshot.rows);
  auto* format = request.Parameter("format");
  std::string accept = request.Header("accept");
  bool csv = format ? *format == "csv" : accept.starts_with("text/csv");
  bool ndjson = format ? *format == "ndjson" : accept.starts_with("application/x-ndjson");
  if (format && !csv && !ndjson && *format != "json") {
    throw Error(ErrorCode::kInvalidRequest,
                "a view is given as json, ndjson or csv, not as \"" + *format + "\"");
  }
  bool exact = IsTrue(request, "exact");
  HttpResponse response;
  if (csv) {
    response.body = CsvHeader(snapshot.columns);
    for (auto& chunk : snapshot.rows.chunks) AppendCsvRows(*chunk, response.body);
    response.headers.emplace_back("Content-Type", "text/csv; charset=utf-8");
  } else if (ndjson) {
    for (auto& chunk : snapshot.rows.chunks) {
      AppendNdjsonRows(snapshot.columns, *chunk, exact, response.body);
    }
    response.headers.emplace_back("Content-Type", "application/x-ndjson");
  } else {
    response = JsonResponse(SnapshotJson(snapshot, exact, more));
  }
  if (more) response.headers.emplace_back("Weir-More", "true");
  response.headers.emplace_back("Weir-Offset", std::to_string(snapshot.offset.value));
  if (snapshot.version) {
    response.headers.emplace_back("Weir-Version", std::to_string(snapshot.version));
  }
  if (auto& next = snapshot.replaced_by) {
    response.headers.emplace_back(kReplacedHeader, ReplacedHeader(snapshot.view, *next));
  }
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

namespace {

void GetView(Server& server, const ExchangePtr& exchange, const std::string& name) {
  static const std::set<std::string> kOwn = {"format", "exact", "limit", "wait_for", "timeout_ms"};
  auto view = server.parts().catalog.Current()->GetView(name);
  WhenReached(server, exchange, name, [&server, exchange, name] {
    auto& request = exchange->request;
    ReadOptions options;
    options.rows_max = kViewRowsMax;
    if (request.Parameter("limit")) options.limit = NumberParameter(request, "limit", 0);
    for (auto& [key, value] : request.query) {
      if (!kOwn.contains(key)) options.equals.emplace_back(key, value);
    }
    auto snapshots = server.parts().views.Read({name}, options);
    exchange->Respond(SnapshotResponse(snapshots[0], request));
  });
}

void GetErrors(Server& server, const ExchangePtr& exchange, const std::string& name) {
  auto view = server.parts().catalog.Current()->GetView(name);
  WhenReached(server, exchange, name,
              [&server, exchange, errors = view->name + std::string(kErrorsSuffix)] {
                ReadOptions options;
                if (exchange->request.Parameter("limit")) {
                  options.limit = NumberParameter(exchange->request, "limit", 0);
                }
                auto snapshots = server.parts().views.Read({errors}, options);
                exchange->Respond(SnapshotResponse(snapshots[0], exchange->request));
              });
}

std::vector<std::pair<std::string, std::string>> EventStreamHeaders() {
  return {{"Content-Type", "text/event-stream"},
          {"Cache-Control", "no-store"},
          {"X-Accel-Buffering", "no"}};
}

std::optional<Offset> LastEventId(const HttpRequest& request) {
  std::string id = request.Header("last-event-id");
  if (id.empty() || id.size() > 19 || id.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return Offset{std::stoull(id)};
}

void Follow(Server& server, const ExchangePtr& exchange, std::vector<std::string> names,
            bool multiplexed) {
  auto catalog = server.parts().catalog.Current();
  Feed::Options options;
  for (auto& name : names) options.views.push_back(catalog->GetView(name)->name);
  options.exact = IsTrue(exchange->request, "exact");
  options.multiplexed = multiplexed;
  // One offset cannot say where each of several views stood when the connection broke.
  if (!multiplexed) options.last_event_id = LastEventId(exchange->request);
  std::string only = names.size() == 1 ? names[0] : "";
  WhenReached(server, exchange, only, [&server, exchange, options] {
    server.feed().Add(exchange->Stream(200, EventStreamHeaders()), options);
  });
}

// The query of a request: SQL as the body or the parameter, with or without SUBSCRIBE in front.
KernelSql SubscribedQuery(const HttpRequest& request) {
  auto* parameter = request.Parameter("query");
  auto statements = ParseStatements(parameter ? *parameter : request.body);
  if (statements.size() == 1) {
    auto& body = statements[0].body;
    if (auto* subscribe = std::get_if<Subscribe>(&body)) return subscribe->query;
    if (auto* query = std::get_if<Query>(&body)) return ToKernelSql(query->sql);
  }
  throw Error(ErrorCode::kInvalidRequest, "a subscription follows one query",
              "Send a SELECT as the body, or as ?query=.");
}

// The query is planned: not on a connection's thread.
void FollowQueryAside(Server& server, const ExchangePtr& exchange) {
  KernelSql query = SubscribedQuery(exchange->request);
  CheckShutIn(query);
  auto share = server.followed().Take(exchange->request.client, query.text);
  auto subscription = server.parts().views.Subscribe(query);
  Feed::Options options;
  options.views = {subscription.view};
  options.hold = std::make_shared<std::pair<std::shared_ptr<void>, std::shared_ptr<void>>>(
      subscription.hold, std::move(share));
  options.exact = IsTrue(exchange->request, "exact");
  options.last_event_id = LastEventId(exchange->request);
  WhenReached(server, exchange, subscription.view, [&server, exchange, options] {
    server.feed().Add(exchange->Stream(200, EventStreamHeaders()), options);
  });
}

void FollowQuery(Server& server, const ExchangePtr& exchange) {
  server.HandleAside(exchange, [&server, exchange] { FollowQueryAside(server, exchange); });
}

std::vector<std::string> SplitNames(const std::string& list) {
  std::vector<std::string> names;
  std::stringstream stream(list);
  std::string name;
  while (std::getline(stream, name, ',')) {
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

}  // namespace

// A list of routes.
// NOLINTNEXTLINE(readability-function-size)
void AddViewRoutes(Router& router, Server& server) {
  std::vector<Parameter> wait = {
      {"wait_for", "answer once the views stand at this offset", "integer"},
      {"timeout_ms", "how long wait_for waits, 10000 by default", "integer"},
      {"exact", "true: 64-bit integers and decimals as strings", "boolean"}};
  auto reading = wait;
  reading.push_back({"format", "or by Accept", "string", "json,ndjson,csv"});
  reading.push_back({"limit", "at most so many rows", "integer"});
  router.Add({"GET",
              "/v1/views/{name}",
              "The content of a materialized view; COLUMN=VALUE parameters select rows.",
              reading,
              "",
              "offset, as_of, columns and rows",
              "application/json,application/x-ndjson,text/csv",
              [&server](ExchangePtr exchange, const PathParts& parts) {
                GetView(server, exchange, parts[0]);
              },
              "Result",
              {}});
  router.Add({"GET",
              "/v1/views/{name}/errors",
              "Rows that are not in a view because an expression failed on them.",
              reading,
              "",
              "offset, as_of, columns and rows: offset, row, reason, operator, count",
              "application/json,application/x-ndjson,text/csv",
              [&server](ExchangePtr exchange, const PathParts& parts) {
                GetErrors(server, exchange, parts[0]);
              },
              "Result",
              {}});
  router.Add({"GET",
              "/v1/views/{name}/changes",
              "A view as Server-Sent Events: a snapshot, then each change.",
              wait,
              "",
              "snapshot and change events",
              "text/event-stream",
              [&server](ExchangePtr exchange, const PathParts& parts) {
                Follow(server, exchange, {parts[0]}, false);
              },
              "",
              {{"Last-Event-ID", "goes on behind the event with this id"}}});
  router.Add({"GET",
              "/v1/views/{name}/explain",
              "How a view is kept.",
              {{"analyze", "true: with rows, state and time of each operator", "boolean"}},
              "",
              "the operators as text",
              "application/json",
              [&server](ExchangePtr exchange, const PathParts& parts) {
                std::string name = server.parts().catalog.Current()->GetView(parts[0])->name;
                bool analyze = IsTrue(exchange->request, "analyze");
                server.RunAside(exchange, [&server, name, analyze] {
                  return JsonResponse(
                      "{\"text\":" + QuoteJson(server.parts().views.ExplainView(name, analyze)) +
                      "}");
                });
              },
              "Plan",
              {}});
  auto follow = [&server](ExchangePtr exchange, const PathParts&) {
    FollowQuery(server, exchange);
  };
  router.Add({"POST",
              "/v1/subscribe",
              "The answer to a query as Server-Sent Events: a snapshot, then each change.",
              wait,
              "text/plain",
              "snapshot and change events",
              "text/event-stream",
              follow,
              "",
              {{"Last-Event-ID", "goes on behind the event with this id"}}});
  auto by_parameter = wait;
  by_parameter.push_back({"query", "the SELECT", "string", "", true});
  router.Add({"GET",
              "/v1/subscribe",
              "The same, for EventSource.",
              by_parameter,
              "",
              "snapshot and change events",
              "text/event-stream",
              follow,
              "",
              {{"Last-Event-ID", "goes on behind the event with this id"}},
              true});
  auto live = wait;
  live.push_back({"views", "names, separated by commas"});
  router.Add({"GET",
              "/v1/live",
              "Several views on one connection, with status and catalog events.",
              live,
              "",
              "snapshot, change, status and catalog events",
              "text/event-stream",
              [&server](ExchangePtr exchange, const PathParts&) {
                auto* names = exchange->request.Parameter("views");
                Follow(server, exchange, SplitNames(names ? *names : ""), true);
              },
              "",
              {}});
}

}  // namespace weir
