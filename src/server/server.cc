#include "server/server.h"

#include <fmt/format.h>

#include "duck/errors.h"
#include "duck/memory.h"
#include "formats/json_value.h"
#include "formats/pump_mark.h"
#include "formats/results.h"
#include "io/process/loop_thread.h"
#include "server/http_errors.h"

namespace weir {
namespace {

// Answers with an error whatever a handler throws: the only catch on this path.
void RespondError(HttpExchange& exchange) {
  Error error = CurrentError();
  auto response = ErrorResponse(error);
  if (error.code == ErrorCode::kMethodNotAllowed)
    response.headers.emplace_back("Allow", error.hint);
  exchange.Respond(std::move(response));
}

// Counts how a request was answered.
class CountedExchange : public HttpExchange {
 public:
  CountedExchange(ExchangePtr inner, Server& server) : inner_(std::move(inner)), server_(server) {
    std::string body = std::move(inner_->request.body);
    request = inner_->request;  // the connection looks at its own again
    request.body = std::move(body);
  }
  void Respond(HttpResponse response) override {
    Count(response.status);
    Protect(response.headers);
    inner_->Respond(std::move(response));
  }
  std::shared_ptr<HttpStream> Stream(
      int status, std::vector<std::pair<std::string, std::string>> headers) override {
    Count(status);
    Protect(headers);
    return inner_->Stream(status, std::move(headers));
  }
  void OnGone(std::function<void()> callback) override { inner_->OnGone(std::move(callback)); }
  void Post(std::function<void()> work) override { inner_->Post(std::move(work)); }

  std::string pattern = "page";

 private:
  // No browser takes an answer for something else, or gives it to another page.
  static void Protect(std::vector<std::pair<std::string, std::string>>& headers) {
    for (auto& [name, value] : headers) {
      if (name == "X-Content-Type-Options") return;
    }
    headers.emplace_back("X-Content-Type-Options", "nosniff");
    headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  }

  void Count(int status) {
    if (!counted_.exchange(true)) server_.CountRequest(pattern, status);
  }
  ExchangePtr inner_;
  Server& server_;
  std::atomic<bool> counted_{false};
};

}  // namespace

Server::Server(Parts parts, ServerOptions options)
    : parts_(parts),
      options_(std::move(options)),
      origins_(options_.hosts),
      spool_(options_.spool_directory, options_.spool_bytes_max) {
  feed_ = std::make_unique<Feed>(parts_.views, [this] { return StatusJson(); });
  AddIngestRoutes(router_, *this);
  AddViewRoutes(router_, *this);
  AddSqlRoutes(router_, *this);
  AddCatalogRoutes(router_, *this);
}

Server::~Server() { Stop(); }

void Server::Connect() {
  feed_->Connect();
  CountRowsBefore();
  parts_.log.AddListener(*this);
}

void Server::Bind() {
  http_ = HttpServer::Listen(
      options_.host, options_.port, options_.limits,
      [this](std::shared_ptr<HttpExchange> exchange) { Handle(std::move(exchange)); },
      [this](int status, const std::string& message) {
        CountRequest("refused", status);
        return RefusalResponse(status, message);
      });
}

void Server::Start() {
  if (!http_) Bind();
  feed_->Start();
  meter_ = StartLoop("meter", [this] { Measure(); });
  http_->Start(options_.threads);
}

void Server::StopTaking() {
  if (http_) http_->StopAccepting();
  parts_.sql.calls().AwaitIdle(kCallsWait);
}

bool Server::Stop() {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return true;
    stopping_ = true;
  }
  stop_.notify_all();
  if (http_) http_->StopAccepting();
  feed_->Stop();
  parts_.sql.calls().Stop();
  bool done = parts_.sql.calls().AwaitIdle(kCallsWait);
  if (http_) http_->Stop();
  if (meter_.joinable()) meter_.join();
  return done;
}

void Server::Handle(ExchangePtr inner) {
  auto exchange = std::make_shared<CountedExchange>(std::move(inner), *this);
  try {
    auto check = [&](const Route* route) {
      origins_.Check(exchange->request, route && route->works);
    };
    if (!router_.Dispatch(exchange, &exchange->pattern, check)) ServePage(parts_.web, *exchange);
  } catch (...) {
    RespondError(*exchange);
  }
}

void Server::RunAside(ExchangePtr exchange, std::function<HttpResponse()> work) {
  HandleAside(exchange, [exchange, work = std::move(work)] { exchange->Respond(work()); });
}

