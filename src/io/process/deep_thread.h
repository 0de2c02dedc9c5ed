// Threads with a stack for recursion by depth: DuckDB's planner and its expressions go down one
// level for each level of what they work on.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>

namespace weir {

// Of a thread of the server.  What a trial planned on a stack of kTrialStackBytes is planned here
// with room to spare.
inline constexpr size_t kDeepStackBytes = 256 << 20;
inline constexpr size_t kTrialStackBytes = 64 << 20;

// Joined by its owner.  Memory is taken as the stack is used.
class DeepThread {
 public:
  DeepThread() = default;
  // Throws Error(kUnavailable) when the machine gives no thread.
  explicit DeepThread(std::function<void()> run, size_t stack_bytes = kDeepStackBytes);
  DeepThread(DeepThread&& other) noexcept;
  DeepThread& operator=(DeepThread&& other) noexcept;
  ~DeepThread();

  void join();
  bool joinable() const { return running_; }

 private:
  pthread_t thread_{};
  bool running_ = false;
};

// Runs `work` on such a thread and waits for it; throws what it throws.
void OnDeepStack(const std::function<void()>& work, size_t stack_bytes = kDeepStackBytes);

}  // namespace weir
