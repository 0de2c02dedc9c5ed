// One-off SQL through worker processes, and the batch runs of views that nothing else can keep.
//
// A few runner threads each own at most one worker process: started when a query comes, kept warm
// for the next one, ended when it idles, crashes or overruns.  Each lane (job.h) has its runners;
// of questions, those of clients that have fewest running, and then those whose last turn is the
// longest ago, come first.  A query reads at one log
// position:
// lake files and log segments are pinned for it, kept answers are read at one step.
// Thread-safe.  Owned by main; built before Views (which needs the batch engine), connected after.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "catalog/catalog.h"
#include "io/clock.h"
#include "lake/lake.h"
#include "log/log.h"
#include "query/job.h"
#include "query/messages.h"
#include "query/query.h"
#include "views/views.h"

namespace weir {

struct QueryOptions {
  std::string program;  // default: this program itself
  std::vector<std::string> arguments = {"query-worker"};
  std::vector<std::string> readable;          // native folders of the lake and the log
  size_t workers = 2;                         // questions at once
  size_t write_workers = 1;                   // statements that read before they write, at once
  size_t value_workers = 1;                   // of those that insert given values
  size_t view_workers = 1;                    // views that are computed anew, at once
  size_t waiting_max = 64;                    // questions that may wait for a worker
  double client_share = 0.75;                 // of these, those of one client
  uint32_t threads = 2;                       // of one query
  uint64_t memory_bytes = uint64_t{1} << 30;  // of one query
  Micros timeout = 60'000'000;
  Micros timeout_max = 600'000'000;
  uint64_t rows_max = 1'000'000;
  uint64_t bytes_max = uint64_t{1} << 30;  // of one answer
  Micros idle = 5'000'000;                 // a worker without work ends after this
};

class QueryRunner;

class Queries : public QueryService, public BatchEngine {
 public:
  Queries(Catalog& catalog, Log& log, Lake& lake, Clock& clock, QueryOptions options);
  ~Queries() override;

  // Before the first query that reads a view.  `views` outlives this object's last query: call
  // Stop before it goes.
  void Connect(Views& views);
  // Cancels everything; later requests fail with kUnavailable.  Idempotent.
  void Stop();

  std::shared_ptr<void> Run(QueryRequest request, std::shared_ptr<QuerySink> sink) override;
  void Run(BatchRequest request, std::function<void(BatchResult)> done) override;
  QueryCounts Info() const override;

 private:
  friend class QueryRunner;

  void Enqueue(std::shared_ptr<QueryJob> job, bool bounded);
  // Waits for the next job; null after `idle` without one, or at the end.
  std::shared_ptr<QueryJob> Take(Micros idle);
  void Finished(const QueryJob& job);
  // Under mutex_.
  size_t LimitOf(QueryLane lane) const;
  size_t Startable() const;
  std::deque<std::shared_ptr<QueryJob>>::iterator Next();
  bool stopping() const;

  Catalog& catalog_;
  Log& log_;
  Lake& lake_;
  Clock& clock_;
  const QueryOptions options_;
  std::atomic<Views*> views_{nullptr};

  mutable std::mutex mutex_;
  std::condition_variable wake_;       // runners without a worker wait here ...
  std::condition_variable wake_warm_;  // ... and here those that have one
  size_t warm_idle_ = 0;               // how many of the latter wait
  std::deque<std::shared_ptr<QueryJob>> waiting_;
  size_t running_[kQueryLanes] = {};
  struct Client {
    size_t running = 0;
    uint64_t last_turn = 0;
  };
  std::map<std::string, Client> clients_;  // those that have had a turn lately
  uint64_t turns_ = 0;
  bool stopping_ = false;
  std::atomic<uint64_t> queries_{0}, failed_{0}, workers_started_{0}, workers_lost_{0};
  std::atomic<size_t> workers_{0};
  std::vector<std::unique_ptr<QueryRunner>> runners_;
};

}  // namespace weir
