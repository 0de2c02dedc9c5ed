#include "session/sql_frontend.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "duck/errors.h"
#include "sql/kernel_sql.h"
#include "sql/statement.h"

namespace weir {
namespace {

constexpr size_t kParsedAtOnceMax = 32 << 10;  // within some milliseconds
constexpr Micros kReadWait = 10'000'000;

bool IsText(ResultFormat format) {
  return format == ResultFormat::kJson || format == ResultFormat::kCsv ||
         format == ResultFormat::kNdjson;
}

Statement OneStatement(const std::string& text) {
  auto statements = ParseStatements(text);
  if (statements.empty()) throw Error(ErrorCode::kInvalidSql, "there is no statement");
  if (statements.size() > 1) {
    throw Error(ErrorCode::kInvalidSql, "one statement at a time",
                "Send each in a request of its own; `weir sql` does that with a script.");
  }
  return std::move(statements[0]);
}

// Formats of bytes, parameters and a limit of rows of its own are the query workers'.
bool MayBePlain(const SqlRequest& request) {
  return IsText(request.format) && request.params_json.empty() && request.rows_max == 0;
}

}  // namespace

// What is asked and whom to tell.  The query that may run for it is held here.
class SqlFrontend::Call {
 public:
  Call(SqlRequest asked, std::shared_ptr<SqlSink> told)
      : request(std::move(asked)), sink(std::move(told)) {}

  // Does `work`; what it throws is the answer.
  template <typename Work>
  void Guard(Work work) {
    try {
      work();
    } catch (...) {
      sink->Done(CurrentError());
    }
  }

  // Dropped at once when the call has been cancelled meanwhile.
  void Hold(std::shared_ptr<void> query) {
    std::lock_guard lock(mutex_);
    if (!cancelled_) query_.swap(query);
  }
  void Cancel() {
    std::shared_ptr<void> query;
    std::lock_guard lock(mutex_);
    cancelled_ = true;
    query_.swap(query);
  }

  const SqlRequest request;
  const std::shared_ptr<SqlSink> sink;

 private:
  std::mutex mutex_;
  bool cancelled_ = false;
  std::shared_ptr<void> query_;
};

void SqlFrontend::CheckSize(size_t bytes) {
  constexpr size_t kBytesMax = 4 << 20;  // to parse a text takes many times its size
  if (bytes <= kBytesMax) return;
  throw Error(ErrorCode::kTooLarge, "a statement has at most 4 MiB",
              "Send many rows to /v1/streams/NAME/events or /v1/tables/NAME/rows.");
}

std::shared_ptr<void> SqlFrontend::Execute(SqlRequest request, std::shared_ptr<SqlSink> sink) {
  auto call = std::make_shared<Call>(std::move(request), std::move(sink));
  call->Guard([&] {
    CheckSize(call->request.text.size() + call->request.params_json.size());
    if (call->request.text.size() <= kParsedAtOnceMax) return Run(call);
    calls_.Start(call->request.caller, [this, call] { call->Guard([&] { Run(call); }); });
  });
  struct Handle {
    explicit Handle(CallPtr held) : call(std::move(held)) {}
    ~Handle() { call->Cancel(); }
    Handle(const Handle&) = delete;
    CallPtr call;
  };
  return std::make_shared<Handle>(std::move(call));
}

void SqlFrontend::Run(const CallPtr& call) {
  Statement statement = OneStatement(call->request.text);
  if (!std::holds_alternative<Query>(statement.body)) {
    return RunStatement(call, std::move(statement));
  }
  auto read = MayBePlain(call->request) ? AsPlainRead(call->request.text, *parts_.catalog.Current())
                                        : std::nullopt;
  if (!read || !IsServedFromContent(parts_.views, *read)) {
    return WhenReached(call, "", [this, call] { RunQuery(call); });
  }
  if (call->request.limit) {  // one row more tells whether there are more
    read->options.limit =
        std::min(read->options.limit.value_or(UINT64_MAX), call->request.limit + 1);
  }
  WhenReached(call, read->view, [this, call, read = *read] {
    // What was acknowledged before is in the answer, as for every query.
    parts_.views.WaitFor(parts_.log.End(), parts_.clock.Monotonic() + kReadWait, answers_,
                         [this, call, read](bool) { call->Guard([&] { ReadPlain(call, read); }); });
  });
}

void SqlFrontend::RunStatement(const CallPtr& call, Statement statement) {
  if (!IsText(call->request.format)) {
    throw Error(ErrorCode::kInvalidRequest, "a statement is answered as json, ndjson or csv",
                "Arrow and Parquet are for queries.");
  }
  calls_.Start(call->request.caller, [this, call, statement = std::move(statement)] {
    call->Guard(
        [&] { call->sink->Ran(parts_.statements.Run(statement, call->request.params_json)); });
  });
}

void SqlFrontend::RunQuery(const CallPtr& call) {
  auto& request = call->request;
  QueryRequest query;
  query.caller = request.caller;
  query.sql = ToKernelSql(request.text);
  query.params_json = request.params_json;
  query.format = request.format;
  query.exact = request.exact;
  query.timeout = request.timeout;
  query.rows_max = request.rows_max;
  query.limit = request.limit;
  call->Hold(parts_.queries.Run(std::move(query), call->sink));
}

void SqlFrontend::ReadPlain(const CallPtr& call, const PlainRead& read) {
  std::vector<Snapshot> snapshots;
  try {
    snapshots = parts_.views.Read({read.view}, read.options);
  } catch (const Error& error) {
    if (error.code != ErrorCode::kInvalidRequest) throw;
    return RunQuery(call);  // not so plain after all
  }
  call->sink->Kept(std::move(snapshots[0]));
}

void SqlFrontend::WhenReached(const CallPtr& call, const std::string& view,
                              std::function<void()> then) {
  if (!call->request.wait_for) return then();
  Offset offset = *call->request.wait_for;
  parts_.views.WaitForView(view, offset, parts_.clock.Monotonic() + call->request.wait_max,
                           answers_, [call, offset, then = std::move(then)](bool reached) {
                             call->Guard([&] {
                               if (reached) return then();
                               throw Error(ErrorCode::kTimeout,
                                           "the views have not reached offset " +
                                               std::to_string(offset.value) + " in time");
                             });
                           });
}

void SqlFrontend::Stop() {
  calls_.Stop();
  answers_.Stop();
}

}  // namespace weir
