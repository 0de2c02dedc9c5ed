// The door for SQL: a text comes in, by whatever protocol, and its answer goes to a sink.
//
// One text is one of three things, which are told apart here and nowhere else:
//   a statement   changes or shows the catalog, or writes rows      -> statements, on a thread that
//                                                                      may block
//   a plain read  of one view (session/plain_read.h)                -> the view's content
//   a query       anything else                                     -> a query worker
// Protocols translate requests and answers, and decide nothing.
//
// Thread-safe.  Owned by main, which stops it before what it stands on.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/caller.h"
#include "base/ids.h"
#include "catalog/catalog.h"
#include "io/clock.h"
#include "io/process/thread_pool.h"
#include "log/log.h"
#include "query/query.h"
#include "session/blocking_calls.h"
#include "session/plain_read.h"
#include "statements/statements.h"
#include "views/views.h"

namespace weir {

struct SqlRequest {
  Caller caller;
  std::string text;         // one statement
  std::string params_json;  // a JSON array of values for $1, $2, ..., or ""
  ResultFormat format = ResultFormat::kJson;
  bool exact = false;              // numbers a double cannot hold as strings
  Micros timeout = 0;              // of a query; 0: the default
  uint64_t rows_max = 0;           // more rows are an error; 0: the default
  uint64_t limit = 0;              // further rows are left out, and the sink is told; 0: none
  std::optional<Offset> wait_for;  // a read begins once the views stand there ...
  Micros wait_max = 10'000'000;    // ... or fails with kTimeout after so long
};

// Receives an answer, on some thread, one call at a time.  The last call is Ran, Kept or Done; an
// error is always told by Done.
class SqlSink : public QuerySink {
 public:
  // A statement has run.
  virtual void Ran(ResultTable table) = 0;
  // The rows of one view as they are kept.  Of more than the request's `limit` there is one more.
  virtual void Kept(Snapshot snapshot) = 0;
};

class SqlFrontend {
 public:
  struct Parts {
    Catalog& catalog;
    Log& log;
    Views& views;
    QueryService& queries;
    Statements& statements;
    Clock& clock;
  };
  explicit SqlFrontend(Parts parts) : parts_(parts) {}
  ~SqlFrontend() { Stop(); }

  // Returns at once.  A query is cancelled when nobody holds what is returned before the last call
  // to the sink; a statement goes on.
  std::shared_ptr<void> Execute(SqlRequest request, std::shared_ptr<SqlSink> sink);

  // Throws kTooLarge for more than a statement and its parameters may have; for protocols, before
  // they take a body apart.
  static void CheckSize(size_t bytes);

  // For what protocols have to do that blocks, or that waited for the engine.
  BlockingCalls& calls() { return calls_; }
  Executor& answers() { return answers_; }

  // Does what answers() has been given, and begins nothing more.  REQUIRES: no call of calls()
  // runs.
  void Stop();

 private:
  class Call;
  using CallPtr = std::shared_ptr<Call>;

  void Run(const CallPtr& call);
  void RunStatement(const CallPtr& call, Statement statement);
  void RunQuery(const CallPtr& call);
  void ReadPlain(const CallPtr& call, const PlainRead& read);
  void WhenReached(const CallPtr& call, const std::string& view, std::function<void()> then);

  const Parts parts_;
  BlockingCalls calls_;
  ThreadPool answers_{2};
};

}  // namespace weir
