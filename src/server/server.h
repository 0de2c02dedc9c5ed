// All protocols of Weir over one HTTP port: the API under /v1, health and metrics, the live feed,
// and the web app.  Owned by main, which hands in everything it serves.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "catalog/catalog.h"
#include "ingest/ingest.h"
#include "io/clock.h"
#include "io/disk/spool.h"
#include "io/net/http_server.h"
#include "lake/lake.h"
#include "log/log.h"
#include "server/live/feed.h"
#include "server/live/followed.h"
#include "server/origin.h"
#include "server/router.h"
#include "server/web_assets.h"
#include "session/sql_frontend.h"
#include "statements/references.h"
#include "verify/verify.h"
#include "views/views.h"

namespace weir {

// Where the dashboard's layout is kept; implemented by main over io/.
class LayoutStore {
 public:
  virtual ~LayoutStore() = default;
  virtual std::string Load() = 0;
  virtual void Save(const std::string& json) = 0;
  // The same if what is there is as it should be: `is_expected` says so; otherwise false.
  virtual bool SaveOver(const std::function<bool(const std::string& there)>& is_expected,
                        const std::string& json) = 0;
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 7070;
  size_t threads = 2;
  HttpLimits limits;
  std::vector<std::string> hosts;  // names of ours besides those of origin.h
  size_t decompressed_bytes_max = 256 << 20;
  std::string spool_directory = "/tmp";  // native; for answers that clients have yet to take
  uint64_t spool_bytes_max = uint64_t{4} << 30;  // of all of them
};

class Server : public CommitListener {
 public:
  struct Parts {
    Catalog& catalog;
    Log& log;
    Ingest& ingest;
    Views& views;
    Lake& lake;
    SqlFrontend& sql;
    const QueryService& queries;  // its figures
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
  // Takes the address, without answering anybody; after it port() is known.
  void Bind();
  void Start();
  // No connection and no request more; waits, for a bounded time, for statements that run.
  void StopTaking();
  // False when statements still run after a bounded time: they use this and everything below, which
  // may then not be destroyed.
  bool Stop();
  uint16_t port() const { return http_->port(); }
  const std::string& host() const { return options_.host; }
  const Router& router() const { return router_; }
  // For handlers that block (verify, statements): runs on a thread of its own.
  void RunAside(ExchangePtr exchange, std::function<HttpResponse()> work);
  // The same for one that answers by itself, now or later.
  void HandleAside(ExchangePtr exchange, std::function<void()> work);

  const Parts& parts() const { return parts_; }
  const ServerOptions& options() const { return options_; }
  Feed& feed() { return *feed_; }
  SpoolRoom& spool() { return spool_; }
  Followed& followed() { return followed_; }

  // Counters for /metrics and rates for the catalog.
  void CountRequest(const std::string& pattern, int status);
  std::string Metrics() const;
  std::string StatusJson() const;
  double EventsPerSecond(StreamId stream) const;
  double EventsPerSecond() const;
  double ChangesPerSecond(const std::string& view) const;
  uint64_t Rows(StreamId stream) const;  // of all time

 private:
  static constexpr std::chrono::seconds kCallsWait{3};
  void Handle(ExchangePtr exchange);
  void Measure();
  void CountRowsBefore();

  Parts parts_;
  ServerOptions options_;
  Router router_;
  const OriginRules origins_;
  SpoolRoom spool_;
  Followed followed_;
  std::unique_ptr<Feed> feed_;
  std::unique_ptr<HttpServer> http_;

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
};

// Each adds the routes of one part of the API.
void AddIngestRoutes(Router& router, Server& server);
void AddViewRoutes(Router& router, Server& server);
void AddSqlRoutes(Router& router, Server& server);
void AddCatalogRoutes(Router& router, Server& server);
// Serves the web app; anything that is no file of it gets its first page.
void ServePage(const WebAssets& web, HttpExchange& exchange);

}  // namespace weir
