#include "query/service.h"

#include <algorithm>
#include <numeric>

#include "formats/block.h"
#include "io/child_process.h"
#include "query/job.h"
#include "query/runner.h"
#include "query/view_rows.h"

namespace weir {
namespace {

// Cancels the query when nobody holds it any more.
struct CancelHandle {
  explicit CancelHandle(std::shared_ptr<QueryJob> job) : job(std::move(job)) {}
  ~CancelHandle() { job->Cancel(); }
  std::shared_ptr<QueryJob> job;
};

AnswerFormat FormatOf(ResultFormat format) {
  switch (format) {
    case ResultFormat::kJson: return AnswerFormat::kJson;
    case ResultFormat::kNdjson: return AnswerFormat::kNdjson;
    case ResultFormat::kCsv: return AnswerFormat::kCsv;
    case ResultFormat::kArrow: return AnswerFormat::kArrow;
    case ResultFormat::kParquet: return AnswerFormat::kParquet;
  }
  return AnswerFormat::kJson;
}

// Puts a kBlocks answer together again.
void AddBlock(BatchResult& result, std::string_view bytes) {
  BlockMessage message;
  Read(bytes, message);
  std::vector<duckdb::LogicalType> types;
  for (auto& type : message.types) types.push_back(LoadType(type));
  if (result.columns.empty()) {
    for (size_t i = 0; i < types.size(); i++) {
      result.columns.push_back({message.names[i], types[i]});
    }
  }
  if (message.rows == 0) return;
  std::vector<size_t> all(types.size());
  std::iota(all.begin(), all.end(), size_t{0});
  Columns rows = DecodeBlock(message.block, types, all);
  for (auto& chunk : rows.chunks) result.rows.chunks.push_back(std::move(chunk));
  result.rows.rows += rows.rows;
}

}  // namespace

Queries::Queries(Catalog& catalog, Log& log, Lake& lake, Clock& clock, QueryOptions options)
    : catalog_(catalog), log_(log), lake_(lake), clock_(clock), options_([&] {
        if (options.program.empty()) options.program = OwnProgram();
        return std::move(options);
      }()) {
  for (size_t i = 0; i < options_.workers; i++) {
    runners_.push_back(std::make_unique<QueryRunner>(*this));
  }
}

Queries::~Queries() { Stop(); }

void Queries::Connect(Views& views) { views_ = &views; }

void Queries::Stop() {
  std::deque<std::shared_ptr<QueryJob>> dropped;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(waiting_);
  }
  wake_.notify_all();
  wake_warm_.notify_all();
  for (auto& job : dropped) job->done(Error(ErrorCode::kUnavailable, "Weir is stopping"));
  for (auto& runner : runners_) runner->CancelCurrent();
  runners_.clear();
}

bool Queries::stopping() const {
  std::lock_guard lock(mutex_);
  return stopping_;
}

void Queries::Enqueue(std::shared_ptr<QueryJob> job, bool bounded) {
  std::lock_guard lock(mutex_);
  if (stopping_) throw Error(ErrorCode::kUnavailable, "Weir is stopping");
  if (bounded && waiting_.size() >= options_.waiting_max) {
    throw Error(ErrorCode::kTooManyRequests,
                std::to_string(waiting_.size()) + " queries are waiting already",
                "Try again in a moment; answers asked for often are better kept as views.");
  }
  waiting_.push_back(std::move(job));
  // A runner with a warm worker first: it saves starting another.
  (waiting_.size() <= warm_idle_ ? wake_warm_ : wake_).notify_one();
}

std::shared_ptr<QueryJob> Queries::Take(Micros idle) {
  std::unique_lock lock(mutex_);
  auto ready = [&] { return stopping_ || !waiting_.empty(); };
  if (idle == 0) {
    wake_.wait(lock, ready);
  } else {
    warm_idle_++;
    bool woken = wake_warm_.wait_for(lock, std::chrono::microseconds(idle), ready);
    warm_idle_--;
    if (!woken) return nullptr;
  }
  if (stopping_) return nullptr;
  auto job = std::move(waiting_.front());
  waiting_.pop_front();
  return job;
}

std::shared_ptr<void> Queries::Run(QueryRequest request, std::shared_ptr<QuerySink> sink) {
  auto job = std::make_shared<QueryJob>();
  job->message.sql = std::move(request.sql);
  job->message.params_json = std::move(request.params_json);
  job->message.format = FormatOf(request.format);
  job->message.exact = request.exact;
  // Kept answers stand at the engine's position only; elsewhere they are computed.
  job->message.expand_views = request.at.has_value() || request.as_of.has_value();
  job->message.rows_max = request.rows_max == 0 ? options_.rows_max : request.rows_max;
  job->message.bytes_max = options_.bytes_max;
  job->at = request.at;
  job->as_of = request.as_of;
  job->timeout =
      request.timeout <= 0 ? options_.timeout : std::min(request.timeout, options_.timeout_max);
  job->message.timeout = job->timeout;
  job->body = [sink](std::string bytes) { sink->Write(std::move(bytes)); };
  job->done = [sink](std::optional<Error> error) { sink->Done(error); };
  auto handle = std::make_shared<CancelHandle>(job);
  Enqueue(std::move(job), true);
  return handle;
}

void Queries::Run(BatchRequest request, std::function<void(BatchResult)> done) {
  auto job = std::make_shared<QueryJob>();
  auto result = std::make_shared<BatchResult>();
  job->message.sql = std::move(request.sql);
  job->message.params_json = std::move(request.params_json);
  job->message.files = std::move(request.files);
  job->message.format = AnswerFormat::kBlocks;
  job->message.expand_views = true;
  job->message.rows_max = UINT64_MAX;
  job->message.bytes_max = request.bytes_max;
  job->at = request.at;
  job->as_of = request.as_of;
  job->log_time = request.log_time;
  job->timeout = options_.timeout_max;
  job->message.timeout = job->timeout;
  job->body = [result](std::string bytes) { AddBlock(*result, bytes); };
  std::weak_ptr<QueryJob> weak = job;
  job->done = [weak, result, done = std::move(done)](std::optional<Error> error) {
    if (auto self = weak.lock()) result->took = self->took;
    if (error) result->error = std::make_exception_ptr(*error);
    done(std::move(*result));
  };
  if (request.cancellable) {
    request.cancellable([weak] {
      if (auto running = weak.lock()) running->Cancel();
    });
  }
  try {
    Enqueue(job, false);
  } catch (const Error& error) {
    job->done(error);
  }
}

Queries::Counts Queries::Info() const {
  Counts counts;
  counts.queries = queries_;
  counts.failed = failed_;
  counts.workers_started = workers_started_;
  counts.workers_lost = workers_lost_;
  counts.workers = workers_;
  std::lock_guard lock(mutex_);
  counts.waiting = waiting_.size();
  return counts;
}

}  // namespace weir
