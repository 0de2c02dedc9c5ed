// Which values of a stream's dedup_key came within its window: the same event twice counts once.
//
// One open-addressed table of 120-bit hashes, each with the eight-bit number of the part of the
// window it came in.  A part is a 64th of the window, or less when many keys come: then the table
// fills up before the window is over, and forgets its oldest parts early, which Shortened() tells.
// So memory is bounded.  Rows in flight count as seen, and are taken back when their append fails.
//
// A key costs a cache miss: its place is asked for some keys ahead, and four slots that share a
// cache line are looked at together.  Thread-safe.
#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "duckdb/common/types/vector.hpp"
#include "io/memory/huge_memory.h"

namespace weir {

class DedupWindow {
 public:
  static constexpr size_t kSlotsMax = size_t{1} << 22;   // 64 MiB, 2 to 3 million keys
  static constexpr size_t kKeysMax = kSlotsMax / 4 * 3;  // so full it may be

  explicit DedupWindow(Micros window, size_t slots_max = kSlotsMax);

  struct Hash {
    uint64_t low = 0;
    uint64_t high = 0;  // its highest byte is left to the table
  };
  // Hashes of a column's values; NULLs have none and are never duplicates.
  static std::vector<std::optional<Hash>> HashesOf(duckdb::Vector& column, duckdb::idx_t count);

  struct Claimed {
    std::vector<bool> fresh;  // for each value, whether it is new
    int64_t part = 0;         // of the window, in which the new ones came
  };
  // New values count as seen from now on.  REQUIRES, as Remember: at most 2,048 values.
  Claimed Claim(const std::vector<std::optional<Hash>>& hashes, Micros now);
  // Whether one value that was just taken back is new for who came in `part`; allocates nothing.
  bool ClaimAgain(const Hash& hash, int64_t part) noexcept;
  // What was claimed counts no longer.  A value whose window is over may be another's by now, and
  // stays his.
  void TakeBack(const std::vector<std::optional<Hash>>& hashes, const Claimed& claimed) noexcept;
  // Values that came at `times`, which do not go back: each counts for a window from its own time.
  void Remember(const std::vector<std::optional<Hash>>& hashes, const Micros* times);
  // Gives back the memory of keys whose time is over; cheap when there is none.
  void Forget(Micros now);

  size_t Bytes() const;
  uint64_t Shortened() const;  // how often the table was full before the window was over

 private:
  // The high word of a slot: part number, then 56 bits of hash.  Part 0 is an empty slot.
  struct Slot {
    uint64_t low, high;
  };
  static constexpr int kPartShift = 56;
  static constexpr uint64_t kHashBits = (uint64_t{1} << kPartShift) - 1;
  static constexpr size_t kLine = 64 / sizeof(Slot);  // slots in a cache line
  static constexpr int64_t kParts = 64;               // the window is this many parts, or more
  static constexpr int64_t kPartsMax = 120;
  static constexpr int64_t kNumbers = 255;  // parts are numbered 1 to 255 in turn

  struct Part {
    Micros began = 0;
    size_t keys = 0;
  };
  static uint64_t NumberOf(int64_t part) { return static_cast<uint64_t>(part % kNumbers) + 1; }
  Part& At(int64_t part) { return parts_[static_cast<size_t>(part % kNumbers)]; }
  // Whether the part a slot came in still counts.
  bool IsLive(const Slot& slot) const {
    int64_t age =
        static_cast<int64_t>(newest_number_) - static_cast<int64_t>(slot.high >> kPartShift);
    return (age < 0 ? age + kNumbers : age) <= newest_ - oldest_;
  }
  Slot* Line(const Hash& hash) const {
    return slots_ + (hash.low & (slots_count_ - 1) & ~(kLine - 1));
  }
  void Prefetch(const std::vector<std::optional<Hash>>& hashes, size_t i) const;
  Slot* Find(const Hash& hash);
  bool Put(const Hash& hash, int64_t part);  // false: it is there already, and counts
  void Advance(Micros now);
  void Open(Micros now);
  void MakeRoom(size_t keys, Micros now);
  void Rebuild(size_t slots);
  void Sweep();
  void Clear();
  size_t LiveKeys();
  void CheckInvariants() const;

  const Micros window_, part_length_;
  const size_t slots_max_;
  mutable std::mutex mutex_;
  HugeMemory memory_;
  Slot* slots_ = nullptr;   // in memory_
  size_t slots_count_ = 0;  // a power of two, or none
  size_t used_ = 0;         // slots that are not empty
  // Parts [oldest_, newest_] count; keys come into the newest.
  std::array<Part, kNumbers> parts_{};
  int64_t oldest_ = 0, newest_ = 0;
  uint64_t newest_number_ = 1;
  int64_t swept_ = 0;    // what was the newest part at the last rebuild: no slot is of parts
  Micros swept_at_ = 0;  // that did not count then
  uint64_t shortened_ = 0;
};

}  // namespace weir
