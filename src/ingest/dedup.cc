#include "ingest/dedup.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/hash_seed.h"
#include "duckdb/common/types/hash.hpp"
#include "duckdb/common/types/value.hpp"

namespace weir {
namespace {

constexpr size_t kSlotsMin = 4096;  // room for the keys of one chunk

// The finalizer of MurmurHash3.
uint64_t Mix(uint64_t word) {
  word ^= word >> 33;
  word *= 0xff51afd7ed558ccdull;
  word ^= word >> 33;
  word *= 0xc4ceb9fe1a85ec53ull;
  return word ^ (word >> 33);
}

// What producers choose is mixed with what they cannot know, before it says a place in the table.
DedupWindow::Hash HashWords(uint64_t a, uint64_t b) {
  uint64_t low = Mix(a ^ Mix(b + kHashSeeds.add));
  return {low, Mix(b ^ Mix(a + kHashSeeds.multiply))};
}

DedupWindow::Hash HashBytes(const char* data, size_t size) {
  uint64_t other = 0xcbf29ce484222325ull;  // FNV-1a, independent of DuckDB's hash
  for (size_t i = 0; i < size; i++)
    other = (other ^ static_cast<unsigned char>(data[i])) * 0x100000001b3ull;
  return HashWords(duckdb::Hash(data, size), other);
}

}  // namespace

DedupWindow::DedupWindow(Micros window, size_t slots_max)
    : window_(window),
      part_length_(std::max<Micros>(1, (window + kParts - 1) / kParts)),
      slots_max_(std::max(std::bit_ceil(slots_max), kSlotsMin)) {}

std::vector<std::optional<DedupWindow::Hash>> DedupWindow::HashesOf(duckdb::Vector& column,
                                                                    duckdb::idx_t count) {
  std::vector<std::optional<Hash>> hashes(count);
  duckdb::UnifiedVectorFormat format;
  column.ToUnifiedFormat(count, format);
  auto type = column.GetType().InternalType();
  for (duckdb::idx_t i = 0; i < count; i++) {
    auto index = format.sel->get_index(i);
    if (!format.validity.RowIsValid(index)) continue;
    if (type == duckdb::PhysicalType::INT128) {
      auto& value = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::hugeint_t>(format)[index];
      hashes[i] = HashWords(value.lower, static_cast<uint64_t>(value.upper));
    } else if (type == duckdb::PhysicalType::VARCHAR) {
      auto& text = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::string_t>(format)[index];
      hashes[i] = HashBytes(text.GetData(), text.GetSize());
    } else if (duckdb::TypeIsConstantSize(type)) {
      auto width = duckdb::GetTypeIdSize(type);
      hashes[i] = HashBytes(reinterpret_cast<const char*>(format.data) + index * width, width);
    } else {
      std::string text = column.GetValue(i).ToString();
      hashes[i] = HashBytes(text.data(), text.size());
    }
  }
  return hashes;
}

// The slot of a hash, or an empty one where it belongs.
DedupWindow::Slot* DedupWindow::Find(const Hash& hash) {
  Slot* line = Line(hash);
  while (true) {
    unsigned same = 0, empty = 0;
#pragma GCC unroll 4
    for (unsigned i = 0; i < kLine; i++) {
      uint64_t differs = (line[i].low ^ hash.low) | ((line[i].high ^ hash.high) & kHashBits);
      same |= (differs == 0) ? 1u << i : 0;
      empty |= (line[i].high == 0) ? 1u << i : 0;
    }
    if (same) return line + __builtin_ctz(same);
    if (empty) return line + __builtin_ctz(empty);
    line += kLine;
    if (line == slots_ + slots_count_) line = slots_;
  }
}

size_t DedupWindow::LiveKeys() {
  size_t keys = 0;
  for (int64_t part = oldest_; part <= newest_; part++) keys += At(part).keys;
  return keys;
}

void DedupWindow::Open(Micros now) {
  newest_++;
  newest_number_ = NumberOf(newest_);
  At(newest_) = {now, 0};
  if (newest_ - oldest_ >= kPartsMax) oldest_++;
}

void DedupWindow::Clear() {
  memory_ = HugeMemory();
  slots_ = nullptr;
  slots_count_ = used_ = 0;
}

// Find ends because some slot is empty, and IsLive is right because no two parts that count have
// the same number.
void DedupWindow::CheckInvariants() const {
  ASSERT(oldest_ <= newest_ && newest_ - oldest_ < kPartsMax);
  ASSERT(newest_number_ == NumberOf(newest_));
  ASSERT(used_ < slots_count_ || slots_count_ == 0);
  ASSERT((slots_count_ == 0) == (slots_ == nullptr) && slots_count_ <= slots_max_);
}

// Opens a part when it is time for one, and leaves those behind in which the window begins.
void DedupWindow::Advance(Micros now) {
  bool late = now - At(newest_).began >= part_length_;
  if (late || At(newest_).keys >= slots_max_ / 16) Open(now);
  while (oldest_ < newest_ && now - At(oldest_).began >= window_ + part_length_) oldest_++;
  if (used_ == 0) return;
  if (oldest_ == newest_ && At(newest_).keys == 0) {
    Clear();
  } else if (newest_ - swept_ >= kNumbers - kPartsMax - 2) {
    Rebuild(slots_count_);  // the numbers of parts long gone must not come round again
  }
}

// Room for so many more keys in a table that is at most three quarters full.
void DedupWindow::MakeRoom(size_t keys, Micros now) {
  CheckInvariants();
  if ((used_ + keys) * 4 <= slots_count_ * 3) return;
  size_t wanted = std::max(slots_count_, kSlotsMin), live = LiveKeys() + keys;
  while (live * 2 > wanted && wanted < slots_max_) wanted *= 2;
  if (live * 4 > wanted * 3) {
    shortened_++;
    if (oldest_ == newest_) Open(now);
    while (live * 2 > wanted && oldest_ < newest_) live -= At(oldest_++).keys;
  }
  Rebuild(wanted);
  ASSERT((used_ + keys) * 4 <= slots_count_ * 3);
}

// Leaves only keys that count.  They keep their order, so that both tables are gone through from
// front to back.
void DedupWindow::Rebuild(size_t slots) {
  ASSERT(std::has_single_bit(slots) && slots >= kSlotsMin && slots <= slots_max_);
  if (slots == slots_count_) return Sweep();
  HugeMemory memory(slots * sizeof(Slot));
  std::swap(memory, memory_);
  const Slot* old = std::exchange(slots_, static_cast<Slot*>(memory_.data()));
  size_t old_count = std::exchange(slots_count_, slots);
  used_ = 0;
  for (size_t i = 0; i < old_count; i++) {
    const Slot& slot = old[i];
    if (slot.high == 0 || !IsLive(slot)) continue;
    *Find({slot.low, slot.high}) = slot;
    used_++;
  }
  DEBUG_ASSERT(used_ <= LiveKeys());
  swept_ = newest_;
  swept_at_ = At(newest_).began;
}

// The same within the table.  A key stands in the line of its hash or, when that and those behind
// it are full, in the next: so behind a line with room, each key that is taken out and put back in
// turn stays where it is or moves up to where a key was that no longer counts.
void DedupWindow::Sweep() {
  auto has_room = [](const Slot* line) {
    return std::any_of(line, line + kLine, [](auto& slot) { return slot.high == 0; });
  };
  size_t first = 0;
  while (!has_room(slots_ + first)) first += kLine;  // a quarter of all slots is empty
  used_ = 0;
  for (size_t passed = kLine; passed <= slots_count_; passed += kLine) {
    Slot* line = slots_ + ((first + passed) & (slots_count_ - 1));
    for (size_t i = 0; i < kLine; i++) {
      Slot slot = std::exchange(line[i], Slot{0, 0});
      if (slot.high == 0 || !IsLive(slot)) continue;
      *Find({slot.low, slot.high}) = slot;
      used_++;
    }
  }
  DEBUG_ASSERT(used_ <= LiveKeys());
  swept_ = newest_;
  swept_at_ = At(newest_).began;
}

bool DedupWindow::Put(const Hash& hash, int64_t part) {
  DEBUG_ASSERT(oldest_ <= part && part <= newest_);
  Slot* slot = Find(hash);
  bool empty = slot->high == 0;
  if (!empty && IsLive(*slot)) return false;
  used_ += empty;
  *slot = {hash.low, NumberOf(part) << kPartShift | (hash.high & kHashBits)};
  return true;
}

// Asks for the place of a hash that is looked for soon.
void DedupWindow::Prefetch(const std::vector<std::optional<Hash>>& hashes, size_t i) const {
  constexpr size_t kAhead = 16;
  i += kAhead;
  if (i < hashes.size() && hashes[i]) __builtin_prefetch(Line(*hashes[i]), 1);
}

DedupWindow::Claimed DedupWindow::Claim(const std::vector<std::optional<Hash>>& hashes,
                                        Micros now) {
  Claimed claimed;
  claimed.fresh.resize(hashes.size(), true);
  ASSERT(hashes.size() <= kSlotsMin / 2);
  std::lock_guard lock(mutex_);
  Advance(now);
  MakeRoom(hashes.size(), now);
  claimed.part = newest_;
  size_t count = 0;
  for (size_t i = 0; i < hashes.size(); i++) {
    Prefetch(hashes, i);
    if (!hashes[i]) continue;
    bool is_new = Put(*hashes[i], newest_);
    claimed.fresh[i] = is_new;
    count += is_new;
  }
  At(newest_).keys += count;
  return claimed;
}

bool DedupWindow::ClaimAgain(const Hash& hash, int64_t part) noexcept {
  std::lock_guard lock(mutex_);
  if (part < oldest_) return true;  // its window is over
  // Its old place is still there, unless the table was made anew; then there is room.
  if (!slots_ || used_ + kLine >= slots_count_) return true;
  bool is_new = Put(hash, part);
  At(part).keys += is_new;
  return is_new;
}

void DedupWindow::Remember(const std::vector<std::optional<Hash>>& hashes, const Micros* times) {
  ASSERT(hashes.size() <= kSlotsMin / 2);
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < hashes.size(); i++) {
    // Rows of one record came at one time.
    if (i == 0 || times[i] != times[i - 1]) {
      Advance(times[i]);
      MakeRoom(hashes.size() - i, times[i]);
    }
    Prefetch(hashes, i);
    if (hashes[i]) At(newest_).keys += Put(*hashes[i], newest_);
  }
}

