#include "views/waiters.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"

namespace weir {

void Waiters::Start() {
  {
    std::lock_guard lock(mutex_);
    CHECK(!running_ && !stopped_);
    running_ = true;
  }
  thread_ = std::thread([this] { Run(); });
}

void Waiters::Stop() {
  std::vector<Waiter> left;
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
  for (auto& waiter : left) Answer(waiter, false);
}

void Waiters::Answer(Waiter& waiter, bool held) {
  waiter.executor->Post([done = std::move(waiter.done), held] { done(held); });
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
  if (stopped) return Answer(waiter, false);
  wake_.notify_one();
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

Micros Waiters::AnswerSome() {
  std::vector<Waiter> all, left;
  {
    std::lock_guard lock(mutex_);
    look_ = false;
    all.swap(waiting_);
  }
  Micros now = clock_.Monotonic(), next = INT64_MAX;
  for (auto& waiter : all) {
    bool held = waiter.holds();
    if (held || now >= waiter.deadline) {
      count_--;
      Answer(waiter, held);
    } else {
      next = std::min(next, waiter.deadline);
      left.push_back(std::move(waiter));
    }
  }
  std::lock_guard lock(mutex_);
  for (auto& waiter : waiting_) next = std::min(next, waiter.deadline);
  waiting_.insert(waiting_.end(), std::make_move_iterator(left.begin()),
                  std::make_move_iterator(left.end()));
  return next;
}

void Waiters::Run() {
  constexpr Micros kPauseMax = 1'000'000;
  for (;;) {
    Micros next = INT64_MAX;
    try {
      next = AnswerSome();
    } catch (const std::exception& error) {
      spdlog::error("waiters: {}", error.what());
    }
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
