// What views and pumps have in common: operators in the circuit, and a state that is shown.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/ranked_mutex.h"
#include "flow/operator.h"
#include "views/views.h"

namespace weir {

// What a view or pump is, as the catalog has it: replaced when it is renamed, read by any thread.
template <class T>
class Definition {
 public:
  std::shared_ptr<const T> Get() const {
    std::lock_guard lock(mutex_);
    return value_;
  }
  std::shared_ptr<const T> operator->() const { return Get(); }
  void operator=(std::shared_ptr<const T> value) {
    std::lock_guard lock(mutex_);
    value_ = std::move(value);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

struct Kept {
  // What it shows is whole now.  Should it be parked, by whatever thread, it stays so.
  void BecomeLive() {
    std::lock_guard lock(mutex);
    if (status == ViewStatus::kParked) return;
    status = ViewStatus::kLive;
    progress = 1;
  }

  // The engine's (or, while filling, the filler's).
  std::vector<Operator*> operators;  // all it needs, inputs first

  std::atomic<ViewStatus> status{ViewStatus::kFilling};  // written under `mutex`
  std::atomic<bool> is_wanted{true};                     // false: it was dropped or replaced

  mutable Ranked<std::mutex> mutex{LockRank::kKept};  // guards what follows
  double progress = 0;
  std::vector<uint64_t> works;  // the operators it needs, as BusyFile has them
  std::optional<Error> error;
  // What it reads is why it is parked, so the next start would find the same: it stays parked.
  bool stays_parked = false;
};

}  // namespace weir
