// A few threads that do what is posted, in the order it came.  What a piece of work throws is said
// and harms nothing else.  Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/executor.h"

namespace weir {

class ThreadPool : public Executor {
 public:
  explicit ThreadPool(size_t threads);
  ~ThreadPool() override { Stop(); }

  void Post(std::function<void()> work) override;
  // Does what was posted, then ends the threads.  What is posted later is dropped.  Idempotent.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> waiting_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace weir
