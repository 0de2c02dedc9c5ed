// Mutexes that know in which order they may be taken: a thread that holds one may only take one of
// a higher rank, so no two threads can wait for each other.  docs/internals/threads-and-locks.md
// has the whole order.
//
// Debug builds and those with a sanitizer check it at every lock (others with -DWEIR_CHECK_LOCKS);
// in release builds a Ranked is its mutex and nothing more. For a std::unique_lock<Ranked<...>>
// take std::condition_variable_any.
#pragma once

#include <cstddef>

#include "base/error.h"

namespace weir {

enum class LockRank : int {
  kReconcile = 25,  // one change of the views' registry at a time
  kAbandoned = 33,  // work that nobody needs any more
  kFeed = 35,       // the live feed's readers
  kViews = 40,      // names to views
  kKept = 45,       // one view's or pump's state
  kOutbox = 70,     // one pump's rows on their way
  kEngine = 75,     // the engine's queues
  kMarks = 80,      // how far pumps are
  kEngineInfo = 85,
  kLeaf = 90,  // nothing is taken under these
};

// What one thread holds.
class HeldLocks {
 public:
  static bool MayTake(LockRank rank);
  static void Took(LockRank rank);
  static void Released(LockRank rank);
};

#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    defined(WEIR_CHECK_LOCKS)
inline constexpr bool kLocksAreChecked = true;
#else
inline constexpr bool kLocksAreChecked = false;
#endif

template <class Mutex>
class Ranked {
 public:
  explicit Ranked(LockRank rank) : rank_(rank) {}
  Ranked(const Ranked&) = delete;

  void lock() {
    Check();
    mutex_.lock();
    Note();
  }
  void unlock() {
    Forget();
    mutex_.unlock();
  }
  void lock_shared() {
    Check();
    mutex_.lock_shared();
    Note();
  }
  void unlock_shared() {
    Forget();
    mutex_.unlock_shared();
  }

 private:
  void Check() const {
    if constexpr (kLocksAreChecked) ASSERT(HeldLocks::MayTake(rank_));
  }
  void Note() const {
    if constexpr (kLocksAreChecked) HeldLocks::Took(rank_);
  }
  void Forget() const {
    if constexpr (kLocksAreChecked) HeldLocks::Released(rank_);
  }

  Mutex mutex_;
  const LockRank rank_;
};

}  // namespace weir
