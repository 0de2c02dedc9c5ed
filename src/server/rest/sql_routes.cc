// POST /v1/sql: our own statements run in the engine, a plain read of one view is served from its
// content, everything else goes to a query worker.
#include <algorithm>
#include <regex>
#include <thread>

#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "formats/json_value.h"
#include "formats/results.h"
#include "server/http_errors.h"
#include "server/rest/wait.h"
#include "server/server.h"
#include "yyjson.hpp"

namespace weir {
namespace {

using namespace duckdb_yyjson;  // NOLINT: a C library in a namespace

struct SqlRequest {
  std::string sql;
  std::string params_json;
};

SqlRequest ReadRequest(const HttpRequest& request) {
  std::string type = request.Header("content-type");
  if (!type.starts_with("application/json")) return {request.body, ""};
  std::unique_ptr<yyjson_doc, decltype(&yyjson_doc_free)> document(
      yyjson_read(request.body.data(), request.body.size(), 0), yyjson_doc_free);
  auto* root = document ? yyjson_doc_get_root(document.get()) : nullptr;
  auto* sql = yyjson_obj_get(root, "sql");
  if (!yyjson_is_str(sql)) {
    throw Error(ErrorCode::kInvalidRequest, "the body is not {\"sql\": \"...\", \"params\": [...]}",
                "Or send the SQL itself as text/plain.");
  }
  SqlRequest read{std::string(yyjson_get_str(sql), yyjson_get_len(sql)), ""};
  if (auto* params = yyjson_obj_get(root, "params")) {
    if (!yyjson_is_arr(params)) {
      throw Error(ErrorCode::kInvalidRequest, "params is an array of values for $1, $2, ...");
    }
    size_t size = 0;
    std::unique_ptr<char, decltype(&free)> text(
        yyjson_val_write(params, YYJSON_WRITE_NOFLAG, &size), free);
    read.params_json.assign(text.get(), size);
  }
  return read;
}

ResultFormat FormatOf(const HttpRequest& request, std::string& media_type) {
  static const std::vector<std::tuple<std::string, std::string, ResultFormat>> kFormats = {
      {"json", "application/json", ResultFormat::kJson},
      {"ndjson", "application/x-ndjson", ResultFormat::kNdjson},
      {"csv", "text/csv; charset=utf-8", ResultFormat::kCsv},
      {"arrow", "application/vnd.apache.arrow.stream", ResultFormat::kArrow},
      {"parquet", "application/vnd.apache.parquet", ResultFormat::kParquet}};
  auto* wanted = request.Parameter("format");
  std::string accept = request.Header("accept");
  for (auto& [name, type, format] : kFormats) {
    bool chosen = wanted ? *wanted == name : accept.starts_with(type.substr(0, type.find(';')));
    if (!chosen) continue;
    media_type = type;
    return format;
  }
  if (wanted) {
    throw Error(ErrorCode::kInvalidRequest, "there is no format \"" + *wanted + "\"",
                "Use json, ndjson, csv, arrow or parquet.");
  }
  media_type = "application/json";
  return ResultFormat::kJson;
}

// Holds the beginning of an answer back until it is known whether there is one: an error in a
// small result still gets its own status.
class ResponseSink : public QuerySink {
 public:
  ResponseSink(ExchangePtr exchange, std::string media_type)
      : exchange_(std::move(exchange)), media_type_(std::move(media_type)) {}

  void Write(std::string bytes) override {
    if (stream_) {
      WaitForRoom();
      stream_->Write(std::make_shared<const std::string>(std::move(bytes)));
      return;
    }
    held_ += bytes;
    if (held_.size() < kHoldBytes) return;
    stream_ =
        exchange_->Stream(200, {{"Content-Type", media_type_}, {"Cache-Control", "no-store"}});
    stream_->Write(std::make_shared<const std::string>(std::move(held_)));
  }

  void Done(const std::optional<Error>& error) override {
    if (stream_) {
      // Too late for a status: the broken chunk tells the client.
      stream_->Close();
    } else if (error) {
      exchange_->Respond(ErrorResponse(*error));
    } else {
      exchange_->Respond(
          {200, {{"Content-Type", media_type_}, {"Cache-Control", "no-store"}}, std::move(held_)});
    }
    handle_.reset();
  }

  void Hold(std::shared_ptr<void> handle) { handle_ = std::move(handle); }

 private:
  static constexpr size_t kHoldBytes = 1 << 20;
  static constexpr size_t kPendingMax = 8 << 20;

