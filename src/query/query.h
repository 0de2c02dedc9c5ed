// One-off SQL, in worker processes (`weir query-worker`): limited in memory, time and rights, never
// in the process that holds the log.  Thread-safe.  Owned by main.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/caller.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/kernel_sql.h"
#include "views/views.h"

namespace weir {

enum class ResultFormat { kJson, kNdjson, kCsv, kArrow, kParquet };

struct QueryRequest {
  KernelSql sql;
  std::string params_json;  // a JSON array of values for $1, $2, ..., or ""
  ResultFormat format = ResultFormat::kJson;
  bool exact = false;           // numbers a double cannot hold as strings
  std::optional<Offset> at;     // default: the last acknowledged event
  std::optional<Micros> as_of;  // what now() says; default: the engine's clock
  Micros timeout = 0;           // 0: the default
  uint64_t rows_max = 0;        // more rows are an error; 0: the default
  uint64_t limit = 0;           // further rows are left out, and More is called; 0: none
  Caller caller;                // callers take turns
};

// Receives an answer piece by piece, on some thread, one call at a time.  Done is the last call.
class QuerySink {
 public:
  virtual ~QuerySink() = default;
  virtual void Write(std::string bytes) = 0;  // body in the format asked for
  virtual void More() {}                      // before Done: there were more rows than `limit`
  // Before Done: the view answered as it was defined before; what replaces it is being filled.
  virtual void Replaced(const std::string& view, const Replacement& by) {}
  virtual void Done(const std::optional<Error>& error) = 0;
};

// Questions, and the runs of views and statements that the workers do as well.
struct QueryCounts {
  uint64_t queries = 0, failed = 0, workers_started = 0, workers_lost = 0;
  size_t workers = 0, waiting = 0;
};

class QueryService {
 public:
  virtual ~QueryService() = default;
  // Returns at once.  Throws kTooManyRequests when too many wait.  The returned handle cancels
  // the query when it is destroyed before Done.
  virtual std::shared_ptr<void> Run(QueryRequest request, std::shared_ptr<QuerySink> sink) = 0;
  virtual QueryCounts Info() const = 0;
};

}  // namespace weir
