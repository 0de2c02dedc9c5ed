#include "query/service.h"

#include <algorithm>
#include <numeric>

#include "formats/block.h"
#include "io/process/child_process.h"
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

QueryLane LaneOf(BatchRequest::Work work) {
  switch (work) {
    case BatchRequest::Work::kView: return QueryLane::kView;
    case BatchRequest::Work::kVerify: return QueryLane::kQuestion;
    case BatchRequest::Work::kValues: return QueryLane::kValues;
    case BatchRequest::Work::kWrite: return QueryLane::kWrite;
  }
  return QueryLane::kView;
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
  size_t runners = 0;
  for (size_t lane = 0; lane < kQueryLanes; lane++) runners += LimitOf(QueryLane(lane));
  for (size_t i = 0; i < runners; i++) {
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

size_t Queries::LimitOf(QueryLane lane) const {
  switch (lane) {
    case QueryLane::kQuestion: return options_.workers;
    case QueryLane::kValues: return options_.value_workers;
    case QueryLane::kWrite: return options_.write_workers;
    case QueryLane::kView: return options_.view_workers;
  }
  return 0;
}

size_t Queries::Startable() const {
  size_t waiting[kQueryLanes] = {}, all = 0;
  for (auto& job : waiting_) waiting[size_t(job->lane)]++;
  for (size_t lane = 0; lane < kQueryLanes; lane++) {
    all += std::min(waiting[lane], LimitOf(QueryLane(lane)) - running_[lane]);
  }
  return all;
}

// The first whose lane is free; questions in turns of their clients.
std::deque<std::shared_ptr<QueryJob>>::iterator Queries::Next() {
  auto next = waiting_.end();
  auto best = std::make_pair(SIZE_MAX, UINT64_MAX);
  for (auto job = waiting_.begin(); job != waiting_.end(); ++job) {
    auto lane = (*job)->lane;
    if (running_[size_t(lane)] >= LimitOf(lane)) continue;
    if (lane != QueryLane::kQuestion) return job;
    auto client = clients_.find((*job)->client);
    auto turn = client == clients_.end()
                    ? std::make_pair(size_t{0}, uint64_t{0})
                    : std::make_pair(client->second.running, client->second.last_turn);
    if (turn < best) {
      best = turn;
      next = job;
    }
  }
  return next;
}

void Queries::Enqueue(std::shared_ptr<QueryJob> job, bool bounded) {
  std::vector<std::shared_ptr<QueryJob>> cancelled;  // nobody waits for these any more
  {
    std::lock_guard lock(mutex_);
    if (stopping_) throw Error(ErrorCode::kUnavailable, "Weir is stopping");
    std::erase_if(waiting_, [&](auto& waiting) {
      if (waiting->cancelled()) cancelled.push_back(waiting);
      return waiting->cancelled();
    });
    auto questions =
        static_cast<size_t>(std::count_if(waiting_.begin(), waiting_.end(), [](auto& waiting) {
          return waiting->lane == QueryLane::kQuestion;
        }));
    auto own =
        static_cast<size_t>(std::count_if(waiting_.begin(), waiting_.end(), [&](auto& waiting) {
          return waiting->lane == QueryLane::kQuestion && waiting->client == job->client;
        }));
    auto share =
        static_cast<size_t>(static_cast<double>(options_.waiting_max) * options_.client_share);
    if (bounded && (questions >= options_.waiting_max || own >= share)) {
      throw Error(ErrorCode::kTooManyRequests,
                  std::to_string(questions >= options_.waiting_max ? questions : own) +
                      (questions >= options_.waiting_max ? " queries are waiting already"
                                                         : " queries of yours are waiting already"),
                  "Try again in a moment; answers asked for often are better kept as views.");
    }
    waiting_.push_back(std::move(job));
    // A runner with a warm worker first: it saves starting another.
    (Startable() <= warm_idle_ ? wake_warm_ : wake_).notify_one();
  }
  for (auto& dropped : cancelled) {
    dropped->done(Error(ErrorCode::kUnavailable, "the query was cancelled"));
  }
}

std::shared_ptr<QueryJob> Queries::Take(Micros idle) {
  std::unique_lock lock(mutex_);
  auto ready = [&] { return stopping_ || Next() != waiting_.end(); };
  if (idle == 0) {
    wake_.wait(lock, ready);
  } else {
    warm_idle_++;
    bool woken = wake_warm_.wait_for(lock, std::chrono::microseconds(idle), ready);
    warm_idle_--;
    if (!woken) return nullptr;
  }
  if (stopping_) return nullptr;
  auto next = Next();
  auto job = std::move(*next);
  waiting_.erase(next);
  running_[size_t(job->lane)]++;
  auto& client = clients_[job->client];
  client.running++;
  client.last_turn = ++turns_;
  return job;
}

void Queries::Finished(const QueryJob& job) {
  std::lock_guard lock(mutex_);
  running_[size_t(job.lane)]--;
  clients_[job.client].running--;
  constexpr size_t kClientsMax = 1000;
  if (clients_.size() > kClientsMax) {
    std::erase_if(clients_, [](auto& entry) { return entry.second.running == 0; });
  }
  // The runner that had it looks for work by itself, but may find other work than its lane's.
  if (Startable() > 0) (warm_idle_ > 0 ? wake_warm_ : wake_).notify_one();
}

std::shared_ptr<void> Queries::Run(QueryRequest request, std::shared_ptr<QuerySink> sink) {
  auto job = std::make_shared<QueryJob>();
  job->message.sql = std::move(request.sql.text);
  job->message.params_json = std::move(request.params_json);
  job->message.format = FormatOf(request.format);
  job->message.exact = request.exact;
  // Kept answers stand at the engine's position only; elsewhere they are computed.
  job->message.expand_views = request.at.has_value() || request.as_of.has_value();
  job->message.rows_max = request.rows_max == 0 ? options_.rows_max : request.rows_max;
  job->message.limit = request.limit;
  job->message.bytes_max = options_.bytes_max;
  job->client = std::move(request.caller.address);
  job->at = request.at;
  job->as_of = request.as_of;
  job->timeout =
      request.timeout <= 0 ? options_.timeout : std::min(request.timeout, options_.timeout_max);
  job->message.timeout = job->timeout;
  job->body = [sink](std::string bytes) { sink->Write(std::move(bytes)); };
  job->more = [sink] { sink->More(); };
  job->replaced = [sink](const std::string& view, const Replacement& by) {
    sink->Replaced(view, by);
  };
  job->done = [sink](std::optional<Error> error) { sink->Done(error); };
  auto handle = std::make_shared<CancelHandle>(job);
  Enqueue(std::move(job), true);
  return handle;
}

void Queries::Run(BatchRequest request, std::function<void(BatchResult)> done) {
  auto job = std::make_shared<QueryJob>();
  auto result = std::make_shared<BatchResult>();
  job->message.sql = std::move(request.sql.text);
  job->message.params_json = std::move(request.params_json);
  job->message.files = std::move(request.files);
  job->message.format = AnswerFormat::kBlocks;
  job->message.expand_views = true;
  job->message.rows_max = UINT64_MAX;
  job->message.bytes_max = request.bytes_max;
  job->at = request.at;
  job->as_of = request.as_of;
  job->log_time = request.log_time;
  job->lane = LaneOf(request.work);
  job->start = std::move(request.start);
  job->timeout =
      request.timeout <= 0 ? options_.timeout_max : std::min(request.timeout, options_.timeout_max);
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

QueryCounts Queries::Info() const {
  QueryCounts counts;
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
