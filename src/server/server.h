// All protocols of Weir over one HTTP port: the API under /v1, health and metrics, the live feed,
// and the web app.  Owned by main, which hands in everything it serves.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "catalog/catalog.h"
#include "ingest/ingest.h"
#include "io/clock.h"
#include "io/http_server.h"
#include "io/thread_pool.h"
#include "lake/lake.h"
#include "log/log.h"
#include "query/query.h"
#include "query/references.h"
#include "query/statements.h"
#include "query/verify.h"
#include "server/live/feed.h"
#include "server/router.h"
#include "server/web_assets.h"
#include "views/views.h"

namespace weir {

// Where the dashboard's layout is kept; implemented by main over io/.
class LayoutStore {
 public:
  virtual ~LayoutStore() = default;
  virtual std::string Load() = 0;
  virtual void Save(const std::string& json) = 0;
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 7070;
  size_t threads = 2;
  HttpLimits limits;
  size_t decompressed_bytes_max = 256 << 20;
};

class Server : public CommitListener {
 public:
  struct Parts {
    Catalog& catalog;
    Log& log;
    Ingest& ingest;
    Views& views;
    Lake& lake;
    QueryService& query;
    Statements& statements;
    References& references;
    Verify& verify;
    Clock& clock;
    LayoutStore& layout;
    const WebAssets& web;
  };
  Server(Parts parts, ServerOptions options);
  ~Server() override;

  // Before Views starts and the log takes anything: the feed listens to steps, the figures to rows.
  void Connect();
  void OnCommit(const CommittedRecords& group) override;
  // Binds and starts; after it port() is known.
  void Start();
  void Stop();
  uint16_t port() const { return http_->port(); }
  const std::string& host() const { return options_.host; }
  const Router& router() const { return router_; }
  // For handlers that block (verify, statements): runs on a thread of its own.
  void RunAside(ExchangePtr exchange, std::function<HttpResponse()> work);

  const Parts& parts() const { return parts_; }
  const ServerOptions& options() const { return options_; }
  Feed& feed() { return *feed_; }
  // Reads views, and makes the answers, for those who waited for the engine.
  Executor& answers() { return answers_; }
  // Tells producers what the log has taken: short work, beside the above.
  Executor& receipts() { return receipts_; }

  // Counters for /metrics and rates for the catalog.
  void CountRequest(const std::string& pattern, int status);
  std::string Metrics() const;
  std::string StatusJson() const;
  double EventsPerSecond(StreamId stream) const;
  double EventsPerSecond() const;
  double ChangesPerSecond(const std::string& view) const;
  uint64_t Rows(StreamId stream) const;  // of all time

 private:
  void Handle(ExchangePtr exchange);
  void Measure();
  void CountRowsBefore();

  Parts parts_;
  ServerOptions options_;
  Router router_;
  std::unique_ptr<Feed> feed_;
  std::unique_ptr<HttpServer> http_;
  ThreadPool answers_{2}, receipts_{1};

  struct Meter {
    uint64_t total = 0, last = 0;
    double rate = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> requests_;
  std::map<uint32_t, Meter> stream_rows_;
  std::map<uint32_t, uint64_t> rows_before_;  // by stream, when the process started
  std::map<std::string, Meter> view_changes_;
  Meter all_rows_;
  std::condition_variable stop_;
  bool stopping_ = false;
  Micros measured_ = 0;
  std::thread meter_;
  std::atomic<int> aside_{0};
};

// Each adds the routes of one part of the API.
void AddIngestRoutes(Router& router, Server& server);
void AddViewRoutes(Router& router, Server& server);
void AddSqlRoutes(Router& router, Server& server);
void AddCatalogRoutes(Router& router, Server& server);
// Serves the web app; anything that is no file of it gets its first page.
void ServePage(const WebAssets& web, HttpExchange& exchange);

}  // namespace weir
