#include "session/blocking_calls.h"

#include <spdlog/spdlog.h>

#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"

namespace weir {

void BlockingCalls::Start(const Caller& caller, std::function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_) throw Error(ErrorCode::kUnavailable, "Weir is stopping");
    if (running_.size() >= kAtOnceMax || running_.count(caller.address) >= kOfOneAddressMax) {
      throw Error(ErrorCode::kTooManyRequests, "too many statements at once",
                  "Try again in a moment.");
    }
    running_.insert(caller.address);
  }
  auto run = [this, address = caller.address, work = std::move(work)]() mutable {
    try {
      work();
    } catch (const std::exception& error) {  // its client is told by the connection's end
      spdlog::error("a call ended without an answer: {}", error.what());
    }
    work = nullptr;  // what it holds goes before others are told that nothing runs
    End(address);
  };
  try {
    std::thread(std::move(run)).detach();
  } catch (const std::system_error&) {
    End(caller.address);
    throw Error(ErrorCode::kUnavailable, "the machine has no threads left");
  }
}

void BlockingCalls::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
}

bool BlockingCalls::AwaitIdle(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, most, [&] { return running_.empty(); });
}

// Nothing of this object is touched after the lock is free: it may be gone then.
void BlockingCalls::End(const std::string& address) {
  std::lock_guard lock(mutex_);
  running_.erase(running_.find(address));
  if (running_.empty()) idle_.notify_all();
}

}  // namespace weir
