// POST /v1/sql: our own statements run in the engine, a plain read of one view is served from its
// content, everything else goes to a query worker.
#include <algorithm>
#include <mutex>
#include <regex>
#include <utility>

#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "formats/json_value.h"
#include "formats/results.h"
#include "io/disk/spool.h"
#include "query/view_rows.h"
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
  constexpr size_t kSqlBytesMax = 4 << 20;  // to parse a text takes many times its size
  if (request.body.size() > kSqlBytesMax) {
    throw Error(ErrorCode::kTooLarge, "a statement has at most 4 MiB",
                "Send many rows to /v1/streams/NAME/events or /v1/tables/NAME/rows.");
  }
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

// Keeps an answer until it is whole: whatever goes wrong has a status of its own, the query's
// process never waits for its client, and the client sees by the length whether it got everything.
class ResponseSink : public QuerySink {
 public:
  ResponseSink(Server& server, ExchangePtr exchange, std::string media_type)
      : exchange_(std::move(exchange)),
        media_type_(std::move(media_type)),
        answer_(std::make_shared<SpooledBody>(server.spool(), exchange_->request.client)) {}

  void Write(std::string bytes) override { answer_->spool.Append(bytes); }
  void More() override { more_ = true; }
  void Replaced(const std::string& view, const Replacement& by) override {
    replaced_ += (replaced_.empty() ? "" : ", ") + ReplacedHeader(view, by);
  }
  void Done(const std::optional<Error>& error) override {
    if (error) {
      exchange_->Respond(ErrorResponse(*error));
    } else {
      exchange_->Respond(Whole());
    }
    Hold(nullptr);
  }

  // The query is cancelled when nobody holds it.
  void Hold(std::shared_ptr<void> query) {
    std::lock_guard lock(mutex_);
    if (!std::exchange(over_, query == nullptr)) query_.swap(query);
  }

 private:
  struct SpooledBody : HttpBody {
    SpooledBody(SpoolRoom& room, const std::string& client) : spool(room, client) {}
    uint64_t Size() const override { return spool.Size(); }
    void Read(uint64_t position, std::span<char> room) override { spool.Read(position, room); }
    Spool spool;
  };

  HttpResponse Whole() {
    HttpResponse response{200, {{"Content-Type", media_type_}, {"Cache-Control", "no-store"}}, ""};
    if (more_) response.headers.emplace_back("Weir-More", "true");
    if (!replaced_.empty()) response.headers.emplace_back(kReplacedHeader, replaced_);
    if (auto* text = answer_->spool.InMemory()) {
      response.body = std::move(*text);
    } else {
      response.source = std::move(answer_);
    }
    return response;
  }

  ExchangePtr exchange_;
  std::string media_type_;
  std::shared_ptr<SpooledBody> answer_;
  bool more_ = false;
  std::string replaced_;
  std::mutex mutex_;
  bool over_ = false;
  std::shared_ptr<void> query_;
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
  read.options.rows_max = kViewRowsMax;
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
      return IsEqualityExact(column.type, read.options.equals[0].second, read.quoted);
    }
  }
  return false;
}

bool IsQuery(const Statement& statement) { return std::holds_alternative<Query>(statement.body); }

