#include "statements/references.h"

#include <spdlog/spdlog.h>

#include <chrono>

#include "duck/errors.h"
#include "io/process/loop_thread.h"

namespace weir {
namespace {

constexpr auto kLookEvery = std::chrono::seconds(1);
constexpr Micros kAgainAfterError = 5'000'000;

}  // namespace

void References::Start() {
  thread_ = StartLoop("references", [this] {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      RefreshDue();
      lock.lock();
      wake_.wait_for(lock, kLookEvery, [&] { return stopping_; });
    }
  });
}

void References::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

References::Status References::Of(StreamId table) const {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(table.value);
  return found == entries_.end() ? Status() : found->second.status;
}

void References::RefreshDue() {
  auto catalog = catalog_.Current();  // statements may change it meanwhile
  for (auto& [name, table] : catalog->streams) {
    if (!table->reference) continue;
    Entry entry;
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      entry = entries_[table->id.value];
    }
    Refresh(*table, entry);
    std::lock_guard lock(mutex_);
    entries_[table->id.value] = entry;
  }
}

void References::Refresh(const Stream& table, Entry& entry) {
  Micros now = clock_.Monotonic();
  Micros every = table.reference->refresh;
  try {
    auto stamp = writes_.files().StampOf(table.reference->path);
    bool due = entry.looked_at == 0 || (every == 0 && stamp != entry.stamp) ||
               (every > 0 && now - entry.looked_at >= every) ||
               (entry.status.error && now - entry.looked_at >= kAgainAfterError);
    if (!due) return;
    entry.looked_at = now;
    entry.stamp = stamp;
    if (stamp.bytes == 0) {  // as a file is for a moment that is written in place
      throw Error(ErrorCode::kInvalidData, "file \"" + table.reference->path + "\" is empty",
                  "One without rows has its header, or is [].");
    }
    auto written = writes_.Refresh(table);
    entry.status = {clock_.Now(), std::nullopt};
    if (written.rows > 0) {
      spdlog::info("table {}: {} rows of {} were new, different or gone", table.name, written.rows,
                   table.reference->path);
    }
  } catch (...) {
    Error error = CurrentError();
    entry.looked_at = now;
    bool new_error = !entry.status.error || entry.status.error->message != error.message;
    if (new_error) spdlog::warn("table {} keeps its rows: {}", table.name, error.message);
    entry.status.error = std::move(error);
  }
}

}  // namespace weir
