// Idempotency keys seen in the last day: a body that comes again with the same key counts once.
//
// Who comes with a key whose first body is on its way waits, without a thread, for its outcome, and
// takes its place when it comes to nothing.  Bounded in time, number and bytes.  Thread-safe.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash_bytes.h"
#include "ingest/meta.h"
#include "ingest/task_thread.h"

namespace weir {

class IdempotencyWindow {
  struct Entry;
  struct Hash {
    size_t operator()(const std::string& key) const { return HashBytes(key); }
  };
  using Entries = std::unordered_map<std::string, Entry, Hash>;

 public:
  static constexpr size_t kKeysMax = 200'000;
  static constexpr size_t kBytesMax = 64 << 20;
  static constexpr Micros kWindow = 24ll * 3600 * 1'000'000;

  // `resumed` gets the tasks of those that take a place over; outlives this.
  explicit IdempotencyWindow(TaskThread& resumed, size_t bytes_max = kBytesMax)
      : resumed_(resumed), bytes_max_(bytes_max) {}

  // A key whose body is on its way.  Gone without Finish, the key is free again, or goes to the
  // first of those that wait for it.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept
        : window_(std::exchange(other.window_, nullptr)), at_(other.at_) {}
    Ticket& operator=(Ticket&& other) noexcept {
      Abandon();
      window_ = std::exchange(other.window_, nullptr);
      at_ = other.at_;
      return *this;
    }
    ~Ticket() { Abandon(); }
    explicit operator bool() const { return window_ != nullptr; }

    // Before the append: the answer that Finish makes final, but for its offset.
    // REQUIRES, as Finish, which comes after it: a key.
    void Prepare(const IngestAnswer& answer);
    void Finish(Offset offset, Micros time) noexcept;
    void Abandon() noexcept;

   private:
    friend class IdempotencyWindow;
    IdempotencyWindow* window_ = nullptr;
    Entries::value_type* at_ = nullptr;
  };

  // Who comes while the first is on its way: gets its answer, or takes its place.
  struct Waiting {
    std::function<void(IngestAnswer)> answered;
    std::shared_ptr<Ticket> place;  // gets the ticket before `take_over` is done
    TaskThread::Task take_over;     // by the thread that resumes
  };

  enum class Begun { kMine, kAnswered, kConflict, kOnItsWay };
  // kMine: `ticket` is the caller's.  kAnswered, kConflict: `answer` says what.  kOnItsWay: when
  // `waiting` has an element, it was taken and waits.  `use` is a fingerprint of the body and of
  // what was to be done with it.  REQUIRES: `ticket` has no key.
  Begun Begin(const std::string& key, uint64_t use, Ticket& ticket, IngestAnswer& answer,
              std::list<Waiting>* waiting = nullptr);

  // From the log, at the start; a key that is there already stays as it is.
  void Remember(const std::string& key, uint64_t use, IngestAnswer answer, Micros time);

  // All keys that are finished, as bytes, and back: for when the log forgets the records they stand
  // in.  One thread at a time; others use the window meanwhile, and what they finish may be in it.
  std::string Save();
  void Load(std::string_view bytes);  // throws Error(kCorruption)

  // Drops who waits: nobody will resume them.
  void Close();

  struct Info {
    size_t keys = 0, bytes = 0;
    uint64_t shortened = 0;  // keys forgotten before their time, for want of room
  };
  Info Now() const;

 private:
  struct Finished {
    Micros time;
    const std::string* key;
  };
  struct Entry {
    uint64_t use = 0;
    bool finished = false;
    size_t bytes = 0;
    IngestAnswer answer;
    std::list<Waiting> waiting;
    std::list<Finished> place;  // one, until it stands in order_
  };
  void Keep(Entries::value_type& entry, Micros time) noexcept;
  void Forget(Micros now) noexcept;

  TaskThread& resumed_;
  const size_t bytes_max_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::list<Finished> order_;                                // oldest first
  std::list<Finished>::iterator next_saved_ = order_.end();  // while they are saved
  size_t bytes_ = 0;                                         // of finished ones
  uint64_t shortened_ = 0;
};

}  // namespace weir
