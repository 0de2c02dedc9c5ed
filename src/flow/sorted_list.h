// Items in order, in blocks that are cut in two as they fill: a B-tree of two levels.
//
// Cost: a binary search over the blocks and one in a block; half a block moves at most.  State: the
// items, and as much again at worst; next to nothing more where they come in order.  Equal items
// are kept once.  Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "flow/allocated.h"

namespace weir {

template <class Item>
requires std::is_trivially_copyable_v<Item>
class SortedList {
 public:
  void Add(const Item& item) {
    if (blocks_.empty()) blocks_.emplace_back();
    auto block = BlockOf(item);
    auto place = std::lower_bound(block->begin(), block->end(), item);
    if (place != block->end() && !(item < *place)) return;
    size_++;
    if (block->size() < kBlock) {
      block->insert(place, item);
      return;
    }
    // What comes in order leaves full blocks behind.
    bool at_end = place == block->end() && block + 1 == blocks_.end();
    Block upper(at_end ? block->end() : block->begin() + kBlock / 2, block->end());
    block->erase(block->end() - static_cast<ptrdiff_t>(upper.size()), block->end());
    bool to_lower = !upper.empty() && item < upper.front();
    auto& half = to_lower ? *block : upper;
    half.insert(std::lower_bound(half.begin(), half.end(), item), item);
    blocks_.insert(block + 1, std::move(upper));
  }

  void Erase(const Item& item) {
    if (blocks_.empty()) return;
    auto block = BlockOf(item);
    auto place = std::lower_bound(block->begin(), block->end(), item);
    if (place == block->end() || item < *place) return;
    size_--;
    block->erase(place);
    if (block->empty()) blocks_.erase(block);
  }

  // Calls `take` with each item that is not below `from`, in order, as long as it returns true.
  template <class Take>
  void From(const Item& from, Take take) const {
    if (blocks_.empty()) return;
    auto block = BlockOf(from);
    auto place = std::lower_bound(block->begin(), block->end(), from);
    for (;;) {
      for (; place != block->end(); ++place) {
        if (!take(*place)) return;
      }
      if (++block == blocks_.end()) return;
      place = block->begin();
    }
  }

  void Clear() {
    blocks_.clear();
    size_ = 0;
  }
  size_t size() const { return size_; }
  size_t Bytes() const {
    size_t items = 0;
    for (auto& block : blocks_) items += block.capacity();
    return items * sizeof(Item) + blocks_.capacity() * sizeof(Block);
  }

 private:
  static constexpr size_t kBlock = 128;  // items
  using Block = std::vector<Item>;       // none is empty

  // The last block that does not begin above the item, or the first one.
  template <class Blocks>
  static auto BlockIn(Blocks& blocks, const Item& item) {
    auto above = std::upper_bound(
        blocks.begin() + 1, blocks.end(), item,
        [](const Item& wanted, const Block& block) { return wanted < block.front(); });
    return above - 1;
  }
  auto BlockOf(const Item& item) { return BlockIn(blocks_, item); }
  auto BlockOf(const Item& item) const { return BlockIn(blocks_, item); }

  std::vector<Block> blocks_;
  size_t size_ = 0;
};

}  // namespace weir
