#include "ingest/task_thread.h"

#include "base/error.h"

namespace weir {

void TaskThread::Post(Task&& task) noexcept {
  Task dropped;
  {
    std::lock_guard lock(mutex_);
    auto& to = stopping_ ? dropped : tasks_;
    to.splice(to.end(), task);
  }
  changed_.notify_one();
}

void TaskThread::Stop() {
  ASSERT(std::this_thread::get_id() != thread_.get_id());
  Task dropped;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(tasks_);
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void TaskThread::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || !tasks_.empty(); });
    if (stopping_) return;
    Task task;
    task.splice(task.end(), tasks_, tasks_.begin());
    lock.unlock();
    task.front()();
    task.clear();  // with what it holds, before the next one
    lock.lock();
  }
}

}  // namespace weir
