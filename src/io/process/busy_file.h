// What the process works on, in a file that outlives it.
//
// Some work can end the process or never come to an end: DuckDB's code on rows and queries that
// others wrote.  Threads that do such work say what it is in memory that is a file's, with plain
// stores; a signal that ends the process adds which thread it hit, a watchdog how long one thing
// has taken.  The next start reads what is there and does not meet it again.
//
// A thread that works has a slot (BusyThread); pieces of work nest (BusyWork).  The file is a cache
// of hints: without it nothing is lost.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir {

// One thread's.  Relaxed: the thread writes, signal handlers and the watchdog look.
struct BusySlot {
  static constexpr uint32_t kDepth = 40;
  struct Frame {
    std::atomic<uint64_t> work;  // what it is: the same after a restart
    std::atomic<uint64_t> call;  // which of all pieces of work this is, counted from 1
  };
  std::atomic<uint32_t> depth;     // frames in use; deeper ones are not kept
  std::atomic<int32_t> ended_by;   // a signal; or kEndedByWatchdog
  std::atomic<uint64_t> position;  // how far its input had come
  std::atomic<uint64_t> stalled;   // the watchdog's: the work that takes so long
  std::atomic<uint64_t> stalled_ms;
  std::atomic<uint64_t> interrupt;  // the call that is to give up
  Frame frames[kDepth];
};

class BusyFile {
 public:
  enum Slot { kEngine, kFiller, kPlanner, kSlots };
  static constexpr int32_t kEndedByWatchdog = -1;
  static constexpr uint64_t kSuspectMs = 1000;  // less is nothing a kill would tell of

  // What a process was doing when it ended.
  struct Found {
    Slot slot;
    uint64_t work, position;
    int32_t ended_by;  // 0: killed, or the machine went, while it stood at this for kSuspectMs
  };

  // Reads what the last process left, and begins anew.  A file that cannot be had is memory only.
  // `path`: of the machine's; "": memory only.
  explicit BusyFile(const std::string& path);
  ~BusyFile();
  BusyFile(const BusyFile&) = delete;

  BusySlot& operator[](Slot slot) { return slots()[slot]; }
  const std::vector<Found>& found() const { return found_; }
  // The same work at the same position was under way at the end of the process before that one.
  bool WasThereTwice(const Found& found) const;

 private:
  struct Layout;
  BusySlot* slots();
  void Read();

  Layout* layout_ = nullptr;
  std::vector<Found> found_, before_;
};

// The slot of this thread; null: what it does is not said.
extern constinit thread_local BusySlot* busy_here;
extern constinit thread_local uint64_t busy_calls;

class BusyThread {
 public:
  explicit BusyThread(BusySlot& slot) : outer_(busy_here) { busy_here = &slot; }
  ~BusyThread() { busy_here = outer_; }

 private:
  BusySlot* outer_;
};

class BusyWork {
 public:
  explicit BusyWork(uint64_t work) : slot_(busy_here) {
    if (!slot_) return;
    depth_ = slot_->depth.load(std::memory_order_relaxed);
    if (depth_ < BusySlot::kDepth) {
      slot_->frames[depth_].work.store(work, std::memory_order_relaxed);
      slot_->frames[depth_].call.store(++busy_calls, std::memory_order_relaxed);
    }
    slot_->depth.store(depth_ + 1, std::memory_order_relaxed);
  }
  ~BusyWork() {
    if (slot_) slot_->depth.store(depth_, std::memory_order_relaxed);
  }
  BusyWork(const BusyWork&) = delete;

 private:
  BusySlot* slot_;
  uint32_t depth_ = 0;
};

// Throws Error(kTimeout) when the watchdog wants the work of this thread to give up, or work that
// it is a part of; called where work goes on from one batch of rows to the next.
[[noreturn]] void GiveUpWork();
bool IsInterrupted(const BusySlot& slot);
inline void StopIfInterrupted() {
  BusySlot* slot = busy_here;
  if (slot && slot->interrupt.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    if (IsInterrupted(*slot)) GiveUpWork();
  }
}

// From here on a signal that ends the process says so in the slot of the thread it hits.
void NoteFatalSignals();

}  // namespace weir
