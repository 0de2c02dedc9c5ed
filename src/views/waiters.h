// Those who wait until something holds of the views: that they stand at an offset, that one is
// filled.
//
// A thread of its own looks and answers, so deadlines are kept while the engine is in a long step;
// what an answer leads to is done by the executor that came with the question, never on the
// engine's thread.  Everybody is answered once, at a stop with "no".  Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "base/executor.h"
#include "base/ids.h"
#include "io/clock.h"

namespace weir {

class Waiters {
 public:
  explicit Waiters(Clock& clock) : clock_(clock) {}
  ~Waiters() { Stop(); }

  // REQUIRES: once.
  void Start();
  // Answers all with "no", and whoever comes later at once.
  void Stop();

  // `holds`: short, from any thread.  `deadline`: monotonic.
  void Add(std::function<bool()> holds, Micros deadline, Executor& executor,
           std::function<void(bool)> done);
  // Something may hold now that did not.  Costs next to nothing when nobody waits.
  void Look();
  size_t count() const { return count_; }

 private:
  struct Waiter {
    std::function<bool()> holds;
    Micros deadline;
    Executor* executor;
    std::function<void(bool)> done;
  };
  void Run();
  // Answers whose time has come; returns the next deadline.
  Micros AnswerSome();
  static bool Holds(const Waiter& waiter);
  static void Answer(const Waiter& waiter, bool held);

  Clock& clock_;
  std::atomic<size_t> count_{0};
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::list<Waiter> waiting_;
  bool look_ = false, running_ = false, stopped_ = false;
  std::thread thread_;
};

}  // namespace weir
