// Which (group, value) has been seen by whom: open addressing over cells that are key and answer in
// one, so that a look-up is one cache line.  A value is one word, and who has seen it a bit each.
// Cells are of 8 bytes while values and groups are small numbers, and of 16 otherwise.
//
// Linear probing; homes are shares of the array, as in flow/slot_index.h, so that growing reads and
// writes in rows.  Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "base/hash_seed.h"
#include "io/memory/large_pages.h"

namespace weir {

struct NarrowSeen {
  static constexpr uint64_t kGroups = 1 << 24, kValues = uint64_t{1} << 32, kBits = 8;
  uint32_t value = 0;
  uint32_t group : 24 = 0;
  uint32_t bits : 8 = 0;  // 0: the cell is free
};
struct WideSeen {
  static constexpr uint64_t kBits = 32;
  uint64_t value = 0;
  uint32_t group = 0;
  uint32_t bits = 0;
};

template <class Cell>
class SeenValues {
 public:
  SeenValues() : cells_(homes_ + kTail) {}

  static uint64_t Hash(uint64_t value, uint32_t group) {
    constexpr uint64_t kMix = 0xd6e8feb86659fd93ull;
    uint64_t hash = value + group * 0x9e3779b97f4a7c15ull;
    return FoldedProduct(hash ^ kHashSeeds.add, kHashSeeds.multiply) * kMix;
  }

  // Adds `bits`, which are not 0, and says which were there before: 0 for a new value.
  uint32_t Add(uint64_t hash, uint64_t value, uint32_t group, uint32_t bits) {
    DEBUG_ASSERT(bits != 0 && hash == Hash(value, group));
    size_t at = Home(hash);
    for (; cells_[at].bits; at++) {
      if (cells_[at].value != value || cells_[at].group != group) continue;
      uint32_t before = cells_[at].bits;
      if (bits & ~before) cells_[at].bits |= bits;
      return before;
    }
    Put(at, MakeCell(value, group, bits));
    if (++used_ * 20 >= homes_ * 13) Grow(2 * homes_);
    return 0;
  }

  // Who has seen it; 0: nobody.
  uint32_t Find(uint64_t value, uint32_t group) const {
    size_t at = Home(Hash(value, group));
    for (; cells_[at].bits; at++) {
      if (cells_[at].value == value && cells_[at].group == group) break;
    }
    return cells_[at].bits;
  }

  // Shifts back what follows: there are no tombstones.
  void Remove(uint64_t value, uint32_t group) {
    size_t hole = Home(Hash(value, group));
    for (; cells_[hole].bits; hole++) {
      if (cells_[hole].value == value && cells_[hole].group == group) break;
    }
    if (!cells_[hole].bits) return;
    for (size_t next = hole + 1; cells_[next].bits; next++) {
      if (Home(HashOf(cells_[next])) > hole) continue;
      cells_[hole] = cells_[next];
      hole = next;
    }
    cells_[hole] = Cell();
    used_--;
  }

  // For many look-ups in what does not fit the nearest cache.
  bool IsLarge() const { return homes_ > (1 << 12); }
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&cells_[Home(hash)], 1); }

  template <class Work>
  void ForEach(Work work) const {
    for (const Cell& cell : cells_) {
      if (cell.bits) work(cell);
    }
  }
  // All of another table, of cells of another width, whose order is the same.
  template <class Other>
  void Take(const SeenValues<Other>& other) {
    Reserve(other.size());
    other.ForEach([&](const Other& cell) { PutLast(MakeCell(cell.value, cell.group, cell.bits)); });
  }

  size_t size() const { return used_; }
  size_t Bytes() const { return cells_.capacity() * sizeof(Cell); }

  void CheckInvariants() const {
    CHECK(cells_.size() >= homes_ + kTail && cells_.back().bits == 0);
    size_t used = 0, gap = 0;  // the first cell behind the last free one
    for (size_t at = 0; at < cells_.size(); at++) {
      if (!cells_[at].bits) {
        gap = at + 1;
        continue;
      }
      // A probe that begins at its home meets no free cell before it.
      size_t home = Home(HashOf(cells_[at]));
      CHECK(gap <= home && home <= at);
      used++;
    }
    CHECK(used == used_);
  }

  // Calls `work` with the cells that have a hash from `from` on and one of so many homes; returns
  // the hash to go on with, 0 at the end.  A cell keeps its hash, wherever it is moved: so cells
  // may come and go, and the table may grow, between two calls.
  template <class Work>
  uint64_t From(uint64_t from, size_t homes, Work work) const {
    __extension__ using Wide = unsigned __int128;
    size_t first = Home(from), end = first + homes;
    uint64_t to =
        end >= homes_ ? 0 : static_cast<uint64_t>(((Wide{end} << 64) + homes_ - 1) / homes_);
    // What did not find room in its home stands in the run that begins there.
    for (size_t at = first; at < cells_.size() && (at < end || cells_[at].bits); at++) {
      if (!cells_[at].bits) continue;
      uint64_t hash = HashOf(cells_[at]);
      if (hash >= from && (to == 0 || hash < to)) work(cells_[at]);
    }
    return to;
  }

  // Room for so many: they come in the order of their homes, and in a table that is too short all
  // would want its first.
  void Reserve(size_t values) {
    size_t homes = homes_;
    while (values * 20 >= homes * 13) homes *= 2;
    if (homes > homes_) Grow(homes);
  }
  static uint64_t HashOf(const Cell& cell) { return Hash(cell.value, cell.group); }

 private:
  static constexpr size_t kTail = 32, kBlock = 256;

  static Cell MakeCell(uint64_t value, uint32_t group, uint32_t bits) {
    Cell cell;
    cell.value = static_cast<decltype(cell.value)>(value);
    cell.group = group;
    cell.bits = bits;
    DEBUG_ASSERT(cell.value == value && cell.group == group && cell.bits == bits);
    return cell;
  }
  size_t Home(uint64_t hash) const {
    __extension__ using Wide = unsigned __int128;
    return static_cast<size_t>((Wide{hash} * homes_) >> 64);
  }

  // The last cell is always free: it ends every probe.
  void Put(size_t at, const Cell& cell) {
    cells_[at] = cell;
    if (at + 1 == cells_.size()) cells_.resize(cells_.size() + kTail);
  }
  // In the order of their homes.
  void PutLast(const Cell& cell) {
    size_t at = Home(HashOf(cell));
    while (cells_[at].bits) at++;
    Put(at, cell);
    used_++;
  }
  void Grow(size_t homes) {
    homes_ = homes;
    used_ = 0;
    LargeVector<Cell> old(homes_ + kTail);
    old.swap(cells_);
    // In blocks, in which those that are free are left out without a branch: nobody could foretell
    // it.
    Cell used[kBlock];
    for (size_t begin = 0; begin < old.size(); begin += kBlock) {
      size_t count = 0;
      for (size_t at = begin; at < std::min(begin + kBlock, old.size()); at++) {
        used[count] = old[at];
        count += old[at].bits != 0;
      }
      for (size_t i = 0; i < count; i++) PutLast(used[i]);
    }
  }

  size_t homes_ = 64;  // cells where probes begin
  LargeVector<Cell> cells_;
  size_t used_ = 0;
};

}  // namespace weir
