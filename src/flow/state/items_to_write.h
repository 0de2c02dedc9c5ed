// Which items of an operator's sets (std::set, one for each slot) a snapshot still has to write.
//
// A set may be all there is, so what is written at once are some items, not a slot's.  An item says
// by the number in `saved` which snapshot has it, so that nothing is needed beside the items; one
// that comes while a snapshot is under way is none of it.  Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "flow/state/state_snapshot.h"

namespace weir {

// Item: with `mutable uint32_t saved`.
template <class Items>
class ItemsToWrite {
 public:
  using Place = typename Items::iterator;
  using Item = typename Items::value_type;

  // REQUIRES: the snapshot before has ended.
  void Begin(size_t slots) {
    CHECK(slots_ == 0 && !at_);
    number_++;
    slots_ = slots;
    slot_ = 0;
    at_.reset();
  }
  void End() {
    slots_ = slot_ = 0;
    at_.reset();
  }
  // What `saved` of a new item is.
  uint32_t number() const { return number_; }
  // True once for each item that was there when the snapshot began.
  bool Claim(const Item& item) {
    DEBUG_ASSERT(item.saved <= number_);
    if (item.saved == number_) return false;
    item.saved = number_;
    return true;
  }
  // An item is about to be erased.
  void Goes(Place item) {
    if (at_ && *at_ == item) ++*at_;
  }
  // Calls write(slot, item) for those that are left until stop() says so; true once none is.
  // `items_of` are those of a slot; the sets may be moved meanwhile.
  template <class ItemsOf, class Write>
  bool Continue(ItemsOf items_of, Write write, const StopSnapshot& stop) {
    constexpr size_t kAtOnce = 64;
    for (size_t looked = 0; slot_ < slots_;) {
      const Items& items = items_of(slot_);
      Place at = at_ ? *at_ : items.begin();
      if (at == items.end()) {
        at_.reset();
        slot_++;
      } else {
        if (Claim(*at)) write(slot_, *at);
        at_ = std::next(at);
        // The end of a set is not where it was once the set has been moved.
        if (*at_ == items.end()) {
          at_.reset();
          slot_++;
        }
      }
      if (++looked % kAtOnce == 0 && stop()) return false;
    }
    return true;
  }

 private:
  uint32_t number_ = 0;  // of the snapshot; 0: there was none yet
  size_t slots_ = 0, slot_ = 0;
  std::optional<Place> at_;  // in slot_'s items; nothing: before the first
};

}  // namespace weir
