// The keys of a stream with a dedup_key: which came within its window, and whose rows are on their
// way to the disk.
//
// A body claims the keys of its rows, and its claim ends when they are durable or will never be.
// Until then nobody knows whether a row with the same key, of another body, is a duplicate: that
// body waits, without a thread, for the claims before its own that hold such keys.  When one of
// them fails, its keys go to those that wait for them, in the order in which they came.  Bodies
// wait only for earlier ones, so none waits for ever.
//
// After a start the keys of the window are read back first (Remember, Recovered); bodies wait for
// that, too, as long as it may be over soon.  Thread-safe; claims must end before their KeyClaims
// goes (Close).
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "ingest/dedup.h"
#include "ingest/task_thread.h"

namespace weir {

class KeyClaims {
  struct Claim;

 public:
  using Hashes = std::vector<std::optional<DedupWindow::Hash>>;

  // `resumed` gets the tasks of those that need not wait any more; outlives this.
  KeyClaims(Micros window, bool recovered, TaskThread& resumed)
      : window_(window), resumed_(resumed), recovered_(recovered) {}
  ~KeyClaims() { ASSERT(in_flight_.empty()); }

  // One body's claim.  Gone without an end, its keys are free again.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept
        : claims_(std::exchange(other.claims_, nullptr)), at_(other.at_) {}
    Ticket& operator=(Ticket&& other) noexcept {
      End(false);
      claims_ = std::exchange(other.claims_, nullptr);
      at_ = other.at_;
      return *this;
    }
    ~Ticket() { End(false); }

    explicit operator bool() const { return claims_ != nullptr; }
    bool MayGoOn() const;
    // Whether it may go on now.  Otherwise `later` is done, by the thread that resumes, when it
    // may, and is empty on return.
    // REQUIRES: it does not wait yet.
    bool Wait(TaskThread::Task& later);
    // For each row of a chunk, in the order in which Take got them, whether its key is new.
    // REQUIRES: it may go on.
    const std::vector<bool>& Fresh(size_t chunk) const;
    // The rows are durable, or never will be.  REQUIRES, of those that are: it may go on.
    void End(bool durable) noexcept;

   private:
    friend class KeyClaims;
    KeyClaims* claims_ = nullptr;
    std::list<Claim>::iterator at_;
  };

  // Claims the keys of a body, of at most 2,048 a chunk.  Throws kUnavailable when those of the
  // window are not known yet.
  Ticket Take(std::vector<Hashes> hashes, Micros now);

  void Remember(const Hashes& hashes, const Micros* times) { window_.Remember(hashes, times); }
  void Recovered();  // REQUIRES: it was not
  bool IsRecovered() const;
  void CannotRecover(const std::string& why);  // as long as it is tried again
  // Whether nobody waits for the keys of the window: they are known, or take too long.  Otherwise
  // `later` is done once that holds, by the thread that resumes, and is empty on return.
  bool AwaitRecovery(TaskThread::Task& later);
  void WaitNoLonger();  // for the keys of the window

  // Drops what waits: nobody will resume it.
  void Close();

  DedupWindow& window() { return window_; }

 private:
  // A row whose key another claim holds.
  struct Pending {
    DedupWindow::Hash hash;
    const Claim* holder;
    uint32_t chunk, row;
  };
  struct Claim {
    std::vector<Hashes> hashes;
    std::vector<DedupWindow::Claimed> claimed;  // for each chunk of hashes
    std::vector<Pending> pending;               // in the order of their hashes
    TaskThread::Task later;                     // what waits
  };

  void FindHolders(Claim& claim);
  template <class Maybe, class Found>
  static void ForEachHeld(const Claim& claim, std::vector<Pending>& rows, const Maybe& maybe,
                          const Found& found);
  void Hand(Claim& waiting, const Claim& failed) noexcept;
  void TakeBack(const Claim& claim) noexcept;
  void Resume(TaskThread::Task tasks) noexcept;
  bool IsBefore(const Claim* earlier, const Claim& claim) const noexcept;
  void CheckInvariants() const noexcept;  // under mutex_

  DedupWindow window_;
  TaskThread& resumed_;
  mutable std::mutex mutex_;
  bool recovered_;
  bool awaited_ = true;              // until it is recovered, or that takes too long
  TaskThread::Task await_recovery_;  // any number of tasks
  std::string trouble_;              // why recovery does not come to an end
  std::list<Claim> in_flight_;       // in the order they were taken
};

}  // namespace weir