  // A client that reads slowly slows its query down.
  void WaitForRoom() {
    for (int i = 0; i < 60'000 && stream_->Pending() > kPendingMax && !stream_->Closed(); i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  ExchangePtr exchange_;
  std::string media_type_;
  std::string held_;
  std::shared_ptr<HttpStream> stream_;
  std::shared_ptr<void> handle_;
};

// Comma-separated, quoted where needed.
std::string CsvLine(const std::vector<std::string>& cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); i++) {
    if (i) line += ',';
    bool quote = cells[i].empty() || cells[i].find_first_of(",\"\r\n") != std::string::npos;
    if (quote) line += '"';
    for (char c : cells[i]) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    if (quote) line += '"';
  }
  return line + "\r\n";
}

// What a statement of ours says, in a format that is text.
HttpResponse TableResponse(Server& server, ResultTable table, ResultFormat format,
                           const std::string& media_type) {
  if (format != ResultFormat::kJson && table.written) {
    table.columns = {"rows_changed"};
    table.rows = {{std::to_string(table.written->rows)}};
  } else if (format != ResultFormat::kJson && table.columns.empty()) {
    table.columns = {"notice"};
    table.rows = {{table.notice}};
  }
  HttpResponse response{200, {{"Content-Type", media_type}, {"Cache-Control", "no-store"}}, ""};
  if (format == ResultFormat::kCsv) {
    response.body = CsvLine(table.columns);
    for (auto& row : table.rows) response.body += CsvLine(row);
    return response;
  }
  if (format == ResultFormat::kNdjson) {
    for (auto& row : table.rows) {
      for (size_t i = 0; i < row.size(); i++) {
        response.body +=
            std::string(i ? "," : "{") + QuoteJson(table.columns[i]) + ":" + QuoteJson(row[i]);
      }
      response.body += "}\n";
    }
    return response;
  }
  auto info = server.parts().views.Info();
  Offset offset = table.written ? table.written->offset : info.offset;
  std::string json =
      "{\"offset\":" + std::to_string(offset.value) + ",\"as_of\":\"" + IsoTime(info.as_of) + "\"";
  if (!table.notice.empty()) json += ",\"notice\":" + QuoteJson(table.notice);
  if (table.written) {
    return JsonResponse(json +
                        ",\"columns\":[{\"name\":\"rows_changed\",\"type\":\"UBIGINT\"}],"
                        "\"rows\":[[" +
                        std::to_string(table.written->rows) + "]]}");
  }
  json += ",\"columns\":[";
  for (size_t i = 0; i < table.columns.size(); i++) {
    json += std::string(i ? "," : "") + "{\"name\":" + QuoteJson(table.columns[i]) +
            ",\"type\":\"VARCHAR\"}";
  }
  json += "],\"rows\":[";
  for (size_t row = 0; row < table.rows.size(); row++) {
    json += row ? ",[" : "[";
    for (size_t i = 0; i < table.rows[row].size(); i++) {
      json += (i ? "," : "") + QuoteJson(table.rows[row][i]);
    }
    json += "]";
  }
  response.body = json + "]}";
  return response;
}

// `SELECT * FROM view [WHERE column = literal] [LIMIT n]`, which needs no worker.
struct PlainRead {
  std::string view;
  ReadOptions options;
  bool quoted = false;  // the literal
};
std::optional<PlainRead> AsPlainRead(const std::string& sql, const CatalogState& catalog) {
  static const std::regex kShape(
      R"(^\s*(?:select\s+\*\s+)?from\s+([A-Za-z_]\w*)(?:\s+where\s+([A-Za-z_]\w*)\s*=\s*(?:'([^']*)'|(-?\d{1,18})))?(?:\s+limit\s+(\d{1,9}))?\s*;?\s*$)",
      std::regex::icase);
  if (sql.size() > 500) return std::nullopt;
  std::smatch match;
  if (!std::regex_match(sql, match, kShape)) return std::nullopt;
  auto view = catalog.FindView(match[1].str());
  if (!view || !view->materialized) return std::nullopt;
  PlainRead read{view->name, {}};
  if (match[2].matched) {
    read.quoted = match[3].matched;
    read.options.equals.emplace_back(match[2].str(), read.quoted ? match[3].str() : match[4].str());
  }
  if (match[5].matched) read.options.limit = std::stoull(match[5].str());
  return read;
}

// Whether the view's content says exactly what the batch engine would say: the view is not behind,
// and the literal means the same without its rules of comparison.
bool IsServedFromContent(Views& views, const PlainRead& read) {
  for (auto& info : views.ViewInfos()) {
    if (!duckdb::StringUtil::CIEquals(info.name, read.view)) continue;
    if (info.rung == Rung::kRecompute) return false;
    if (read.options.equals.empty()) return true;
    for (auto& column : info.columns) {
      if (!duckdb::StringUtil::CIEquals(column.name, read.options.equals[0].first)) continue;
      if (read.quoted) return column.type == duckdb::LogicalType::VARCHAR;
      duckdb::Value number;  // one beyond the column's type is equal to none of its values
      std::string message;
      return column.type.IsIntegral() && duckdb::Value(read.options.equals[0].second)
                                             .DefaultTryCastAs(column.type, number, &message, true);
    }
  }
  return false;
}

bool IsQuery(const Statement& statement) { return std::holds_alternative<Query>(statement.body); }

void RunSql(Server& server, const ExchangePtr& exchange) {
  auto request = ReadRequest(exchange->request);
  auto statements = ParseStatements(request.sql);
  if (statements.empty()) throw Error(ErrorCode::kInvalidSql, "there is no statement");
  bool all_ours = std::none_of(statements.begin(), statements.end(), IsQuery);
  std::string media_type;
  ResultFormat format = FormatOf(exchange->request, media_type);
  bool text = format == ResultFormat::kJson || format == ResultFormat::kCsv ||
              format == ResultFormat::kNdjson;
  if (all_ours) {
    if (!text) {
      throw Error(ErrorCode::kInvalidRequest, "a statement is answered as json, ndjson or csv",
                  "Arrow and Parquet are for queries.");
    }
    server.RunAside(exchange,
                    [&server, statements, format, media_type, params = request.params_json] {
                      ResultTable table;
                      for (auto& statement : statements)
                        table = server.parts().statements.Run(statement, params);
                      if (!table.written || statements.size() > 1) server.feed().CatalogChanged();
                      return TableResponse(server, std::move(table), format, media_type);
                    });
    return;
  }
  if (statements.size() > 1) {
    throw Error(ErrorCode::kInvalidSql, "one query at a time",
                "Send each statement in a request of its own.");
  }
  QueryRequest query;
  query.format = format;
  query.sql = request.sql;
  query.params_json = request.params_json;
  query.exact = IsTrue(exchange->request, "exact");
  constexpr uint64_t kDayMs = 86'400'000;
  uint64_t timeout_ms = NumberParameter(exchange->request, "timeout_ms", 0);
  query.timeout = static_cast<Micros>(std::min(timeout_ms, kDayMs)) * 1000;
  query.rows_max = NumberParameter(exchange->request, "rows_max", 0);

  auto plain = text && request.params_json.empty() && query.rows_max == 0
                   ? AsPlainRead(request.sql, *server.parts().catalog.Current())
                   : std::nullopt;
  if (plain && !IsServedFromContent(server.parts().views, *plain)) plain.reset();
  auto run = [&server, exchange, query, media_type] {
    auto sink = std::make_shared<ResponseSink>(exchange, media_type);
    sink->Hold(server.parts().query.Run(query, sink));
  };
  if (!plain) return WhenReached(server, exchange, "", run);
  // What was acknowledged before is in the answer, as for every query.
  Offset durable = server.parts().log.End();
  Micros deadline = server.parts().clock.Monotonic() + 10'000'000;
  auto read = [&server, exchange, plain, run] {
    try {
      auto snapshots = server.parts().views.Read({plain->view}, plain->options);
      exchange->Respond(SnapshotResponse(snapshots[0], exchange->request));
    } catch (const Error& error) {
      if (error.code != ErrorCode::kInvalidRequest) throw;
      run();  // not so plain after all
    }
  };
  server.parts().views.WaitFor(durable, deadline, server.answers(), [exchange, read](bool) {
    try {
      read();
    } catch (...) {
      exchange->Respond(ErrorResponse(CurrentError()));
    }
  });
}

}  // namespace

void AddSqlRoutes(Router& router, Server& server) {
  router.Add({"POST",
              "/v1/sql",
              "Runs one SQL query, or statements of Weir.",
              {{"format", "json, ndjson, csv, arrow or parquet; or by Accept"},
               {"exact", "true: 64-bit integers and decimals as strings", "boolean"},
               {"timeout_ms", "gives up after this long", "integer"},
               {"rows_max", "refuses to answer with more rows", "integer"},
               {"wait_for", "runs once the views stand at this offset", "integer"}},
              "text/plain,application/json",
              "offset, as_of, columns and rows",
              "application/json,application/x-ndjson,text/csv,"
              "application/vnd.apache.arrow.stream,application/vnd.apache.parquet",
              [&server](ExchangePtr exchange, const PathParts&) { RunSql(server, exchange); },
              "Result",
              {}});
  router.Add({"POST",
              "/v1/verify",
              "Compares views with their batch queries.",
              {{"view", "one view; all without it"}},
              "",
              "a verdict for each view",
              "application/json",
              [&server](ExchangePtr exchange, const PathParts&) {
                auto* view = exchange->request.Parameter("view");
                std::string name = view ? *view : "";
                server.RunAside(exchange, [&server, name] {
                  return JsonResponse(ToJson(server.parts().verify.Run(name)));
                });
              },
              "Verdicts",
              {}});
}

}  // namespace weir
