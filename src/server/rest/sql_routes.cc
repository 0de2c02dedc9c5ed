// POST /v1/sql: a request as the SQL frontend takes it, and its answers as HTTP.
#include <algorithm>
#include <mutex>
#include <utility>

#include "duck/errors.h"
#include "formats/json_value.h"
#include "formats/results.h"
#include "io/disk/spool.h"
#include "server/http_errors.h"
#include "server/rest/wait.h"
#include "server/server.h"
#include "yyjson.hpp"

namespace weir {
namespace {

using namespace duckdb_yyjson;  // NOLINT: a C library in a namespace

// The text and its parameters: a body of SQL, or of JSON.
void ReadBody(const HttpRequest& request, SqlRequest& read) {
  SqlFrontend::CheckSize(request.body.size());
  if (!request.Header("content-type").starts_with("application/json")) {
    read.text = request.body;
    return;
  }
  std::unique_ptr<yyjson_doc, decltype(&yyjson_doc_free)> document(
      yyjson_read(request.body.data(), request.body.size(), 0), yyjson_doc_free);
  auto* root = document ? yyjson_doc_get_root(document.get()) : nullptr;
  auto* sql = yyjson_obj_get(root, "sql");
  if (!yyjson_is_str(sql)) {
    throw Error(ErrorCode::kInvalidRequest, "the body is not {\"sql\": \"...\", \"params\": [...]}",
                "Or send the SQL itself as text/plain.");
  }
  read.text.assign(yyjson_get_str(sql), yyjson_get_len(sql));
  if (auto* params = yyjson_obj_get(root, "params")) {
    if (!yyjson_is_arr(params)) {
      throw Error(ErrorCode::kInvalidRequest, "params is an array of values for $1, $2, ...");
    }
    size_t size = 0;
    std::unique_ptr<char, decltype(&free)> text(
        yyjson_val_write(params, YYJSON_WRITE_NOFLAG, &size), free);
    read.params_json.assign(text.get(), size);
  }
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

HttpResponse TableResponse(Server& server, ResultTable table, ResultFormat format,
                           const std::string& media_type);

// Keeps an answer until it is whole: whatever goes wrong has a status of its own, the query's
// process never waits for its client, and the client sees by the length whether it got everything.
class ResponseSink : public SqlSink {
 public:
  ResponseSink(Server& server, ExchangePtr exchange, const SqlRequest& request,
               std::string media_type)
      : server_(server),
        exchange_(std::move(exchange)),
        format_(request.format),
        limit_(request.limit),
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

  void Ran(ResultTable table) override {
    if (!table.written) server_.feed().CatalogChanged();
    exchange_->Respond(TableResponse(server_, std::move(table), format_, media_type_));
    Hold(nullptr);
  }
  void Kept(Snapshot snapshot) override {
    exchange_->Respond(SnapshotResponse(snapshot, exchange_->request, limit_));
    Hold(nullptr);
  }

  // What is asked is cancelled when nobody holds it.
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

  Server& server_;
  ExchangePtr exchange_;
  const ResultFormat format_;
  const uint64_t limit_;
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

SqlRequest ReadRequest(const HttpRequest& request, std::string& media_type) {
  SqlRequest read;
  read.caller = CallerOf(request);
  ReadBody(request, read);
  read.format = FormatOf(request, media_type);
  read.exact = IsTrue(request, "exact");
  constexpr uint64_t kDayMs = 86'400'000;
  uint64_t timeout_ms = NumberParameter(request, "timeout_ms", 0);
  read.timeout = static_cast<Micros>(std::min(timeout_ms, kDayMs)) * 1000;
  read.rows_max = NumberParameter(request, "rows_max", 0);
  read.limit = NumberParameter(request, "limit", 0);
  read.wait_for = WaitFor(request);
  read.wait_max = WaitMax(request);
  if (read.limit && read.format == ResultFormat::kParquet) {
    throw Error(ErrorCode::kInvalidRequest, "limit is not for Parquet",
                "Say LIMIT in the query, or ask for another format.");
  }
  return read;
}

void RunSql(Server& server, const ExchangePtr& exchange) {
  std::string media_type;
  SqlRequest request = ReadRequest(exchange->request, media_type);
  auto sink = std::make_shared<ResponseSink>(server, exchange, request, media_type);
  sink->Hold(server.parts().sql.Execute(std::move(request), sink));
  exchange->OnGone([weak = std::weak_ptr<ResponseSink>(sink)] {
    if (auto sink = weak.lock()) sink->Hold(nullptr);
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
       [&server](ExchangePtr exchange, const PathParts&) { RunSql(server, exchange); },
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
