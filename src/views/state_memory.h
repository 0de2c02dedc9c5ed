// The memory limit: how much the process has, what happens as it comes near its limit.
//
//   above 70 %   rows that operators keep go to an unlinked file in the data folder, oldest first
//   above 90 %   no room: new views are refused, fillings stop, producers are told to wait
//   above 100 %  an operator that asks for a page fails when rows can no longer go to the file, and
//   its
//                views are parked; above 125 % also when they can
//
// What counts is the process's own memory as the machine sees it, looked at now and then; between
// two looks the pages handed out since are added.  Any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "flow/state/page_memory.h"
#include "io/clock.h"
#include "io/disk/page_file.h"

namespace weir {

struct StateMemoryOptions {
  uint64_t limit = 0;           // bytes; 0: none
  std::string spill_directory;  // of the machine's; "": rows stay in memory
  uint64_t spill_bytes_max = 64ull << 30;
  std::function<uint64_t()> in_use;  // bytes the process has; null: nothing is known
};

class StateMemory : public PageMemory {
 public:
  StateMemory(StateMemoryOptions options, Clock& clock);

  std::byte* Allocate(size_t bytes) override;
  void Free(std::byte* page, size_t bytes, bool in_file) override;
  bool IsShort() const override { return Above(kShort); }
  bool MoveToFile(std::byte* page, size_t bytes) override;

  // Looks at the process again, at most so often as is cheap; now and then, when memory is short,
  // gives back what is free inside of it first.
  void Look();
  // The same at once: for who has just freed much.
  void LookAgain();
  // How many bytes should go to the file.
  uint64_t Excess() const;
  // True near the limit.
  bool IsFull() const { return Above(kFull); }
  // The error of what is refused for want of memory; `what` is its subject.
  Error Refusal(ErrorCode code, const std::string& what) const;
  // False when so many bytes more would come near the limit.
  bool HasRoomFor(uint64_t bytes) const {
    return !options_.limit || InUse() + bytes <= options_.limit / 100 * kFull;
  }

  uint64_t limit() const { return options_.limit; }
  uint64_t InUse() const {
    return static_cast<uint64_t>(std::max<int64_t>(0, in_use_ + since_look_));
  }
  uint64_t BytesInFile() const { return pages_.BytesInFile(); }
  bool FileIsFull() const { return file_is_full_; }

 private:
  static constexpr uint64_t kShort = 70, kFull = 90, kOver = 100, kFarOver = 125;  // percent
  static constexpr Micros kBetweenLooks = 20'000;
  static constexpr Micros kBetweenTrims = 5'000'000;

  void Count();
  bool Above(uint64_t percent) const {
    return options_.limit && InUse() > options_.limit / 100 * percent;
  }

  StateMemoryOptions options_;
  Clock& clock_;
  PageFile pages_;
  std::mutex look_mutex_;
  Micros looked_ = 0, trimmed_ = 0;
  std::atomic<int64_t> in_use_{0};
  std::atomic<int64_t> since_look_{0};  // pages taken and moved away
  std::atomic<bool> file_is_full_{false};
};

}  // namespace weir
