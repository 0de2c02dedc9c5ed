// Threads for calls that block: statements, a view's verification, a large text to be parsed.
//
// Each call has a thread of its own, so that one which never ends costs only itself.  So many run
// at once, and fewer of one address.  Thread-safe.  Owned by SqlFrontend.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>

#include "base/caller.h"

namespace weir {

class BlockingCalls {
 public:
  static constexpr size_t kAtOnceMax = 16, kOfOneAddressMax = 12;

  // Returns at once; `work` throws nothing.  Throws kTooManyRequests, and kUnavailable when it has
  // been stopped or the machine has no threads left.
  void Start(const Caller& caller, std::function<void()> work);
  // No call more.  Those that run go on.
  void Stop();
  // Waits until none runs; false when some still do after `most`.  They use this then, which may
  // not be destroyed.
  bool AwaitIdle(std::chrono::milliseconds most);

 private:
  void End(const std::string& address);

  std::mutex mutex_;
  std::condition_variable idle_;
  bool stopped_ = false;
  std::multiset<std::string> running_;  // addresses
};

}  // namespace weir
