// One query on its way through the pool, and the handle by which it is cancelled.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "io/process/child_process.h"
#include "query/messages.h"

namespace weir {

// Whose turns a query takes.  Each lane has its own runners, so that questions, what statements
// read to know what they write, and views that are computed anew do not wait for one another.
enum class QueryLane { kQuestion, kValues, kWrite, kView };
inline constexpr size_t kQueryLanes = 4;

struct QueryJob {
  QueryMessage message;  // without the catalog, which is taken when it runs
  QueryLane lane = QueryLane::kQuestion;
  std::string client;           // of a question: clients take turns
  std::function<bool()> start;  // asked when its turn comes: false drops it
  std::optional<Offset> at;
  std::optional<Micros> as_of;
  std::optional<Micros> log_time;  // default: as_of
  Micros timeout = 0;
  Micros started = 0, took = 0;  // monotonic; without the time it waited for its turn
  std::function<void(std::string)> body;
  std::function<void()> more = [] {};  // before done: there were more rows than the limit
  // Before done: a view it read answered as it was defined before.
  std::function<void(const std::string& view, const Replacement& by)> replaced =
      [](const std::string&, const Replacement&) {};
  std::function<void(std::optional<Error>)> done;  // called exactly once

  // Ends the query wherever it is; it is done with an error.
  void Cancel() {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (worker_) worker_->Kill();
  }
  bool cancelled() const { return cancelled_; }

  // The worker that a cancellation must stop, while it runs.  False when it is cancelled already.
  bool Attach(ChildProcess* worker) {
    std::lock_guard lock(mutex_);
    worker_ = worker;
    return !cancelled_;
  }

 private:
  std::mutex mutex_;
  ChildProcess* worker_ = nullptr;
  std::atomic<bool> cancelled_{false};
};

}  // namespace weir