void Server::HandleAside(ExchangePtr exchange, std::function<void()> work) {
  parts_.sql.calls().Start({.address = exchange->request.client},
                           [exchange, work = std::move(work)] {
                             try {
                               work();
                             } catch (...) {
                               RespondError(*exchange);
                             }
                           });
}

// ---- figures ------------------------------------------------------------------------------------

void Server::CountRequest(const std::string& pattern, int status) {
  std::lock_guard lock(mutex_);
  requests_[{pattern, status}]++;
}

void Server::OnCommit(const CommittedRecords& group) {
  std::lock_guard lock(mutex_);
  for (auto& record : group) {
    stream_rows_[record->record.stream.value].total += record->record.count;
    // What a query made of events is not counted as coming in.
    if (!DecodePumpMark(record->record.meta)) all_rows_.total += record->record.count;
  }
}

// Rates over about the last five seconds, smoothed.
void Server::Measure() {
  constexpr double kWeight = 0.3;
  constexpr double kQuietRate = 10'000;
  constexpr int kTrimSeconds = 5;
  int quiet_seconds = 0;
  std::unique_lock lock(mutex_);
  Micros last = parts_.clock.Monotonic();
  while (!stop_.wait_for(lock, std::chrono::seconds(1), [&] { return stopping_; })) {
    Micros now = parts_.clock.Monotonic();
    double seconds = std::max(1e-3, static_cast<double>(now - last) / 1e6);
    last = now;
    lock.unlock();
    auto infos = parts_.views.ViewInfos();
    parts_.ingest.ForgetExpired();
    if (++quiet_seconds % kTrimSeconds == 0) ReturnFreeMemory();
    lock.lock();
    if (all_rows_.rate > kQuietRate) quiet_seconds = 0;
    auto update = [&](Meter& meter) {
      double rate = static_cast<double>(meter.total - meter.last) / seconds;
      meter.rate += kWeight * (rate - meter.rate);
      if (meter.rate < 1e-3) meter.rate = 0;
      meter.last = meter.total;
    };
    for (auto& [id, meter] : stream_rows_) update(meter);
    update(all_rows_);
    for (auto& info : infos) {
      auto& meter = view_changes_[info.name];
      meter.total = std::max(meter.total, info.changes);
      update(meter);
    }
  }
}

void Server::CountRowsBefore() {
  for (auto& info : parts_.lake.Info()) rows_before_[info.stream.value] += info.rows;
  Offset least = parts_.lake.Landed();
  for (auto& held : parts_.lake.Health().held) least = std::min(least, held.landed);
  auto tail = parts_.log.ReadNotes(least);
  while (auto record = tail->Next()) {
    if (record->last() <= parts_.lake.LandedOf(record->record.stream)) continue;
    rows_before_[record->record.stream.value] += record->record.count;
  }
}

uint64_t Server::Rows(StreamId stream) const {
  std::lock_guard lock(mutex_);
  auto before = rows_before_.find(stream.value);
  auto since = stream_rows_.find(stream.value);
  return (before == rows_before_.end() ? 0 : before->second) +
         (since == stream_rows_.end() ? 0 : since->second.total);
}

double Server::EventsPerSecond(StreamId stream) const {
  std::lock_guard lock(mutex_);
  auto found = stream_rows_.find(stream.value);
  return found == stream_rows_.end() ? 0 : found->second.rate;
}

double Server::EventsPerSecond() const {
  std::lock_guard lock(mutex_);
  return all_rows_.rate;
}

double Server::ChangesPerSecond(const std::string& view) const {
  std::lock_guard lock(mutex_);
  auto found = view_changes_.find(view);
  return found == view_changes_.end() ? 0 : found->second.rate;
}

std::string Server::StatusJson() const {
  auto info = parts_.views.Info();
  bool behind = parts_.log.End().value - info.offset.value > 1'000'000;
  return fmt::format(
      R"({{"offset":{},"durable_offset":{},"as_of":"{}","events_per_second":{:.2f},"lag_ms":{:.3f},"state":"{}"}})",
      info.offset.value, parts_.log.End().value, IsoTime(info.as_of), EventsPerSecond(),
      static_cast<double>(info.lag) / 1000.0,
      info.filling ? "filling"
      : behind     ? "behind"
                   : "live");
}

