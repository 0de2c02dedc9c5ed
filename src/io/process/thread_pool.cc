#include "io/process/thread_pool.h"

#include <spdlog/spdlog.h>

namespace weir {

ThreadPool::ThreadPool(size_t threads) {
  for (size_t i = 0; i < threads; i++) threads_.emplace_back([this] { Run(); });
}

void ThreadPool::Post(std::function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    waiting_.push_back(std::move(work));
  }
  wake_.notify_one();
}

void ThreadPool::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void ThreadPool::Run() {
  for (;;) {
    std::function<void()> work;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    try {
      work();
    } catch (const std::exception& error) {
      spdlog::error("handed-over work failed: {}", error.what());
    } catch (...) {
      spdlog::error("handed-over work failed");
    }
  }
}

}  // namespace weir
