// The steps readers may look at.  The engine publishes one after the other; a reader pins the last
// one and sees every view as that step left it, while the engine goes on.  Thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/ids.h"
#include "base/ranked_mutex.h"

namespace weir {

struct Version {
  uint64_t step = 0;
  Offset offset;
  Micros as_of = 0;
  Micros log_time = 0;
};

class Versions {
 public:
  // REQUIRES: a later step, and nothing of it before that of the last one.
  void Publish(const Version& version) {
    std::lock_guard lock(mutex_);
    CHECK(version.step > current_.step && version.offset >= current_.offset);
    CHECK(version.as_of >= current_.as_of && version.log_time >= current_.log_time);
    current_ = version;
  }
  Version Current() const {
    std::lock_guard lock(mutex_);
    return current_;
  }

  // The current version, which stays readable while the pointer lives.
  std::shared_ptr<const Version> Pin() {
    // Before the lock, which its end takes as well: also when there is no memory for the place.
    auto pinned = std::make_shared<Pinned>(*this);
    {
      std::lock_guard lock(mutex_);
      pinned->place = pinned_.insert(current_.step);
      pinned->version = current_;
    }
    return {pinned, &pinned->version};
  }

  // No reader looks at a step before this one.
  uint64_t Oldest() const {
    std::lock_guard lock(mutex_);
    DEBUG_ASSERT(pinned_.empty() || *pinned_.rbegin() <= current_.step);
    return pinned_.empty() ? current_.step : std::min(*pinned_.begin(), current_.step);
  }

 private:
  struct Pinned {
    explicit Pinned(Versions& versions) : of(versions) {}
    ~Pinned() {
      if (!place) return;
      std::lock_guard lock(of.mutex_);
      of.pinned_.erase(*place);
    }
    Pinned(const Pinned&) = delete;

    Versions& of;
    std::optional<std::multiset<uint64_t>::iterator> place;
    Version version;
  };

  mutable Ranked<std::mutex> mutex_{LockRank::kLeaf};
  Version current_;
  std::multiset<uint64_t> pinned_;
};

}  // namespace weir
