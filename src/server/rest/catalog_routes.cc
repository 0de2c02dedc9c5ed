// What there is and how it is: catalog, layout, health, metrics, the API's description.
#include <fmt/format.h>

#include "base/crc32c.h"
#include "formats/json_value.h"
#include "formats/results.h"
#include "server/http_errors.h"
#include "server/rest/wait.h"
#include "server/server.h"
#include "yyjson.hpp"

namespace weir {
namespace {

constexpr size_t kLayoutBytesMax = 64 << 10;

std::string ErrorOrNull(const std::optional<Error>& error) {
  if (!error) return "null";
  auto wrapped = ErrorJson(*error);
  return wrapped.substr(9, wrapped.size() - 10);  // without {"error": and }
}

// What a table has besides what a stream has.
std::string TableJson(Server& server, const Stream& table) {
  std::string key;
  for (size_t column : table.primary_key) {
    key += (key.empty() ? "" : ",") + QuoteJson(table.columns[column].name);
  }
  std::string json = ",\"primary_key\":[" + key + "],\"source\":";
  if (!table.reference) return json + "null";
  auto status = server.parts().references.Of(table.id);
  json += "{\"file\":" + QuoteJson(table.reference->path) + ",\"refresh\":" +
          (table.reference->refresh ? std::to_string(table.reference->refresh / 1'000'000)
                                    : "\"on change\"");
  json += ",\"refreshed\":" +
          (status.refreshed ? QuoteJson(IsoTime(status.refreshed)) : std::string("null"));
  return json + ",\"error\":" + ErrorOrNull(status.error) + "}";
}

// What the stream says about event time, and how far that is: null while no view asks.
std::string WatermarkJson(Server& server, const Stream& stream) {
  if (!stream.watermark) return "null";
  std::string at = "null";
  for (auto& time : server.parts().views.StreamTimes()) {
    if (time.stream == stream.id && time.watermark) at = QuoteJson(IsoTime(*time.watermark));
  }
  auto idle = stream.watermark->idle_timeout;
  return "{\"column\":" + QuoteJson(stream.watermark->column) +
         fmt::format(R"(,"delay_ms":{},"idle_timeout_ms":{},"at":{}}})",
                     stream.watermark->delay / 1000, idle ? std::to_string(*idle / 1000) : "null",
                     at);
}

std::string StreamJson(Server& server, const Stream& stream, const LakeInfo* lake) {
  std::string columns;
  for (size_t i = 0; i < stream.VisibleColumns(); i++) {
    auto& column = stream.columns[i];
    columns += (columns.empty() ? "" : ",") + std::string("{\"name\":") + QuoteJson(column.name) +
               ",\"type\":" + QuoteJson(column.type.ToString()) +
               ",\"nullable\":" + (column.not_null ? "false" : "true") + "}";
  }
  LakeInfo none;
  if (!lake) lake = &none;
  return "{\"name\":" + QuoteJson(stream.name) + ",\"comment\":" + QuoteJson(stream.comment) +
         ",\"sql\":" + QuoteJson(stream.sql) + ",\"columns\":[" + columns + "]" +
         (stream.IsTable() ? TableJson(server, stream)
                           : std::string(",\"derived\":") + (stream.derived ? "true" : "false") +
                                 ",\"watermark\":" + WatermarkJson(server, stream)) +
         fmt::format(R"(,"rows":{},"bytes":{},"events_per_second":{:.2f},"last_offset":{})"
                     R"(,"lake":{{"files":{},"rows":{},"bytes":{},"last_offset":{}}}}})",
                     server.Rows(stream.id), lake->bytes, server.EventsPerSecond(stream.id),
                     lake->last.value, lake->files, lake->rows, lake->bytes, lake->last.value);
}

std::string JsonTexts(const std::vector<std::string>& texts) {
  std::string json = "[";
  for (auto& text : texts) json += (json.size() > 1 ? "," : "") + QuoteJson(text);
  return json + "]";
}

// What several views need is told once.
std::string OperatorJson(const OperatorInfo& info) {
  std::string notes;
  for (auto& note : info.upkeep.notes) {
    notes += (notes.empty() ? "" : ",") + std::string("{\"why\":") + QuoteJson(note.why) +
             ",\"hint\":" + QuoteJson(note.hint) + "}";
  }
  return "{\"id\":" + QuoteJson(info.id) + ",\"name\":" + QuoteJson(info.name) +
         ",\"detail\":" + QuoteJson(info.detail) + ",\"views\":" + JsonTexts(info.views) +
         fmt::format(R"(,"shared":{},"rung":"{}","notes":[{}],"rows_in":{},"rows_out":{})"
                     R"(,"time_ms":{:.3f},"state_bytes":{},"file_bytes":{},"failure":)",
                     info.views.size() > 1, ToString(info.upkeep.rung), notes, info.rows_in,
                     info.rows_out, static_cast<double>(info.nanos) / 1e6, info.state_bytes,
                     info.file_bytes) +
         QuoteJson(info.failure) + "}";
}

std::string EngineJson(const EngineInfo& engine) {
  return fmt::format(R"({{"steps":{},"rows":{},"lag_ms":{:.3f},"backlog_bytes":{},"filling":{})"
                     R"(,"state_bytes":{},"file_bytes":{},"memory_in_use":{},"memory_limit":{})"
                     R"(,"memory_full":{}}})",
                     engine.steps, engine.rows, static_cast<double>(engine.lag) / 1000,
                     engine.backlog_bytes, engine.filling, engine.state_bytes, engine.file_bytes,
                     engine.memory_in_use, engine.memory_limit, engine.memory_full);
}

const char* NameOf(ViewStatus status) {
  switch (status) {
    case ViewStatus::kLive: return "live";
    case ViewStatus::kFilling: return "filling";
    case ViewStatus::kParked: return "parked";
  }
  return "";
}

std::string PumpJson(const CatalogState& state, const Pump& pump, const PumpInfo& info) {
  auto stream = state.FindStream(pump.stream);
  return "{\"name\":" + QuoteJson(pump.name) +
         ",\"stream\":" + QuoteJson(stream ? stream->name : "") +
         ",\"comment\":" + QuoteJson(pump.comment) + ",\"sql\":" + QuoteJson(pump.sql) +
         ",\"query\":" + QuoteJson(pump.query) +
         fmt::format(R"(,"status":"{}","progress":{:.4f},"emitted_offset":{},"emitted_as_of":"{}")"
                     R"(,"rows":{},"waiting_bytes":{},"state_bytes":{},"error":{}}})",
                     NameOf(info.status), info.progress, info.emitted.offset.value,
                     IsoTime(info.emitted.clock), info.rows, info.waiting_bytes, info.state_bytes,
                     ErrorOrNull(info.error));
}

std::string ViewJson(Server& server, const View& view, const ViewInfo* info) {
  std::string json = "{\"name\":" + QuoteJson(view.name) +
                     ",\"comment\":" + QuoteJson(view.comment) + ",\"sql\":" + QuoteJson(view.sql) +
                     ",\"query\":" + QuoteJson(view.query) +
                     ",\"materialized\":" + (view.materialized ? "true" : "false");
  if (!info) return json + ",\"columns\":[],\"ordered_by\":[]}";
  json += ",\"columns\":[" + JsonColumns(info->columns) + "]";
  json += fmt::format(R"(,"version":{},"answering":{})", info->version,
                      info->answering ? std::to_string(info->answering) : "null");
  json += fmt::format(
      R"(,"rows":{},"error_rows":{},"state_bytes":{},"rung":"{}","status":"{}","progress":{:.4f})"
      R"(,"offset":{},"as_of":"{}","changes_per_second":{:.2f},"changes":{})"
      R"(,"shared_bytes":{},"file_bytes":{},"content_bytes":{})",
      info->rows, info->error_rows, info->state_bytes,
      info->rung == Rung::kIncremental ? "incremental" : "recompute", NameOf(info->status),
      info->progress, info->offset.value, IsoTime(info->as_of), server.ChangesPerSecond(info->name),
      info->changes, info->shared_bytes, info->file_bytes, info->content_bytes);
  json += ",\"operators\":" + JsonTexts(info->operators);
  json += ",\"error\":" + ErrorOrNull(info->error) + ",\"ordered_by\":[";
  bool first = true;
  for (auto& [column, descending] : info->ordered_by) {
    json += std::string(first ? "" : ",") + "{\"column\":" + QuoteJson(column) +
            ",\"descending\":" + (descending ? "true" : "false") + "}";
    first = false;
  }
  return json + "]}";
}

// What of the lake is not as it should be; names of streams that are gone are their numbers.
std::string LakeJson(Server& server, const CatalogState& state) {
  auto health = server.parts().lake.Health();
  auto name = [&](StreamId id) {
    auto stream = state.FindStream(id);
    return QuoteJson(stream ? stream->name : std::to_string(id.value));
  };
  std::string held, damaged;
  for (auto& one : health.held) {
    held += fmt::format(R"({}{{"stream":{},"landed":{},"reason":{}}})", held.empty() ? "" : ",",
                        name(one.stream), one.landed.value, QuoteJson(one.why));
  }
  for (auto& one : health.damaged) {
    damaged += fmt::format(R"({}{{"stream":{},"file":{},"first":{},"last":{},"reason":{}}})",
                           damaged.empty() ? "" : ",", name(one.stream), QuoteJson(one.path),
                           one.first.value, one.last.value, QuoteJson(one.reason));
  }
  std::string failure = health.failure.empty() ? "null" : QuoteJson(health.failure);
  auto& backlog = health.backlog;
  return fmt::format(
      R"({{"landed":{},"backlog":{{"rows":{},"bytes":{},"waited_ms":{},"urgent":{}}})"
      R"(,"failure":{},"held":[{}],"damaged":[{}]}})",
      server.parts().lake.Landed().value, backlog.rows, backlog.bytes, backlog.waited / 1000,
      backlog.urgent, failure, held, damaged);
}

std::string CatalogJson(Server& server) {
  auto state = server.parts().catalog.Current();
  auto engine = server.parts().views.Info();
  auto infos = server.parts().views.ViewInfos();
  auto lakes = server.parts().lake.Info();
  std::string streams, tables, views, operators;
  for (auto& info : server.parts().views.OperatorInfos()) {
    operators += (operators.empty() ? "" : ",") + OperatorJson(info);
  }
  for (auto& [name, stream] : state->streams) {
    const LakeInfo* lake = nullptr;
    for (auto& candidate : lakes) {
      if (candidate.stream == stream->id) lake = &candidate;
    }
    auto& list = stream->IsTable() ? tables : streams;
    list += (list.empty() ? "" : ",") + StreamJson(server, *stream, lake);
  }
  for (auto& [name, view] : state->views) {
    const ViewInfo* info = nullptr;
    for (auto& candidate : infos) {
      if (candidate.name == view->name) info = &candidate;
    }
    views += (views.empty() ? "" : ",") + ViewJson(server, *view, info);
  }
  std::string pumps;
  auto pump_infos = server.parts().views.PumpInfos();
  for (auto& [name, pump] : state->pumps) {
    PumpInfo info;
    for (auto& candidate : pump_infos) {
      if (candidate.id == pump->id) info = candidate;
    }
    pumps += (pumps.empty() ? "" : ",") + PumpJson(*state, *pump, info);
  }
  return "{\"version\":\"" WEIR_VERSION "\",\"offset\":" + std::to_string(engine.offset.value) +
         ",\"as_of\":\"" + IsoTime(engine.as_of) +
         "\",\"time_zone\":" + QuoteJson(state->time_zone) + ",\"streams\":[" + streams +
         "],\"tables\":[" + tables + "],\"views\":[" + views + "],\"pumps\":[" + pumps +
         "],\"operators\":[" + operators + "],\"lake\":" + LakeJson(server, *state) +
         ",\"engine\":" + EngineJson(engine) + "}";
}

bool IsJsonObject(const std::string& text) {
  using namespace duckdb_yyjson;  // NOLINT: a C library in a namespace
  std::unique_ptr<yyjson_doc, decltype(&yyjson_doc_free)> document(
      yyjson_read(text.data(), text.size(), 0), yyjson_doc_free);
  return document && yyjson_is_obj(yyjson_doc_get_root(document.get()));
}

// What a layout is known by (RFC 9110, 8.8.3).
std::string LayoutTag(const std::string& layout) {
  return fmt::format("\"{:08x}-{}\"", Crc32c(layout), layout.size());
}

HttpResponse LayoutResponse(const std::string& layout) {
  auto response = JsonResponse(IsJsonObject(layout) ? layout : "{}");
  response.headers.emplace_back("ETag", LayoutTag(layout));
  return response;
}

// With If-Match only over the layout that has this tag, so that nobody writes over what another
// page has saved since it was read.
void PutLayout(Server& server, const ExchangePtr& exchange) {
  auto& body = exchange->request.body;
  if (body.size() > kLayoutBytesMax) {
    throw Error(ErrorCode::kTooLarge, "a layout has at most 64 KiB");
  }
  if (!IsJsonObject(body)) {
    throw Error(ErrorCode::kInvalidRequest, "a layout is a JSON object");
  }
  std::string wanted = exchange->request.Header("if-match");
  bool saved = server.parts().layout.SaveOver(
      [&](const std::string& there) {
        return wanted.empty() || wanted == "*" || wanted == LayoutTag(there);
      },
      body);
  if (saved) return exchange->Respond(LayoutResponse(body));
  auto response =
      ErrorResponse(Error(ErrorCode::kConflict, "the layout has changed since it was read",
                          "Read it again, and put it with the ETag of the answer."));
  response.status = 412;
  exchange->Respond(std::move(response));
}

// Ready once every view can be read or says why it never will.
void Ready(Server& server, const ExchangePtr& exchange) {
  double progress = 1;
  bool filling = false;
  for (auto& info : server.parts().views.ViewInfos()) {
    if (info.status != ViewStatus::kFilling) continue;
    filling = true;
    progress = std::min(progress, info.progress);
  }
  for (auto& info : server.parts().views.PumpInfos()) {
    if (info.status != ViewStatus::kFilling) continue;
    filling = true;
    progress = std::min(progress, info.progress);
  }
  auto json = fmt::format(R"({{"ready":{},"progress":{:.4f}}})", !filling, progress);
  exchange->Respond(JsonResponse(json, filling ? 503 : 200));
}

}  // namespace

void AddCatalogRoutes(Router& router, Server& server) {
  auto get = [&](const char* path, const char* summary, const char* answer, auto handle,
                 const char* schema = "", const char* type = "application/json") {
    router.Add({"GET",
                path,
                summary,
                {},
                "",
                answer,
                type,
                [handle](ExchangePtr exchange, const PathParts&) { handle(exchange); },
                schema,
                {}});
  };
  get(
      "/v1/catalog", "Streams, tables and views, with their figures.", "the catalog",
      [&server](const ExchangePtr& exchange) {
        exchange->Respond(JsonResponse(CatalogJson(server)));
      },
      "Catalog");
  get("/v1/layout", "The dashboard's layout.", "any JSON object",
      [&server](const ExchangePtr& exchange) {
        exchange->Respond(LayoutResponse(server.parts().layout.Load()));
      });
  router.Add({"PUT",
              "/v1/layout",
              "Keeps the dashboard's layout.",
              {},
              "application/json",
              "the layout",
              "application/json",
              [&server](ExchangePtr exchange, const PathParts&) { PutLayout(server, exchange); },
              "",
              {},
              false,
              "Layout"});
  get("/v1/openapi.json", "This description.", "OpenAPI 3.0",
      [&server](const ExchangePtr& exchange) {
        exchange->Respond(JsonResponse(server.router().OpenApi()));
      });
  get("/healthz", "Whether the process works; 503 after a disk failure.", "ok",
      [&server](const ExchangePtr& exchange) {
        if (server.parts().log.Failed()) {
          throw Error(ErrorCode::kUnavailable, "the log's disk has failed",
                      "Restart the process once the disk is sound again.");
        }
        auto engine = server.parts().views.Info();
        std::string stalled;
        constexpr uint64_t kStalledSeconds = 10;
        if (engine.stalled_seconds >= kStalledSeconds) {
          stalled = ",\"stalled_seconds\":" + std::to_string(engine.stalled_seconds) +
                    ",\"stalled_on\":" + QuoteJson(engine.stalled_on);
        }
        exchange->Respond(JsonResponse("{\"ok\":true" + stalled + "}"));
      });
  get(
      "/readyz", "Whether all views are filled.", "ready and progress",
      [&server](const ExchangePtr& exchange) { Ready(server, exchange); }, "Ready");
  get(
      "/metrics", "Figures for Prometheus.", "text",
      [&server](const ExchangePtr& exchange) {
        exchange->Respond({200,
                           {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
                           server.Metrics()});
      },
      "", "text/plain");
}

}  // namespace weir
