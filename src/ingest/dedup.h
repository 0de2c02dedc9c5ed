// Which values of a stream's dedup_key came within its window: the same event twice counts once.
//
// One open-addressed table of 120-bit hashes, each with the eight-bit number of the part of the
// window it came in.  Memory is bounded: a table that is full forgets its oldest part early, which
// Shortened() tells.  Rows in flight count as seen, and are taken back when their append fails.
// Thread-safe.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "duckdb/common/types/vector.hpp"

namespace weir {

class DedupWindow {
 public:
  static constexpr size_t kSlotsMax = size_t{1} << 22;  // 64 MiB, 3 million keys

  explicit DedupWindow(Micros window, size_t slots_max = kSlotsMax);

  struct Hash {
    uint64_t low = 0;
    uint64_t high = 0;  // its highest byte is left to the table
  };
  // Hashes of a column's values; NULLs have none and are never duplicates.
  static std::vector<std::optional<Hash>> HashesOf(duckdb::Vector& column, duckdb::idx_t count);

  // For each value whether it is new; new ones count as seen from now on.
  std::vector<bool> Claim(const std::vector<std::optional<Hash>>& hashes, Micros now);
  void TakeBack(const std::vector<std::optional<Hash>>& hashes, const std::vector<bool>& claimed);
  // Gives back the memory of keys whose time is over; cheap when there is none.
  void Forget(Micros now);

  size_t Bytes() const;
  uint64_t Shortened() const;  // how often the table was full before the window was over

 private:
  // The high word of a slot: part number, then 56 bits of hash.  Part 0 is an empty slot.
  struct Slot {
    uint64_t low = 0, high = 0;
  };
  static constexpr int kPartShift = 56;
  static constexpr uint64_t kHashBits = (uint64_t{1} << kPartShift) - 1;
  static constexpr int64_t kParts = 64;  // the window is this many parts

  uint64_t PartOf(int64_t number) const;
  bool IsLive(const Slot& slot) const;
  Slot* Find(const Hash& hash);
  void Advance(Micros now);
  void MakeRoom(size_t keys);
  void Rebuild(size_t slots);

  const Micros part_length_;
  const size_t slots_max_;
  mutable std::mutex mutex_;
  std::vector<Slot> slots_;
  size_t used_ = 0;        // slots that are not empty
  int64_t now_ = 0;        // number of the current part
  int64_t live_ = kParts;  // how many parts count, fewer after the table was full
  int64_t swept_ = 0;      // the part of the last rebuild
  uint64_t shortened_ = 0;
};

}  // namespace weir
