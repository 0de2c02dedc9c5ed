// A thread that does what others left to be done, in order.  Tasks come as list nodes, so that
// handing one over allocates nothing and cannot fail.  Thread-safe; Stop is called once.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace weir {

class TaskThread {
 public:
  using Task = std::list<std::function<void()>>;  // of one element
  static Task Make(std::function<void()> run) {
    Task task;
    task.push_back(std::move(run));
    return task;
  }

  TaskThread() : thread_([this] { Run(); }) {}
  ~TaskThread() { Stop(); }

  // A task must not throw.  After Stop it is dropped.
  void Post(Task&& task) noexcept;
  // Waits for the task that runs; those that wait are dropped.  REQUIRES: no task calls it.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  Task tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace weir
