// Which rows of a store a snapshot still has to write: in the order in which they stand, those that
// are about to change first.  Not thread-safe.
#pragma once

#include "flow/state/row_store.h"
#include "flow/state/state_snapshot.h"

namespace weir {

class RowsToWrite {
 public:
  void Begin(const RowStore& store) {
    units_.Begin(store.Numbers());
    next_ = RowStore::kFirst;
    end_ = store.End();
  }
  // True once for each row; also for one that has come since, where one stood that had to be
  // written: its weight is 0 then.
  bool Claim(const RowStore& store, RowRef ref) { return units_.Claim(store.NumberOf(ref)); }
  // Calls write(ref) for those that are left until stop() says so; true once none is.
  template <class Write>
  bool Continue(const RowStore& store, Write write, const StopSnapshot& stop) {
    constexpr size_t kAtOnce = 64;
    CHECK(end_ <= store.End());  // places stay what they are, and new ones come behind
    size_t looked = 0;
    next_ = store.ForEachFrom(next_, end_, [&](RowRef ref) {
      if (Claim(store, ref)) write(ref);
      return ++looked % kAtOnce != 0 || !stop();
    });
    return next_ >= end_;
  }
  void End() { units_.End(); }

 private:
  UnitsToWrite units_;              // by number
  RowRef next_ = 0, end_ = kNoRow;  // where it stands, and where it ends
};

}  // namespace weir
