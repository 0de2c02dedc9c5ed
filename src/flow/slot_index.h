// From hashes to small numbers (slots, row references): linear probing in one array.  A cell has a
// number and half of its hash, so that nearly no other key is looked at before the right one, and
// growing needs no keys at all.  The numbers stand for things that are kept elsewhere; the caller
// compares them. 0xffffffff is no number.  Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "io/large_pages.h"

namespace weir {

class SlotIndex {
 public:
  SlotIndex() : cells_(64) {}

  // Calls equals(slot) for candidates; returns the slot or adds `fresh()`.
  template <class Equals, class Fresh>
  uint32_t FindOrAdd(uint64_t hash, Equals equals, Fresh fresh) {
    size_t mask = cells_.size() - 1;
    size_t at = Half(hash) & mask;
    for (; cells_[at].number; at = (at + 1) & mask) {
      if (cells_[at].hash == Half(hash) && equals(cells_[at].number - 1)) {
        return cells_[at].number - 1;
      }
    }
    uint32_t slot = fresh();
    cells_[at] = {slot + 1, Half(hash)};
    used_++;
    return slot;
  }

  static constexpr uint32_t kNone = UINT32_MAX;

  // As FindOrAdd, but adds nothing: kNone.
  template <class Equals>
  uint32_t Find(uint64_t hash, Equals equals) const {
    size_t mask = cells_.size() - 1;
    for (size_t at = Half(hash) & mask; cells_[at].number; at = (at + 1) & mask) {
      if (cells_[at].hash == Half(hash) && equals(cells_[at].number - 1)) {
        return cells_[at].number - 1;
      }
    }
    return kNone;
  }

  // To be called before FindOrAdd.
  void MakeRoom() {
    if (used_ * 5 >= cells_.size() * 3) Grow();
  }

  // Shifts back what follows, so there are no tombstones and look-ups stay short for ever.
  void Remove(uint32_t slot, uint64_t hash) {
    size_t mask = cells_.size() - 1;
    size_t at = Half(hash) & mask;
    while (cells_[at].number != slot + 1) at = (at + 1) & mask;
    size_t hole = at;
    for (size_t next = (hole + 1) & mask; cells_[next].number; next = (next + 1) & mask) {
      size_t home = cells_[next].hash & mask;
      if (((next - home) & mask) >= ((next - hole) & mask)) {
        cells_[hole] = cells_[next];
        hole = next;
      }
    }
    cells_[hole] = Cell();
    used_--;
  }

  // Forgets all numbers and keeps the room.
  void Clear() {
    cells_.assign(cells_.size(), Cell());
    used_ = 0;
  }

  // For many look-ups in an index that does not fit the nearest cache: first this for each, then a
  // prefetch of what its candidate stands for, then the look-ups.
  bool IsLarge() const { return cells_.size() > (1 << 12); }
  void Prefetch(uint64_t hash) const {
    __builtin_prefetch(&cells_[Half(hash) & (cells_.size() - 1)]);
  }
  // The first number of that hash; none: kNone.
  uint32_t Candidate(uint64_t hash) const {
    return Find(hash, [](uint32_t) { return true; });
  }

  size_t Bytes() const { return cells_.capacity() * sizeof(Cell); }

 private:
  struct Cell {
    uint32_t number = 0;  // slot + 1; 0 is free
    uint32_t hash = 0;
  };
  static uint32_t Half(uint64_t hash) { return static_cast<uint32_t>(hash); }

  // What stood in one half goes to one of two places, in order: memory is read and written in rows.
  void Grow() {
    LargeVector<Cell> old(cells_.size() * 2);
    old.swap(cells_);
    size_t mask = cells_.size() - 1;
    for (Cell cell : old) {
      if (!cell.number) continue;
      size_t at = cell.hash & mask;
      while (cells_[at].number) at = (at + 1) & mask;
      cells_[at] = cell;
    }
  }

  LargeVector<Cell> cells_;
  size_t used_ = 0;
};

}  // namespace weir
