// Items in order, in blocks, and these in shelves, that are cut in two as they fill: a B-tree of
// three levels, enough for what an operator keeps.
//
// Cost: a binary search on each level; half a block moves at most, now and then half a shelf's
// places.  State: the items, and as much again at worst; next to nothing more where they come in
// order.  Equal items are kept once.  Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "flow/state/allocated.h"

namespace weir {

template <class Item>
requires std::is_trivially_copyable_v<Item>
class SortedList {
 public:
  void Add(const Item& item) {
    if (shelves_.empty()) shelves_.push_back({item, {{item, {}}}});
    size_t shelf_at = At(shelves_, item);
    auto& blocks = shelves_[shelf_at].parts;
    size_t block_at = At(blocks, item);
    auto& items = blocks[block_at].parts;
    auto place = std::lower_bound(items.begin(), items.end(), item);
    if (place != items.end() && !(item < *place)) return;
    size_++;
    bool comes_last =
        place == items.end() && block_at + 1 == blocks.size() && shelf_at + 1 == shelves_.size();
    items.insert(place, item);
    if (items.size() > kFull) Split(blocks, block_at, comes_last);
    if (blocks.size() > kFull) Split(shelves_, shelf_at, comes_last);
  }

  void Erase(const Item& item) {
    if (shelves_.empty()) return;
    size_t shelf_at = At(shelves_, item);
    auto& blocks = shelves_[shelf_at].parts;
    size_t block_at = At(blocks, item);
    auto& items = blocks[block_at].parts;
    auto place = std::lower_bound(items.begin(), items.end(), item);
    if (place == items.end() || item < *place) return;
    size_--;
    items.erase(place);
    if (items.empty()) blocks.erase(blocks.begin() + static_cast<ptrdiff_t>(block_at));
    if (blocks.empty()) shelves_.erase(shelves_.begin() + static_cast<ptrdiff_t>(shelf_at));
  }

  // Calls `take` with each item that is not below `from`, in order, as long as it returns true.
  template <class Take>
  void From(const Item& from, Take take) const {
    if (shelves_.empty()) return;
    size_t shelf_at = At(shelves_, from);
    size_t block_at = At(shelves_[shelf_at].parts, from);
    auto& first = shelves_[shelf_at].parts[block_at].parts;
    size_t at =
        static_cast<size_t>(std::lower_bound(first.begin(), first.end(), from) - first.begin());
    for (; shelf_at < shelves_.size(); shelf_at++, block_at = 0) {
      auto& blocks = shelves_[shelf_at].parts;
      for (; block_at < blocks.size(); block_at++, at = 0) {
        for (auto& items = blocks[block_at].parts; at < items.size(); at++) {
          if (!take(items[at])) return;
        }
      }
    }
  }

  void Clear() {
    shelves_.clear();
    size_ = 0;
  }
  void CheckInvariants() const {
    size_t items = 0;
    const Item* last = nullptr;
    for (auto& shelf : shelves_) {
      CHECK(!shelf.parts.empty() && shelf.parts.size() <= kFull);
      // What searches go by: what comes before the place is below, but the first place takes all.
      CHECK(!last || (*last < shelf.first && !(shelf.parts[0].parts.at(0) < shelf.first)));
      for (auto& block : shelf.parts) {
        CHECK(!block.parts.empty() && block.parts.size() <= kFull);
        bool is_first = &block == &shelf.parts.front();
        CHECK(is_first || (*last < block.first && !(block.parts.front() < block.first)));
        for (auto& item : block.parts) {
          CHECK(!last || *last < item);
          last = &item;
          items++;
        }
      }
    }
    CHECK(items == size_);
  }
  size_t size() const { return size_; }
  size_t Bytes() const {
    size_t bytes = shelves_.capacity() * sizeof(Shelf);
    for (auto& shelf : shelves_) {
      bytes += shelf.parts.capacity() * sizeof(Block);
      for (auto& block : shelf.parts)
        bytes += AllocatedBytes(block.parts.capacity() * sizeof(Item));
    }
    return bytes;
  }

 private:
  static constexpr size_t kFull = 128;
  // What stands below one place, none of it below `first`, but for the very first place.
  template <class Part>
  struct Place {
    Item first;
    std::vector<Part> parts;
  };
  using Block = Place<Item>;  // never empty, nor is a shelf, between two calls
  using Shelf = Place<Block>;

  static const Item& FirstOf(const Item& item) { return item; }
  static const Item& FirstOf(const Block& block) { return block.first; }

  // The last place that does not begin above the item, or the first one.
  template <class Part>
  static size_t At(const std::vector<Place<Part>>& places, const Item& item) {
    DEBUG_ASSERT(!places.empty());
    auto above =
        std::partition_point(places.begin() + 1, places.end(),
                             [&](const Place<Part>& place) { return !(item < place.first); });
    return static_cast<size_t>(above - places.begin()) - 1;
  }

  // Halves a place; what comes in order leaves full ones behind.
  template <class Part>
  static void Split(std::vector<Place<Part>>& places, size_t at, bool comes_last) {
    auto& parts = places[at].parts;
    DEBUG_ASSERT(parts.size() == kFull + 1);
    auto middle = comes_last ? parts.end() - 1 : parts.begin() + kFull / 2;
    Place<Part> upper{FirstOf(*middle),
                      {std::make_move_iterator(middle), std::make_move_iterator(parts.end())}};
    parts.erase(middle, parts.end());
    if (comes_last) parts.shrink_to_fit();
    places.insert(places.begin() + static_cast<ptrdiff_t>(at) + 1, std::move(upper));
  }

  std::vector<Shelf> shelves_;
  size_t size_ = 0;
};

}  // namespace weir