void RunSql(Server& server, const ExchangePtr& exchange) {
  auto request = ReadRequest(exchange->request);
  auto statements = ParseStatements(request.sql);
  if (statements.empty()) throw Error(ErrorCode::kInvalidSql, "there is no statement");
  if (statements.size() > 1) {
    throw Error(ErrorCode::kInvalidSql, "one statement at a time",
                "Send each in a request of its own; `weir sql` does that with a script.");
  }
  bool ours = !IsQuery(statements[0]);
  std::string media_type;
  ResultFormat format = FormatOf(exchange->request, media_type);
  bool text = format == ResultFormat::kJson || format == ResultFormat::kCsv ||
              format == ResultFormat::kNdjson;
  if (ours) {
    if (!text) {
      throw Error(ErrorCode::kInvalidRequest, "a statement is answered as json, ndjson or csv",
                  "Arrow and Parquet are for queries.");
    }
    server.RunAside(exchange, [&server, statement = statements[0], format, media_type,
                               params = request.params_json] {
      ResultTable table = server.parts().statements.Run(statement, params);
      if (!table.written) server.feed().CatalogChanged();
      return TableResponse(server, std::move(table), format, media_type);
    });
    return;
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
  query.limit = NumberParameter(exchange->request, "limit", 0);
  query.client = exchange->request.client;
  if (query.limit && format == ResultFormat::kParquet) {
    throw Error(ErrorCode::kInvalidRequest, "limit is not for Parquet",
                "Say LIMIT in the query, or ask for another format.");
  }

  auto plain = text && request.params_json.empty() && query.rows_max == 0
                   ? AsPlainRead(request.sql, *server.parts().catalog.Current())
                   : std::nullopt;
  if (plain && query.limit) {  // one row more tells whether there are more
    auto own = plain->options.limit.value_or(UINT64_MAX);
    plain->options.limit = std::min(own, query.limit + 1);
  }
  if (plain && !IsServedFromContent(server.parts().views, *plain)) plain.reset();
  auto run = [&server, exchange, query, media_type] {
    auto sink = std::make_shared<ResponseSink>(server, exchange, media_type);
    sink->Hold(server.parts().query.Run(query, sink));
    exchange->OnGone([weak = std::weak_ptr<ResponseSink>(sink)] {
      if (auto sink = weak.lock()) sink->Hold(nullptr);
    });
  };
  if (!plain) return WhenReached(server, exchange, "", run);
  auto read = [&server, exchange, plain, run, limit = query.limit] {
    try {
      auto snapshots = server.parts().views.Read({plain->view}, plain->options);
      exchange->Respond(SnapshotResponse(snapshots[0], exchange->request, limit));
    } catch (const Error& error) {
      if (error.code != ErrorCode::kInvalidRequest) throw;
      run();  // not so plain after all
    }
  };
  WhenReached(server, exchange, plain->view, [&server, exchange, read] {
    // What was acknowledged before is in the answer, as for every query.
    Offset durable = server.parts().log.End();
    Micros deadline = server.parts().clock.Monotonic() + 10'000'000;
    server.parts().views.WaitFor(durable, deadline, server.answers(), [exchange, read](bool) {
      try {
        read();
      } catch (...) {
        exchange->Respond(ErrorResponse(CurrentError()));
      }
    });
  });
}

}  // namespace

void AddSqlRoutes(Router& router, Server& server) {
  router.Add(
      {"POST",
       "/v1/sql",
       "Runs one SQL query, or one statement of Weir.",
       {{"format", "or by Accept", "string", "json,ndjson,csv,arrow,parquet"},
        {"exact", "true: 64-bit integers and decimals as strings", "boolean"},
        {"timeout_ms", "gives up after this long", "integer"},
        {"rows_max", "an answer with more rows is an error; a million by default", "integer"},
        {"limit", "further rows are left out, and \"more\" says so", "integer"},
        {"wait_for", "runs once the views stand at this offset", "integer"}},
       "text/plain,application/json",
       "offset, as_of, columns and rows",
       "application/json,application/x-ndjson,text/csv,"
       "application/vnd.apache.arrow.stream,application/vnd.apache.parquet",
       [&server](ExchangePtr exchange, const PathParts&) {
         constexpr size_t kParsedAtOnce = 32 << 10;  // within some milliseconds
         if (exchange->request.body.size() <= kParsedAtOnce) return RunSql(server, exchange);
         server.HandleAside(exchange, [&server, exchange] { RunSql(server, exchange); });
       },
       "Result",
       {},
       false,
       "Question"});
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
