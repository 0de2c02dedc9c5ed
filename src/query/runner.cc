#include "query/runner.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "query/view_rows.h"

namespace weir {
namespace {

constexpr Micros kLate = 1'000'000;

// More than any honest message of a worker.
constexpr uint64_t kWorkerMessageMax = 256 << 20;

Micros MonotonicNow() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

template <typename M>
bool Send(ChildProcess& worker, MessageKind kind, const M& message, Micros deadline) {
  return worker.socket().Send(static_cast<uint8_t>(kind), Write(message), deadline);
}

}  // namespace

QueryRunner::QueryRunner(Queries& queries) : queries_(queries), thread_([this] { Loop(); }) {}

QueryRunner::~QueryRunner() { thread_.join(); }

void QueryRunner::CancelCurrent() {
  std::lock_guard lock(current_mutex_);
  if (current_) current_->Cancel();
}

void QueryRunner::Loop() {
  for (;;) {
    auto job = queries_.Take(worker_ ? queries_.options_.idle : 0);
    if (!job) {
      EndWorker();
      if (queries_.stopping()) return;
      continue;
    }
    {
      std::lock_guard lock(current_mutex_);
      current_ = job;
    }
    if (queries_.stopping()) job->Cancel();
    std::optional<Error> error;
    if (job->start && !job->start()) {
      error = Error(ErrorCode::kUnavailable, "nobody waits for the query any more");
    } else {
      queries_.queries_++;
      job->started = MonotonicNow();
      error = RunJob(*job);
      job->took = MonotonicNow() - job->started;
      if (error) queries_.failed_++;
    }
    {
      std::lock_guard lock(current_mutex_);
      current_.reset();
    }
    queries_.Finished(*job);
    try {
      job->done(std::move(error));
    } catch (const std::exception& thrown) {
      spdlog::error("query: an answer could not be given: {}", thrown.what());
    }
  }
}

void QueryRunner::StartWorker(const std::string& time_zone, Micros deadline) {
  if (worker_ && worker_zone_ == time_zone) return;
  EndWorker();
  auto& options = queries_.options_;
  worker_ = std::make_unique<ChildProcess>(options.program, options.arguments);
  worker_zone_ = time_zone;
  queries_.workers_started_++;
  queries_.workers_++;
  HelloMessage hello;
  hello.readable = options.readable;
  hello.time_zone = time_zone;
  hello.memory_bytes = options.memory_bytes;
  hello.threads = options.threads;
  Send(*worker_, MessageKind::kHello, hello, deadline);  // a failure shows at the next receive
}

void QueryRunner::EndWorker() {
  if (!worker_) return;
  worker_.reset();
  queries_.workers_--;
}

std::optional<Error> QueryRunner::RunJob(QueryJob& job) {
  Micros deadline = MonotonicNow() + job.timeout;
  std::optional<Error> error;
  try {
    error = Converse(job, deadline);
  } catch (...) {
    // The conversation stopped half-way: the worker waits for something that will not come.
    error = CurrentError();
    job.Attach(nullptr);
    EndWorker();
  }
  if (error) {
    HideFolders(error->message);
    HideFolders(error->hint);
  }
  return error;
}

// Who asks is told of files, not of where the machine keeps them.
void QueryRunner::HideFolders(std::string& text) const {
  for (auto& folder : queries_.options_.readable) {
    auto parent = folder.substr(0, folder.rfind('/') + 1);
    if (parent.size() < 2) continue;
    for (size_t at = text.find(folder); at != std::string::npos; at = text.find(folder, at + 1)) {
      text.erase(at, parent.size());
    }
  }
}

Error QueryRunner::Silence(const QueryJob& job, Micros deadline) const {
  if (job.cancelled()) return Error(ErrorCode::kUnavailable, "the query was cancelled");
  if (MonotonicNow() >= deadline) {
    return Error(ErrorCode::kTimeout,
                 "the query took longer than " + std::to_string(job.timeout / 1000) + " ms",
                 "Ask for less, or keep the answer as a materialized view.");
  }
  return Error(ErrorCode::kQueryFailed, "the query's process died",
               "It ran out of memory or hit a bug of the batch engine; nothing else is harmed.");
}

std::optional<Error> QueryRunner::Converse(QueryJob& job, Micros deadline) {
  auto catalog = queries_.catalog_.Current();
  if (job.cancelled()) return Silence(job, deadline);
  StartWorker(catalog->time_zone, deadline);
  if (!job.Attach(worker_.get())) {
    job.Attach(nullptr);
    return Silence(job, deadline);
  }
  job.message.catalog = SaveCatalog(*catalog);
  job.message.recomputed.clear();
  Views* views = queries_.views_;
  if (views && !job.message.expand_views) {
    for (auto& info : views->ViewInfos()) {
      if (info.rung != Rung::kRecompute) continue;
      job.message.recomputed.push_back(duckdb::StringUtil::Lower(info.name));
    }
  }
  bool sent = Send(*worker_, MessageKind::kQuery, job.message, deadline);
  std::shared_ptr<void> pin;
  NeedMessage need;
  while (sent) {
    auto message = worker_->socket().Receive(kWorkerMessageMax, deadline);
    if (!message) break;
    if (message->kind == static_cast<uint8_t>(MessageKind::kBody)) {
      job.body(std::move(message->body));
    } else if (message->kind == static_cast<uint8_t>(MessageKind::kNeed)) {
      Read(message->body, need);
      auto prepared = Prepare(job, *catalog, need, deadline);
      pin = std::move(prepared.pin);
      sent = SendData(prepared, deadline);
    } else if (message->kind == static_cast<uint8_t>(MessageKind::kDone)) {
      DoneMessage done;
      Read(message->body, done);
      job.Attach(nullptr);
      if (job.cancelled()) EndWorker();  // it is being killed
      if (done.error && done.error->code == ErrorCode::kCorruption) {
        for (auto& name : need.streams) {
          if (auto stream = catalog->FindStream(name)) queries_.lake_.Suspect(stream->id);
        }
      }
      if (done.more) job.more();
      return done.error;
    } else {
      break;
    }
  }
  job.Attach(nullptr);
  Error error = Silence(job, deadline);
  if (error.code == ErrorCode::kQueryFailed) queries_.workers_lost_++;
  EndWorker();
  return error;
}

QueryRunner::Prepared QueryRunner::Prepare(const QueryJob& job, const CatalogState& catalog,
                                           const NeedMessage& need, Micros deadline) {
  Prepared prepared;
  DataMessage& data = prepared.data;
  if (!need.views.empty()) {
    ReadViews(job, need, deadline, prepared);
  } else {
    Views* views = queries_.views_;
    data.at = job.at.value_or(queries_.log_.End());
    data.as_of = job.as_of.value_or(
        std::max(queries_.clock_.Now(), views ? views->Info().as_of : Micros{0}));
  }
  data.log_time = job.log_time.value_or(data.as_of);
  if (data.at > queries_.log_.End()) {
    throw Error(ErrorCode::kInvalidRequest,
                "offset " + std::to_string(data.at.value) + " is not reached yet",
                "The log ends at " + std::to_string(queries_.log_.End().value) + ".");
  }
  std::vector<StreamId> streams;
  for (auto& name : need.streams) streams.push_back(catalog.GetStream(name)->id);
  if (streams.empty()) return prepared;
  auto pinned = queries_.lake_.Pin(streams, data.at);
  data.segments = std::move(pinned.segments);
  for (size_t i = 0; i < streams.size(); i++) {
    StreamData stream;
    stream.name = need.streams[i];
    stream.landed = pinned.landed[i];
    for (auto& file : pinned.files[i]) {
      stream.files.push_back({file.path, file.name, file.last <= data.at, file.bytes,
                              file.seal.has_value(), file.seal.value_or(0), file.rows, file.first,
                              file.last, file.arrived_first, file.arrived_last});
    }
    data.streams.push_back(std::move(stream));
  }
  prepared.pin = std::move(pinned.pin);
  return prepared;
}

// A column that is to have a value, as a view's reader has it: where that says what the batch
// engine's comparison does.
bool QueryRunner::IsExact(const std::string& view, const EqualColumn& equal) const {
  Views* views = queries_.views_;
  for (auto& info : views->ViewInfos()) {
    if (!duckdb::StringUtil::CIEquals(info.name, view)) continue;
    // While it is replaced these are the columns of the new one.
    if (info.answering != info.version) return false;
    for (auto& column : info.columns) {
      if (!duckdb::StringUtil::CIEquals(column.name, equal.column)) continue;
      return IsEqualityExact(column.type, equal.value, equal.is_text);
    }
  }
  return false;
}

void QueryRunner::ReadViews(const QueryJob& job, const NeedMessage& need, Micros deadline,
                            Prepared& prepared) {
  auto& names = need.views;
  Views* views = queries_.views_;
  if (!views) throw Error(ErrorCode::kUnavailable, "the views are not ready yet");
  // What was acknowledged before the query came must be in its answer.
  constexpr Micros kPatience = 10'000'000;  // a runner is not for one alone to wait in
  Micros left = std::clamp<Micros>(deadline - MonotonicNow(), 0, kPatience);
  if (!views->Await("", queries_.log_.End(), queries_.clock_.Monotonic() + left)) {
    throw Error(ErrorCode::kTimeout, "the views did not reach the last event in time",
                "The engine is behind; try again.");
  }
  // The worker could not hold more; here there is one copy, and a piece on its way.
  ReadOptions options;
  options.bytes_max = queries_.options_.memory_bytes / 2;
  options.collapse = true;
  if (!need.whole) options.columns.emplace(need.columns.begin(), need.columns.end());
  for (auto& equal : need.equals) {
    if (names.size() != 1 || !IsExact(names[0], equal)) continue;
    options.equals.emplace_back(equal.column, equal.value);
  }
  prepared.views = views->Read(names, options);
  for (auto& snapshot : prepared.views) {
    prepared.data.at = snapshot.offset;
    prepared.data.as_of = snapshot.as_of;
    if (auto& next = snapshot.replaced_by) job.replaced(snapshot.view, *next);
    const std::string& key = names[prepared.data.views.size()];
    prepared.data.views.push_back(DescribeView(key, snapshot.columns, snapshot.rows));
  }
}

bool QueryRunner::SendData(Prepared& prepared, Micros deadline) {
  if (!Send(*worker_, MessageKind::kData, prepared.data, deadline)) return false;
  size_t at = 0;
  for (auto& snapshot : prepared.views) {
    auto pieces = prepared.data.views[at++].pieces;
    for (uint32_t i = 0; i < pieces; i++) {
      auto piece = TakePiece(snapshot);
      if (!Send(*worker_, MessageKind::kRows, piece, deadline)) return false;
    }
  }
  return true;
}

}  // namespace weir