// A list of figures.
// NOLINTNEXTLINE(readability-function-size)
std::string Server::Metrics() const {
  std::string out;
  auto add = [&](const char* name, const char* type, const char* help) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  };
  auto label = [](std::string text) {
    std::string escaped;
    for (char c : text) {
      if (c == '"' || c == '\\') escaped += '\\';
      escaped += c == '\n' ? ' ' : c;
    }
    return escaped;
  };
  auto engine = parts_.views.Info();
  auto ingest = parts_.ingest.Info();
  add("weir_ingest_rows_total", "counter", "Rows accepted.");
  out += fmt::format("weir_ingest_rows_total {}\n", ingest.rows);
  add("weir_ingest_rejected_rows_total", "counter", "Rows refused.");
  out += fmt::format("weir_ingest_rejected_rows_total {}\n", ingest.rejected);
  add("weir_ingest_duplicate_rows_total", "counter", "Rows dropped by a dedup_key.");
  out += fmt::format("weir_ingest_duplicate_rows_total {}\n", ingest.duplicates);
  add("weir_ingest_bytes_total", "counter", "Bytes of bodies, decompressed.");
  out += fmt::format("weir_ingest_bytes_total {}\n", ingest.bytes);
  add("weir_ingest_memory_bytes", "gauge", "Memory of bodies that are not answered yet.");
  out += fmt::format("weir_ingest_memory_bytes {}\n", ingest.memory);
  add("weir_dedup_bytes", "gauge", "Memory of the keys of all dedup windows.");
  out += fmt::format("weir_dedup_bytes {}\n", ingest.dedup_bytes);
  add("weir_dedup_shortened_total", "counter",
      "How often a dedup window was full, and forgot its oldest keys before their time.");
  out += fmt::format("weir_dedup_shortened_total {}\n", ingest.dedup_shortened);
  add("weir_dedup_recovering_streams", "gauge",
      "Streams that take no events until the keys of their dedup window are read back.");
  out += fmt::format("weir_dedup_recovering_streams {}\n", ingest.streams_recovering);
  add("weir_idempotency_keys", "gauge", "Idempotency keys that are known.");
  out += fmt::format("weir_idempotency_keys {}\n", ingest.idempotency_keys);
  add("weir_idempotency_bytes", "gauge", "Memory of those, with their answers.");
  out += fmt::format("weir_idempotency_bytes {}\n", ingest.idempotency_bytes);
  add("weir_idempotency_shortened_total", "counter",
      "Idempotency keys that were forgotten within a day, for want of room.");
  out += fmt::format("weir_idempotency_shortened_total {}\n", ingest.idempotency_shortened);
  add("weir_log_end_offset", "gauge", "The last durable offset.");
  out += fmt::format("weir_log_end_offset {}\n", parts_.log.End().value);
  add("weir_log_begin_offset", "gauge", "The first offset the log still holds.");
  out += fmt::format("weir_log_begin_offset {}\n", parts_.log.Begin().value);
  add("weir_lake_landed_offset", "gauge", "Everything up to here is in the lake.");
  out += fmt::format("weir_lake_landed_offset {}\n", parts_.lake.Landed().value);
  auto lake_health = parts_.lake.Health();
  add("weir_lake_backlog_bytes", "gauge", "Of the log that is not in the lake yet.");
  out += fmt::format("weir_lake_backlog_bytes {}\n", lake_health.backlog.bytes);
  add("weir_lake_backlog_rows", "gauge", "Rows that are not in the lake yet.");
  out += fmt::format("weir_lake_backlog_rows {}\n", lake_health.backlog.rows);
  add("weir_lake_urgent", "gauge", "1 while landing has the priority of everything else.");
  out += fmt::format("weir_lake_urgent {}\n", lake_health.backlog.urgent ? 1 : 0);
  add("weir_lake_failures_total", "counter", "Rounds of landing that failed, by the disk.");
  out += fmt::format("weir_lake_failures_total {}\n", lake_health.failures);
  add("weir_lake_failing", "gauge", "1 while the last round of landing failed.");
  out += fmt::format("weir_lake_failing {}\n", lake_health.failure.empty() ? 0 : 1);
  add("weir_lake_held_streams", "gauge", "Streams whose events cannot become Parquet.");
  out += fmt::format("weir_lake_held_streams {}\n", lake_health.held.size());
  add("weir_lake_damaged_files", "gauge", "Parquet files that are not what was written.");
  out += fmt::format("weir_lake_damaged_files {}\n", lake_health.damaged.size());
  add("weir_lake_mended_files_total", "counter", "Damaged files made again from the log.");
  out += fmt::format("weir_lake_mended_files_total {}\n", lake_health.mended);
  add("weir_lake_checked_bytes_total", "counter", "Bytes read again to find damage.");
  out += fmt::format("weir_lake_checked_bytes_total {}\n", lake_health.checked_bytes);
  add("weir_engine_offset", "gauge", "The position of all views.");
  out += fmt::format("weir_engine_offset {}\n", engine.offset.value);
  add("weir_engine_backlog_bytes", "gauge", "Committed blocks the engine has not taken yet.");
  out += fmt::format("weir_engine_backlog_bytes {}\n", engine.backlog_bytes);
  add("weir_engine_steps_total", "counter", "Steps of the circuit.");
  out += fmt::format("weir_engine_steps_total {}\n", engine.steps);
  add("weir_engine_rows_total", "counter", "Rows the engine took.");
  out += fmt::format("weir_engine_rows_total {}\n", engine.rows);
  add("weir_engine_last_step_seconds", "gauge", "Duration of the last step.");
  out += fmt::format("weir_engine_last_step_seconds {}\n",
                     static_cast<double>(engine.last_step_took) / 1e6);
  add("weir_engine_lag_seconds", "gauge",
      "Since the oldest event was committed that no view shows yet; 0: none.");
  out += fmt::format("weir_engine_lag_seconds {}\n", static_cast<double>(engine.lag) / 1e6);
  auto& checkpoint = engine.checkpoint;
  add("weir_checkpoint_written_total", "counter", "Checkpoints written since the start.");
  out += fmt::format("weir_checkpoint_written_total {}\n", checkpoint.written);
  add("weir_checkpoint_failed_total", "counter", "Checkpoints that could not be written.");
  out += fmt::format("weir_checkpoint_failed_total {}\n", checkpoint.failed);
  add("weir_checkpoint_age_seconds", "gauge",
      "Since the last one was written; -1: none by this process.");
  out += fmt::format("weir_checkpoint_age_seconds {}\n",
                     checkpoint.offset
                         ? static_cast<double>(parts_.clock.Now() - checkpoint.written_at) / 1e6
                         : -1.0);
  add("weir_checkpoint_bytes", "gauge", "Size of the last one.");
  out += fmt::format("weir_checkpoint_bytes {}\n", checkpoint.bytes);
  add("weir_checkpoint_seconds", "gauge", "How long it took, beside the steps.");
  out += fmt::format("weir_checkpoint_seconds {}\n", static_cast<double>(checkpoint.took) / 1e6);
  add("weir_checkpoint_longest_pause_seconds", "gauge",
      "The longest that a step waited for pieces of one, since the start.");
  out += fmt::format("weir_checkpoint_longest_pause_seconds {}\n",
                     static_cast<double>(checkpoint.longest_pause) / 1e6);
  add("weir_state_bytes", "gauge", "State of all views, what they share once.");
  out += fmt::format("weir_state_bytes {}\n", engine.state_bytes);
  add("weir_state_file_bytes", "gauge", "Of it, in the file for rows that do not fit in memory.");
  out += fmt::format("weir_state_file_bytes {}\n", engine.file_bytes);
  add("weir_memory_bytes", "gauge", "Memory of the process that is not of a file.");
  out += fmt::format("weir_memory_bytes {}\n", engine.memory_in_use);
  add("weir_memory_limit_bytes", "gauge", "The memory limit; 0: none.");
  out += fmt::format("weir_memory_limit_bytes {}\n", engine.memory_limit);
  add("weir_memory_full", "gauge", "1 while events and new views are refused for want of memory.");
  out += fmt::format("weir_memory_full {}\n", engine.memory_full ? 1 : 0);
  auto queries = parts_.queries.Info();
  add("weir_queries_total", "counter",
      "Runs of the query workers: one-off queries, views asked again, statements.");
  out += fmt::format("weir_queries_total {}\n", queries.queries);
  add("weir_queries_failed_total", "counter", "Of them, those that ended with an error.");
  out += fmt::format("weir_queries_failed_total {}\n", queries.failed);
  add("weir_queries_waiting", "gauge", "Runs that wait for a worker.");
  out += fmt::format("weir_queries_waiting {}\n", queries.waiting);
  add("weir_query_workers", "gauge", "Processes of query workers.");
  out += fmt::format("weir_query_workers {}\n", queries.workers);
  add("weir_http_connections", "gauge", "Open connections.");
  out += fmt::format("weir_http_connections {}\n", http_ ? http_->Connections() : 0);
  add("weir_live_readers", "gauge", "Clients of the live feed.");
  out += fmt::format("weir_live_readers {}\n", feed_->Readers());
  auto infos = parts_.views.ViewInfos();
  add("weir_view_rows", "gauge", "Rows of a view.");
  for (auto& info : infos) {
    out += fmt::format("weir_view_rows{{view=\"{}\"}} {}\n", label(info.name), info.rows);
  }
  add("weir_view_error_rows", "gauge", "Rows a view leaves out because an expression failed.");
  for (auto& info : infos) {
    out +=
        fmt::format("weir_view_error_rows{{view=\"{}\"}} {}\n", label(info.name), info.error_rows);
  }
  add("weir_view_state_bytes", "gauge", "Memory of a view's content and operators.");
  for (auto& info : infos) {
    out += fmt::format("weir_view_state_bytes{{view=\"{}\"}} {}\n", label(info.name),
                       info.state_bytes);
  }
  add("weir_view_shared_state_bytes", "gauge",
      "Of it, of operators that other views need as well.");
  for (auto& info : infos) {
    out += fmt::format("weir_view_shared_state_bytes{{view=\"{}\"}} {}\n", label(info.name),
                       info.shared_bytes);
  }
  auto operators = parts_.views.OperatorInfos();
  auto add_operators = [&](const char* name, const char* type, const char* help, auto value) {
    add(name, type, help);
    for (auto& info : operators) {
      std::string views;
      for (auto& view : info.views) views += (views.empty() ? "" : ",") + view;
      out += fmt::format("{}{{id=\"{}\",operator=\"{}\",views=\"{}\"}} {}\n", name, info.id,
                         label(info.name), label(views), value(info));
    }
  };
  add_operators("weir_operator_state_bytes", "gauge", "State of an operator.",
                [](auto& info) { return info.state_bytes; });
  add_operators("weir_operator_rows_in_total", "counter", "Rows that came to an operator.",
                [](auto& info) { return info.rows_in; });
  add_operators("weir_operator_seconds_total", "counter", "Time in an operator.",
                [](auto& info) { return static_cast<double>(info.nanos) / 1e9; });
  add("weir_view_changes_total", "counter", "Rows that came or went.");
  for (auto& info : infos) {
    out +=
        fmt::format("weir_view_changes_total{{view=\"{}\"}} {}\n", label(info.name), info.changes);
  }
  add("weir_view_parked", "gauge", "1 for a view that stands still after an error.");
  for (auto& info : infos) {
    out += fmt::format("weir_view_parked{{view=\"{}\"}} {}\n", label(info.name),
                       info.status == ViewStatus::kParked ? 1 : 0);
  }
  auto pumps = parts_.views.PumpInfos();
  auto state = parts_.catalog.Current();
  auto each_pump = [&](const char* metric, auto value) {
    for (auto& [key, pump] : state->pumps) {
      for (auto& info : pumps) {
        if (info.id != pump->id) continue;
        out += fmt::format("{}{{pump=\"{}\"}} {}\n", metric, label(pump->name), value(info));
      }
    }
  };
  add("weir_pump_rows_total", "counter", "Rows a pump has put into its stream.");
  each_pump("weir_pump_rows_total", [](auto& info) { return info.rows; });
  add("weir_pump_waiting_bytes", "gauge", "Rows of a pump on their way into the log.");
  each_pump("weir_pump_waiting_bytes", [](auto& info) { return info.waiting_bytes; });
  add("weir_pump_parked", "gauge", "1 for a pump that stands still after an error.");
  each_pump("weir_pump_parked",
            [](auto& info) { return info.status == ViewStatus::kParked ? 1 : 0; });
  add("weir_lake_bytes", "gauge", "Parquet bytes of a stream.");
  auto catalog = parts_.catalog.Current();
  for (auto& lake : parts_.lake.Info()) {
    auto stream = catalog->FindStream(lake.stream);
    if (!stream) continue;
    out += fmt::format("weir_lake_bytes{{stream=\"{}\"}} {}\n", label(stream->name), lake.bytes);
  }
  add("weir_http_requests_total", "counter", "Requests by route and status.");
  std::lock_guard lock(mutex_);
  for (auto& [key, count] : requests_) {
    out += fmt::format("weir_http_requests_total{{route=\"{}\",status=\"{}\"}} {}\n",
                       label(key.first), key.second, count);
  }
  return out;
}

}  // namespace weir
