#include "query/trials.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "duck/errors.h"
#include "query/trial_worker.h"

namespace weir {
namespace {

constexpr size_t kQueryBytesMax = 1 << 20;
constexpr uint64_t kTrialAnswerMax = 1 << 20;

Micros TrialNow() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

constexpr const char* kTrialHint =
    "Make it in parts: fewer terms, joins or levels in one query, and no constants that are large.";

Error PlansTooLong() {
  return Error(ErrorCode::kLimitExceeded,
               "planning this query takes more than " +
                   std::to_string(static_cast<int>(kTrialSeconds)) + " s of processor time",
               kTrialHint);
}

// A state in the middle of a change, as one that could be saved.
std::string Settled(CatalogState state) {
  std::set<uint32_t> ids;
  for (auto& [name, stream] : state.streams) ids.insert(stream->id.value);
  for (auto& [name, view] : state.views) ids.insert(view->id);
  for (auto& [name, pump] : state.pumps) ids.insert(pump->id);
  ids.erase(0);
  if (!ids.empty()) state.next_id = std::max(state.next_id, *ids.rbegin() + 1);
  state.retired = RetiredIds::AllBut(ids, state.next_id);
  return SaveCatalog(state);
}

template <typename M>
bool SendTrial(ChildProcess& process, MessageKind kind, const M& message, Micros deadline) {
  return process.socket().Send(static_cast<uint8_t>(kind), Write(message), deadline);
}

}  // namespace

Trials::Trials(TrialOptions options)
    : options_([&] {
        if (options.program.empty()) options.program = OwnProgram();
        return std::move(options);
      }()) {
  for (size_t i = 0; i < options_.workers; i++) threads_.emplace_back([this] { Loop(); });
}

Trials::~Trials() { Stop(); }

void Trials::Stop() {
  std::deque<std::shared_ptr<Job>> dropped;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    dropped.swap(waiting_);
    for (auto* process : running_) process->Kill();
  }
  wake_.notify_all();
  for (auto& job : dropped) {
    job->done.set_value(Error(ErrorCode::kUnavailable, "Weir is stopping"));
  }
  for (auto& thread : threads_) thread.join();
}

void Trials::Try(const CatalogState& state, const std::string& query) {
  TryMessage message;
  message.sql = query;
  Ask(std::move(message), state);
}

void Trials::Try(const CatalogState& state, const Pump& pump) {
  TryMessage message;
  message.sql = pump.query;
  message.stream = pump.stream.value;
  message.columns = pump.columns;
  Ask(std::move(message), state);
}

void Trials::Ask(TryMessage message, const CatalogState& state) {
  if (message.sql.size() > kQueryBytesMax) {
    throw Error(ErrorCode::kLimitExceeded, "a query that is kept or explained is at most " +
                                               std::to_string(kQueryBytesMax >> 20) + " MiB long");
  }
  auto job = std::make_shared<Job>();
  job->message = std::move(message);
  job->message.catalog = Settled(state);
  auto done = job->done.get_future();
  {
    std::lock_guard lock(mutex_);
    if (stopping_) throw Error(ErrorCode::kUnavailable, "Weir is stopping");
    if (waiting_.size() >= options_.waiting_max) {
      throw Error(ErrorCode::kTooManyRequests,
                  std::to_string(waiting_.size()) + " queries are waiting to be planned already",
                  "Try again in a moment.");
    }
    waiting_.push_back(job);
  }
  wake_.notify_one();
  if (auto error = done.get()) throw *error;
}

// A worker ends with the thread that started it, so each stays with its own.
void Trials::Loop() {
  Worker worker;
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      auto ready = [&] { return stopping_ || !waiting_.empty(); };
      if (!worker.process) {
        wake_.wait(lock, ready);
      } else if (!wake_.wait_for(lock, std::chrono::microseconds(options_.idle), ready)) {
        lock.unlock();
        worker.process.reset();
        continue;
      }
      if (stopping_) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
    }
    std::optional<Error> error;
    try {
      error = Run(worker, *job);
    } catch (...) {
      error = CurrentError();
      worker.process.reset();
    }
    job->done.set_value(std::move(error));
  }
}

std::optional<Error> Trials::Run(Worker& worker, Job& job) {
  Micros deadline = TrialNow() + options_.timeout;
  size_t catalog = std::hash<std::string>()(job.message.catalog);
  if (!worker.process) {
    worker.process = std::make_unique<ChildProcess>(options_.program, options_.arguments);
    worker.catalog = 0;
    HelloMessage hello;
    hello.memory_bytes = options_.memory_bytes;
    hello.trials = true;
    SendTrial(*worker.process, MessageKind::kHello, hello, deadline);  // a failure shows below
  }
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return Error(ErrorCode::kUnavailable, "Weir is stopping");
    running_.push_back(worker.process.get());
  }
  if (worker.catalog == catalog) job.message.catalog.clear();
  std::optional<MessageSocket::Message> answer;
  if (SendTrial(*worker.process, MessageKind::kTry, job.message, deadline)) {
    answer = worker.process->socket().Receive(kTrialAnswerMax, deadline);
  }
  {
    std::lock_guard lock(mutex_);
    std::erase(running_, worker.process.get());
    if (stopping_) return Error(ErrorCode::kUnavailable, "Weir is stopping");
  }
  if (answer && answer->kind == static_cast<uint8_t>(MessageKind::kDone)) {
    worker.catalog = catalog;
    DoneMessage done;
    Read(answer->body, done);
    if (done.error && done.error->code == ErrorCode::kTimeout) return PlansTooLong();
    if (done.error) done.error->hint = kTrialHint;
    return done.error;
  }
  bool late = TrialNow() >= deadline;
  worker.process.reset();
  if (late) return PlansTooLong();
  return Error(ErrorCode::kLimitExceeded,
               "this query cannot be planned: it is nested too deeply, makes too much of its "
               "constants or takes too long",
               kTrialHint);
}

}  // namespace weir
