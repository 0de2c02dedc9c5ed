#include "views/waiters.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "io/process/loop_thread.h"

#include "base/error.h"

namespace weir {

void Waiters::Start() {
  {
    std::lock_guard lock(mutex_);
    CHECK(!running_ && !stopped_);
    running_ = true;
  }
  thread_ = StartLoop("waiters", [this] { Run(); });
}

void Waiters::Stop() {
  std::list<Waiter> left;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    running_ = false;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  {
    std::lock_guard lock(mutex_);
    left.swap(waiting_);
    count_ = 0;
  }
  for (auto& waiter : left) {
    try {
      Answer(waiter, false);
    } catch (const std::exception& error) {
      spdlog::error("waiters: one is not told of the stop: {}", error.what());
    }
  }
}

// What it throws leaves the waiter as it was.
void Waiters::Answer(const Waiter& waiter, bool held) {
  waiter.executor->Post([done = waiter.done, held] { done(held); });
}

void Waiters::Add(std::function<bool()> holds, Micros deadline, Executor& executor,
                  std::function<void(bool)> done) {
  Waiter waiter{std::move(holds), deadline, &executor, std::move(done)};
  if (waiter.holds()) return Answer(waiter, true);
  bool stopped = false;
  {
    std::lock_guard lock(mutex_);
    stopped = stopped_;
    if (!stopped) {
      waiting_.push_back(std::move(waiter));
      count_++;  // before the next look, which so sees what came between the first and now
      look_ = true;
    }
  }
  if (!stopped) return wake_.notify_one();
  Answer(waiter, false);  // NOLINT(bugprone-use-after-move): it is moved where it waits
}

void Waiters::Look() {
  if (count_ == 0) return;
  bool running;
  {
    std::lock_guard lock(mutex_);
    look_ = true;
    running = running_;
  }
  if (running) {
    wake_.notify_one();
  } else {
    AnswerSome();  // an engine without threads
  }
}

// What cannot be asked does not hold yet.
bool Waiters::Holds(const Waiter& waiter) {
  try {
    return waiter.holds();
  } catch (const std::exception& error) {
    spdlog::error("waiters: {}", error.what());
    return false;
  }
}

Micros Waiters::AnswerSome() {
  std::list<Waiter> all;
  {
    std::lock_guard lock(mutex_);
    look_ = false;
    all.swap(waiting_);
  }
  std::exception_ptr failure;
  Micros now = clock_.Monotonic(), next = INT64_MAX;
  for (auto waiter = all.begin(); waiter != all.end();) {
    bool held = Holds(*waiter), is_due = held || now >= waiter->deadline;
    if (is_due) count_--;
    try {
      if (is_due) Answer(*waiter, held);
    } catch (...) {  // he waits on, and others do not wait for him
      failure = std::current_exception();
      is_due = false;
      count_++;
    }
    if (!is_due) next = std::min(next, waiter->deadline);
    waiter = is_due ? all.erase(waiter) : std::next(waiter);
  }
  {
    std::lock_guard lock(mutex_);
    for (auto& waiter : waiting_) next = std::min(next, waiter.deadline);
    waiting_.splice(waiting_.begin(), all);
  }
  if (failure) std::rethrow_exception(failure);
  return next;
}

void Waiters::Run() {
  constexpr Micros kPauseMax = 1'000'000;
  for (;;) {
    Micros next = AnswerSome();
    std::unique_lock lock(mutex_);
    auto ready = [&] { return stopped_ || look_; };
    if (waiting_.empty()) {
      wake_.wait(lock, ready);
    } else {
      Micros pause = std::clamp<Micros>(next - clock_.Monotonic(), 0, kPauseMax);
      wake_.wait_for(lock, std::chrono::microseconds(pause), ready);
    }
    if (stopped_) return;
  }
}

}  // namespace weir
