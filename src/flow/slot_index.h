// From hashes to small numbers (slots, row references): linear probing in one array of 4-byte
// cells. The numbers stand for things that are kept elsewhere; the caller compares them. 0xffffffff
// is no number.  Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace weir {

class SlotIndex {
 public:
  SlotIndex() : cells_(64, 0) {}

  // Calls equals(slot) for candidates; returns the slot or adds `fresh()`.
  template <class Equals, class Fresh>
  uint32_t FindOrAdd(uint64_t hash, Equals equals, Fresh fresh) {
    size_t mask = cells_.size() - 1;
    size_t at = hash & mask;
    for (; cells_[at]; at = (at + 1) & mask) {
      if (equals(cells_[at] - 1)) return cells_[at] - 1;
    }
    uint32_t slot = fresh();
    cells_[at] = slot + 1;
    used_++;
    return slot;
  }

  static constexpr uint32_t kNone = UINT32_MAX;

  // As FindOrAdd, but adds nothing: kNone.
  template <class Equals>
  uint32_t Find(uint64_t hash, Equals equals) const {
    size_t mask = cells_.size() - 1;
    for (size_t at = hash & mask; cells_[at]; at = (at + 1) & mask) {
      if (equals(cells_[at] - 1)) return cells_[at] - 1;
    }
    return kNone;
  }

  // To be asked before FindOrAdd.
  bool NeedsGrowth() const { return used_ * 2 >= cells_.size(); }

  template <class HashOf>
  void Grow(HashOf hash_of) {
    std::vector<uint32_t> old(cells_.size() * 2, 0);
    old.swap(cells_);
    size_t mask = cells_.size() - 1;
    for (uint32_t cell : old) {
      if (!cell) continue;
      size_t at = hash_of(cell - 1) & mask;
      while (cells_[at]) at = (at + 1) & mask;
      cells_[at] = cell;
    }
  }

  // Shifts back what follows, so there are no tombstones and look-ups stay short for ever.
  template <class HashOf>
  void Remove(uint32_t slot, HashOf hash_of) {
    size_t mask = cells_.size() - 1;
    size_t at = hash_of(slot) & mask;
    while (cells_[at] != slot + 1) at = (at + 1) & mask;
    size_t hole = at;
    for (size_t next = (hole + 1) & mask; cells_[next]; next = (next + 1) & mask) {
      size_t home = hash_of(cells_[next] - 1) & mask;
      if (((next - home) & mask) >= ((next - hole) & mask)) {
        cells_[hole] = cells_[next];
        hole = next;
      }
    }
    cells_[hole] = 0;
    used_--;
  }

  // For many look-ups in an index that does not fit the caches: first this for each, then a
  // prefetch of what its candidate stands for, then the look-ups.
  bool IsLarge() const { return cells_.size() > (1 << 16); }
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&cells_[hash & (cells_.size() - 1)]); }
  // What stands first where a hash belongs; none: 0xffffffff.
  uint32_t Candidate(uint64_t hash) const { return cells_[hash & (cells_.size() - 1)] - 1; }

  size_t Bytes() const { return cells_.capacity() * sizeof(uint32_t); }

 private:
  std::vector<uint32_t> cells_;  // slot + 1; 0 is free
  size_t used_ = 0;
};

}  // namespace weir
