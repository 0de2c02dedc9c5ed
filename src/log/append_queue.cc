#include "log/append_queue.h"

namespace weir {

void AppendQueue::Add(AppendUnit unit) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) {
      throw *closed_;
    }
    if (bytes_ > 0 && bytes_ + unit.bytes > bytes_max_) {
      throw Error(ErrorCode::kTooManyRequests, "too many appends wait for the disk",
                  "Try again in a moment.");
    }
    waiting_.push_back(std::move(unit));
    bytes_ += waiting_.back().bytes;  // once it is in: there may be no memory for it
    if (waiting_.size() > 1) {
      return;  // whoever added the first has woken the thread
    }
  }
  changed_.notify_one();
}

std::vector<AppendUnit> AppendQueue::Take(uint64_t group_bytes_max,
                                          std::optional<std::chrono::microseconds> patience) {
  std::unique_lock lock(mutex_);
  auto ready = [this] { return !waiting_.empty() || closed_; };
  if (patience) {
    changed_.wait_for(lock, *patience, ready);
  } else {
    changed_.wait(lock, ready);
  }
  std::vector<AppendUnit> group;
  uint64_t bytes = 0;
  while (!waiting_.empty()) {
    AppendUnit& unit = waiting_.front();
    if (!group.empty() && bytes + unit.bytes > group_bytes_max) {
      break;
    }
    bytes += unit.bytes;
    group.push_back(std::move(unit));
    waiting_.pop_front();
  }
  ASSERT(group.size() <= 1 || bytes <= group_bytes_max);
  ASSERT(bytes <= bytes_);
  bytes_ -= bytes;
  ASSERT(bytes_ == 0 || !waiting_.empty());
  return group;
}

void AppendQueue::Close(Error reason) {
  {
    std::lock_guard lock(mutex_);
    if (!closed_) {
      closed_ = std::move(reason);
    }
  }
  changed_.notify_all();
}

bool AppendQueue::ClosedAndEmpty() {
  std::lock_guard lock(mutex_);
  return closed_ && waiting_.empty();
}

}  // namespace weir
