// Queries planned in worker processes before the server plans them (views/plan_trial.h).
//
// A query that is plainly cheap to plan (sql/plain_query.h) is not tried.
//
// A few threads each own at most one worker.  The first one's stands by once the server is ready
// (StandBy), so that a query is planned without waiting for a process; the others' are started when
// several queries come, and end when they idle.  One that dies or overruns is replaced.
// Thread-safe.  Owned by main.
#pragma once

#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "io/process/child_process.h"
#include "query/messages.h"
#include "views/plan_trial.h"

namespace weir {

struct TrialOptions {
  std::string program;  // default: this program itself
  std::vector<std::string> arguments = {"query-worker"};
  size_t workers = 2;
  size_t waiting_max = 16;
  uint64_t memory_bytes = 256 << 20;  // of planning one query
  Micros timeout = 15'000'000;        // with starting the worker, on a busy machine
  Micros idle = 5'000'000;            // a worker but the first without work ends after this
};

class Trials : public PlanTrial {
 public:
  explicit Trials(TrialOptions options);
  ~Trials() override;
  // From now on a worker waits for the next query.
  void StandBy();
  // Later trials fail with kUnavailable.  Idempotent.
  void Stop();

  void Try(const CatalogState& state, const KernelSql& query) override;
  void Try(const CatalogState& state, const Pump& pump) override;

 private:
  struct Job {
    TryMessage message;
    std::promise<std::optional<Error>> done;
  };
  // One thread's.
  struct Worker {
    std::unique_ptr<ChildProcess> process;
    size_t catalog = 0;  // hash of the one it has
  };

  void Ask(TryMessage message, const CatalogState& state);
  void Loop(size_t thread);
  bool HasWorkFor(size_t thread) const;  // REQUIRES: mutex_ held
  void StartWorker(Worker& worker, Micros deadline) const;
  void StartAhead(Worker& worker) const;
  std::optional<Error> Run(Worker& worker, Job& job);
  std::optional<DoneMessage> Ask(Worker& worker, TryMessage& message, Micros deadline);

  const TrialOptions options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> waiting_;
  std::vector<bool> idle_;              // threads that take the next job
  std::vector<ChildProcess*> running_;  // to be killed when it stops
  bool stands_by_ = false, stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace weir
