#include "base/ranked_mutex.h"

#include <algorithm>
#include <array>

namespace weir {
namespace {

struct Held {
  std::array<LockRank, 16> ranks;
  size_t count = 0;
};
thread_local Held held;

}  // namespace

bool HeldLocks::MayTake(LockRank rank) {
  return held.count < held.ranks.size() &&
         std::all_of(held.ranks.begin(), held.ranks.begin() + static_cast<ptrdiff_t>(held.count),
                     [&](LockRank other) { return other < rank; });
}

void HeldLocks::Took(LockRank rank) { held.ranks[held.count++] = rank; }

// Mostly the last one taken; locks may be given back in any order.
void HeldLocks::Released(LockRank rank) {
  for (size_t i = held.count; i-- > 0;) {
    if (held.ranks[i] != rank) continue;
    held.ranks[i] = held.ranks[--held.count];
    return;
  }
}

}  // namespace weir
