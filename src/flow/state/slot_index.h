// From hashes to small numbers (slots, row references): linear probing in one array.  A cell has a
// number and half of its hash, so that nearly no other key is looked at before the right one, and
// growing needs no keys at all.  A hash's home is its share of the array (Lemire, "Fast Random
// Integer Generation in an Interval", 2019), which may so be of any length, and growing keeps the
// order of cells: memory is read and written in rows.  The numbers stand for things that are kept
// elsewhere; the caller compares them.  0xffffffff is no number.  Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/error.h"
#include "io/memory/large_pages.h"

namespace weir {

class SlotIndex {
 public:
  // How many cells are in use: of ten, three to six, which makes look-ups quick; or four and a half
  // to six and a half.
  enum class Room { kWide, kTight };

  explicit SlotIndex(Room room = Room::kWide) : room_(room), cells_(homes_ + kTail) {}

  // Calls equals(slot) for candidates; returns the slot or adds `fresh()`.
  // REQUIRES: MakeRoom was called since the last one was added.
  template <class Equals, class Fresh>
  uint32_t FindOrAdd(uint64_t hash, Equals equals, Fresh fresh) {
    size_t at = Home(Half(hash));
    for (; cells_[at].number; at++) {
      if (cells_[at].hash == Half(hash) && equals(cells_[at].number - 1)) {
        return cells_[at].number - 1;
      }
    }
    CHECK(used_ < homes_);
    uint32_t slot = fresh();
    CHECK(slot != kNone);  // there are no more than its field can tell apart
    Put(at, {slot + 1, Half(hash)});
    used_++;
    return slot;
  }

  static constexpr uint32_t kNone = UINT32_MAX;

  // As FindOrAdd, but adds nothing: kNone.
  template <class Equals>
  uint32_t Find(uint64_t hash, Equals equals) const {
    for (size_t at = Home(Half(hash)); cells_[at].number; at++) {
      if (cells_[at].hash == Half(hash) && equals(cells_[at].number - 1)) {
        return cells_[at].number - 1;
      }
    }
    return kNone;
  }

  void MakeRoom() {
    if (used_ * 20 >= homes_ * (room_ == Room::kTight ? 13 : 12)) Grow();
  }

  // Shifts back what follows, so there are no tombstones and look-ups stay short for ever.
  // REQUIRES: the slot was added by that hash.
  void Remove(uint32_t slot, uint64_t hash) {
    size_t hole = Home(Half(hash));
    for (; cells_[hole].number != slot + 1; hole++) CHECK(cells_[hole].number != 0);
    for (size_t next = hole + 1; cells_[next].number; next++) {
      if (Home(cells_[next].hash) > hole) continue;
      cells_[hole] = cells_[next];
      hole = next;
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
  bool IsLarge() const { return homes_ > (1 << 12); }
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&cells_[Home(Half(hash))]); }
  // The first number of that hash; none: kNone.
  uint32_t Candidate(uint64_t hash) const {
    return Find(hash, [](uint32_t) { return true; });
  }

  // Both for many hashes, where the index is large: the candidates, and what `key` says of each is
  // fetched.  All are kNone otherwise.
  template <class Key>
  void Candidates(const uint64_t* hashes, size_t count, uint32_t* candidates, Key key) const {
    if (!IsLarge()) {
      std::fill_n(candidates, count, kNone);
      return;
    }
    for (size_t i = 0; i < count; i++) Prefetch(hashes[i]);
    for (size_t i = 0; i < count; i++) {
      candidates[i] = Candidate(hashes[i]);
      if (candidates[i] != kNone) __builtin_prefetch(key(candidates[i]));
    }
  }

  size_t Bytes() const { return cells_.capacity() * sizeof(Cell); }
  size_t size() const { return used_; }

  // Calls `number(slot, half of its hash)` with each number that is here.
  template <class Number>
  void CheckInvariants(Number number) const {
    CHECK(cells_.size() >= homes_ + kTail && cells_.back().number == 0);
    size_t used = 0, gap = 0;  // the first cell behind the last free one
    for (size_t at = 0; at < cells_.size(); at++) {
      if (cells_[at].number == 0) {
        gap = at + 1;
        continue;
      }
      // A probe that begins at its home meets no free cell before it.
      CHECK(gap <= Home(cells_[at].hash) && Home(cells_[at].hash) <= at);
      number(cells_[at].number - 1, cells_[at].hash);
      used++;
    }
    CHECK(used == used_);
  }
  static uint32_t Half(uint64_t hash) { return static_cast<uint32_t>(hash); }

 private:
  struct Cell {
    uint32_t number = 0;  // slot + 1; 0 is free
    uint32_t hash = 0;
  };
  static constexpr size_t kTail = 32, kBlock = 256;

  size_t Home(uint32_t half) const { return (uint64_t{half} * homes_) >> 32; }

  // The last cell is always free: it ends every probe.
  void Put(size_t at, Cell cell) {
    cells_[at] = cell;
    if (at + 1 == cells_.size()) cells_.resize(cells_.size() + kTail);
  }

  void Grow() {
    homes_ += room_ == Room::kTight ? homes_ / 2 : homes_;
    LargeVector<Cell> old(homes_ + kTail);
    old.swap(cells_);
    // In blocks, in which those that are free are left out without a branch: nobody could foretell
    // it.
    Cell used[kBlock];
    for (size_t begin = 0; begin < old.size(); begin += kBlock) {
      size_t count = 0;
      for (size_t at = begin; at < std::min(begin + kBlock, old.size()); at++) {
        used[count] = old[at];
        count += old[at].number != 0;
      }
      for (size_t i = 0; i < count; i++) {
        size_t at = Home(used[i].hash);
        while (cells_[at].number) at++;
        Put(at, used[i]);
      }
    }
  }

  Room room_;
  size_t homes_ = 64;  // cells where probes begin; those behind take what found no room
  LargeVector<Cell> cells_;
  size_t used_ = 0;
};

}  // namespace weir
