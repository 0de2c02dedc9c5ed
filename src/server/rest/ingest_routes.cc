// POST /v1/streams/NAME/events, POST and DELETE /v1/tables/NAME/rows
#include "formats/decompress.h"
#include "formats/json_value.h"
#include "server/http_errors.h"
#include "server/rest/wait.h"
#include "server/server.h"

namespace weir {
namespace {

RowFormat FormatOf(const HttpRequest& request) {
  std::string type = request.Header("content-type");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (type == "application/json") return RowFormat::kJson;
  if (type == "text/csv") return RowFormat::kCsv;
  if (type == "application/x-ndjson" || type == "application/ndjson" ||
      type == "application/jsonl" || type == "application/x-jsonlines") {
    return RowFormat::kNdjson;
  }
  // curl says this by itself when nobody tells it what it sends.
  if (type.empty() || type == "application/x-www-form-urlencoded" || type == "text/plain" ||
      type == "application/octet-stream") {
    return RowFormat::kNdjson;
  }
  throw Error(ErrorCode::kUnsupportedMediaType, "cannot read a body of type \"" + type + "\"",
              "Send application/x-ndjson, application/json or text/csv.");
}

std::string AnswerJson(const IngestAnswer& answer, bool with_duplicates) {
  std::string json = "{\"accepted\":" + std::to_string(answer.accepted) +
                     ",\"offset\":" + std::to_string(answer.offset.value);
  if (with_duplicates) json += ",\"duplicates\":" + std::to_string(answer.duplicates);
  if (answer.rejected_total > answer.rejected.size()) {
    json += ",\"rejected_total\":" + std::to_string(answer.rejected_total);
  }
  if (!answer.unknown_fields.empty()) {
    json += ",\"unknown_fields\":[";
    for (size_t i = 0; i < answer.unknown_fields.size(); i++) {
      json += (i ? "," : "") + QuoteJson(answer.unknown_fields[i]);
    }
    json += "]";
  }
  json += ",\"rejected\":[";
  bool first = true;
  for (auto& row : answer.rejected) {
    json += std::string(first ? "" : ",") + "{\"line\":" + std::to_string(row.line) +
            ",\"column\":" + QuoteJson(row.column) + ",\"value\":" + QuoteJson(row.value) +
            ",\"reason\":" + QuoteJson(row.reason) + "}";
    first = false;
  }
  return json + "]}";
}

void Respond(HttpExchange& exchange, IngestAnswer answer, bool with_duplicates) {
  for (auto& row : answer.rejected) {
    row.value = ValidUtf8(row.value);
    row.column = ValidUtf8(row.column);
    row.reason = ValidUtf8(row.reason);
  }
  for (auto& name : answer.unknown_fields) name = ValidUtf8(name);
  if (!answer.error) return exchange.Respond(JsonResponse(AnswerJson(answer, with_duplicates)));
  auto response = ErrorResponse(*answer.error);
  if (!answer.rejected.empty()) {
    // Refused whole because of some rows: say which.
    auto rows = AnswerJson(answer, false);
    response.status = 422;
    response.body.pop_back();
    response.body += "," + rows.substr(1);
  }
  exchange.Respond(std::move(response));
}

void Post(Server& server, const ExchangePtr& exchange, const std::shared_ptr<const Stream>& stream,
          bool deletes) {
  auto& request = exchange->request;
  IngestRequest post;
  post.deletes = deletes;
  post.stream = stream->name;
  post.format = FormatOf(request);
  post.atomic = IsTrue(request, "atomic");
  post.idempotency_key = request.Header("idempotency-key");
  std::string encoding = request.Header("content-encoding");
  for (char& c : encoding) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (encoding == "x-gzip") encoding = "gzip";  // RFC 9110, 8.4.1.3
  post.body = request.body;
  post.body_owner = exchange;
  if (encoding == "gzip" || encoding == "zstd") {
    post.memory = std::make_shared<RowMemory::Hold>(server.parts().ingest.Memory());
    auto decompressed = std::make_shared<std::string>(
        Decompress(encoding == "gzip" ? Compression::kGzip : Compression::kZstd, request.body,
                   server.options().decompressed_bytes_max, post.memory.get()));
    post.body = *decompressed;
    post.body_owner = std::move(decompressed);
  } else if (!encoding.empty() && encoding != "identity") {
    throw Error(ErrorCode::kUnsupportedMediaType, "cannot decode \"" + encoding + "\"",
                "Send the body plain, or with Content-Encoding gzip or zstd.");
  }
  // Told on the log's thread, which has others to tell: the answer is made elsewhere.
  server.parts().ingest.Post(post, [exchange, stream](IngestAnswer answer) {
    auto shared = std::make_shared<IngestAnswer>(std::move(answer));
    exchange->Post([exchange, stream, shared] {
      Respond(*exchange, std::move(*shared), !stream->dedup_key.empty());
    });
  });
}

}  // namespace

void AddIngestRoutes(Router& router, Server& server) {
  router.Add(
      {"POST",
       "/v1/streams/{name}/events",
       "Adds events to a stream; the answer comes once they are durable.",
       {{"atomic", "true: all rows or none", "boolean"}},
       "application/x-ndjson,application/json,text/csv",
       "How many rows were accepted, the log position, and each refused row with its reason.",
       "application/json",
       [&server](ExchangePtr exchange, const PathParts& parts) {
         Post(server, exchange, server.parts().catalog.Current()->GetStream(parts[0]), false);
       },
       "IngestAnswer",
       {{"Idempotency-Key", "the same body with the same key counts once"},
        {"Content-Encoding", "of the body", "string", "gzip,x-gzip,zstd,identity"}},
       false,
       "Rows"});
  auto table_route = [&](const char* method, const char* path, bool deletes, const char* summary,
                         const char* answer) {
    router.Add({method,
                path,
                summary,
                {{"atomic", "true: all rows or none", "boolean"}},
                "application/x-ndjson,application/json,text/csv",
                answer,
                "application/json",
                [&server, deletes](ExchangePtr exchange, const PathParts& parts) {
                  Post(server, exchange, server.parts().catalog.Current()->GetTable(parts[0]),
                       deletes);
                },
                "IngestAnswer",
                {{"Idempotency-Key", "the same body with the same key counts once"},
                 {"Content-Encoding", "of the body", "string", "gzip,x-gzip,zstd,identity"}},
                false,
                "Rows"});
  };
  table_route(
      "POST", "/v1/tables/{name}/rows", false,
      "Puts rows into a table: each takes the place of the one with its key. A row with "
      "\"_deleted\": true goes.",
      "How many rows were accepted, the log position, and each refused row with its reason.");
  table_route("DELETE", "/v1/tables/{name}/rows", true,
              "Takes the rows with these keys out of a table.",
              "How many keys were accepted, the log position, and each refused one.");
  table_route("POST", "/v1/tables/{name}/rows/delete", true,
              "The same as DELETE, for clients whose DELETE has no body.",
              "How many keys were accepted, the log position, and each refused one.");
}

}  // namespace weir