void DedupWindow::TakeBack(const std::vector<std::optional<Hash>>& hashes,
                           const Claimed& claimed) noexcept {
  ASSERT(claimed.fresh.size() == hashes.size());
  std::lock_guard lock(mutex_);
  if (!slots_ || claimed.part < oldest_) return;
  for (size_t i = 0; i < hashes.size(); i++) {
    if (!hashes[i] || !claimed.fresh[i]) continue;
    Slot* slot = Find(*hashes[i]);
    // As if it had come before the window: what is behind it in the table is still found.
    if (slot->high >> kPartShift == NumberOf(claimed.part)) {
      slot->high = NumberOf(oldest_ + kNumbers - 1) << kPartShift | (slot->high & kHashBits);
    }
  }
}

void DedupWindow::Forget(Micros now) {
  std::lock_guard lock(mutex_);
  if (!slots_ || now - swept_at_ < window_ / 8) return;
  Advance(now);
  if (!slots_) return;
  size_t wanted = slots_count_, live = LiveKeys();
  while (wanted > kSlotsMin && live * 4 < wanted) wanted /= 2;
  Rebuild(wanted);
  swept_at_ = now;
}

size_t DedupWindow::Bytes() const {
  std::lock_guard lock(mutex_);
  return slots_count_ * sizeof(Slot);
}

uint64_t DedupWindow::Shortened() const {
  std::lock_guard lock(mutex_);
  return shortened_;
}

}  // namespace weir
