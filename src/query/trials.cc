#include "query/trials.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "duck/errors.h"
#include "query/trial_worker.h"
#include "sql/plain_query.h"

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

std::optional<Error> ErrorOf(DoneMessage done) {
  if (done.error && done.error->code == ErrorCode::kTimeout) return PlansTooLong();
  if (done.error && done.error->code == ErrorCode::kLimitExceeded) done.error->hint = kTrialHint;
  return done.error;
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
  idle_.assign(options_.workers, true);
  for (size_t i = 0; i < options_.workers; i++) threads_.emplace_back([this, i] { Loop(i); });
}

Trials::~Trials() { Stop(); }

void Trials::StandBy() {
  {
    std::lock_guard lock(mutex_);
    stands_by_ = true;
  }
  wake_.notify_all();
}

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

void Trials::Try(const CatalogState& state, const KernelSql& query) {
  if (IsPlain(state, query)) return;
  TryMessage message;
  message.sql = query.text;
  Ask(std::move(message), state);
}

void Trials::Try(const CatalogState& state, const Pump& pump) {
  if (IsPlain(state, pump.kernel_sql)) return;
  TryMessage message;
  message.sql = pump.kernel_sql.text;
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
  wake_.notify_all();
  if (auto error = done.get()) throw *error;
}

// Those before it, which have a worker more likely, take what waits first.
bool Trials::HasWorkFor(size_t thread) const {
  auto before = std::count(idle_.begin(), idle_.begin() + static_cast<ptrdiff_t>(thread), true);
  return waiting_.size() > static_cast<size_t>(before);
}

// A worker ends with the thread that started it, so each stays with its own.
void Trials::Loop(size_t thread) {
  Worker worker;
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      auto ready = [&] { return stopping_ || HasWorkFor(thread); };
      auto starts_one = [&] { return thread == 0 && stands_by_ && !worker.process; };
      bool stays = thread == 0 || !worker.process;
      if (stays) wake_.wait(lock, [&] { return ready() || starts_one(); });
      bool has_work =
          (stays && ready()) ||
          (!stays && wake_.wait_for(lock, std::chrono::microseconds(options_.idle), ready));
      if (!has_work && starts_one()) {
        lock.unlock();
        StartAhead(worker);
        continue;
      }
      if (stopping_) return;
      if (!has_work) {
        lock.unlock();
        worker.process.reset();
        continue;
      }
      idle_[thread] = false;
      job = std::move(waiting_.front());
      waiting_.pop_front();
    }
    wake_.notify_all();  // what is left may now be for the others
    std::optional<Error> error;
    try {
      error = Run(worker, *job);
    } catch (...) {
      error = CurrentError();
      worker.process.reset();
    }
    {
      std::lock_guard lock(mutex_);
      idle_[thread] = true;  // before the answer, on which the next query may follow
    }
    job->done.set_value(std::move(error));
  }
}

void Trials::StartAhead(Worker& worker) const {
  try {
    StartWorker(worker, TrialNow() + options_.timeout);
  } catch (...) {  // told to the next query, for which it is tried again
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void Trials::StartWorker(Worker& worker, Micros deadline) const {
  worker.process = std::make_unique<ChildProcess>(options_.program, options_.arguments);
  worker.catalog = 0;
  HelloMessage hello;
  hello.memory_bytes = options_.memory_bytes;
  hello.trials = true;
  // A failure shows when it is asked.
  SendTrial(*worker.process, MessageKind::kHello, hello, deadline);
}

std::optional<Error> Trials::Run(Worker& worker, Job& job) {
  Micros deadline = TrialNow() + options_.timeout;
  // What has idled may have ended of something else, which says nothing about this query.
  if (worker.process) {
    if (auto done = Ask(worker, job.message, deadline)) return ErrorOf(*done);
    if (TrialNow() >= deadline) return PlansTooLong();
  }
  StartWorker(worker, deadline);
  if (auto done = Ask(worker, job.message, deadline)) return ErrorOf(*done);
  if (TrialNow() >= deadline) return PlansTooLong();
  return Error(ErrorCode::kLimitExceeded,
               "this query cannot be planned: it is nested too deeply, makes too much of its "
               "constants or takes too long",
               kTrialHint);
}

// What the worker says; without an answer it is gone.
std::optional<DoneMessage> Trials::Ask(Worker& worker, TryMessage& message, Micros deadline) {
  DoneMessage done;
  {
    std::lock_guard lock(mutex_);
    done.error = Error(ErrorCode::kUnavailable, "Weir is stopping");
    if (stopping_) return done;
    running_.push_back(worker.process.get());
  }
  size_t catalog = std::hash<std::string>()(message.catalog);
  std::string left_out;
  if (worker.catalog == catalog) left_out.swap(message.catalog);
  std::optional<MessageSocket::Message> answer;
  if (SendTrial(*worker.process, MessageKind::kTry, message, deadline)) {
    answer = worker.process->socket().Receive(kTrialAnswerMax, deadline);
  }
  if (!left_out.empty()) message.catalog.swap(left_out);
  {
    std::lock_guard lock(mutex_);
    std::erase(running_, worker.process.get());
    if (stopping_) return done;
  }
  if (!answer || answer->kind != static_cast<uint8_t>(MessageKind::kDone)) {
    worker.process.reset();
    return std::nullopt;
  }
  worker.catalog = catalog;
  Read(answer->body, done);
  return done;
}

}  // namespace weir
