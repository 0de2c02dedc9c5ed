#include "ingest/dedup.h"

#include <algorithm>
#include <string>

#include "base/error.h"
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

DedupWindow::Hash HashWords(uint64_t a, uint64_t b) {
  uint64_t low = Mix(a ^ Mix(b + 0x9e3779b97f4a7c15ull));
  return {low, Mix(b ^ Mix(a + 0xd1b54a32d192ed03ull))};
}

DedupWindow::Hash HashBytes(const char* data, size_t size) {
  uint64_t other = 0xcbf29ce484222325ull;  // FNV-1a, independent of DuckDB's hash
  for (size_t i = 0; i < size; i++)
    other = (other ^ static_cast<unsigned char>(data[i])) * 0x100000001b3ull;
  return HashWords(duckdb::Hash(data, size), other);
}

}  // namespace

DedupWindow::DedupWindow(Micros window, size_t slots_max)
    : part_length_(std::max<Micros>(1, (window + kParts - 1) / kParts)),
      slots_max_(std::max(slots_max, kSlotsMin)) {}

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

// Parts are numbered 1 to 255 in turn; 0 is an empty slot.
uint64_t DedupWindow::PartOf(int64_t number) const {
  return static_cast<uint64_t>(number % 255) + 1;
}

bool DedupWindow::IsLive(const Slot& slot) const {
  int64_t age = (now_ % 255 + 1 - static_cast<int64_t>(slot.high >> kPartShift) + 255) % 255;
  return age <= live_;
}

// The slot of a hash, or the empty one where it belongs.
DedupWindow::Slot* DedupWindow::Find(const Hash& hash) {
  size_t mask = slots_.size() - 1;
  for (size_t at = hash.low & mask;; at = (at + 1) & mask) {
    Slot& slot = slots_[at];
    if (slot.high == 0) return &slot;
    if (slot.low == hash.low && ((slot.high ^ hash.high) & kHashBits) == 0) return &slot;
  }
}

// Keys of parts long gone must go before the numbers come round again.
void DedupWindow::Advance(Micros now) {
  int64_t number = now / part_length_;
  if (number <= now_) return;
  int64_t passed = number - now_;
  if (passed > kParts) {
    std::vector<Slot>().swap(slots_);  // with its memory
    used_ = 0;
    swept_ = number;
  }
  now_ = number;
  live_ = std::min(kParts, live_ + passed);
  if (now_ - swept_ > kParts && used_ > 0) Rebuild(slots_.size());
}

void DedupWindow::MakeRoom(size_t keys) {
  auto full = [&](size_t slots) { return (used_ + keys) * 4 > slots * 3; };
  if (slots_.empty()) slots_.resize(kSlotsMin);
  if (!full(slots_.size())) return;
  Rebuild(slots_.size());  // without what is over
  size_t wanted = slots_.size();
  while (full(wanted) && wanted < slots_max_) wanted *= 2;
  if (wanted != slots_.size()) Rebuild(wanted);
  while (full(slots_.size()) && live_ > 0) {
    shortened_++;
    live_ /= 2;
    Rebuild(slots_.size());
  }
  if (full(slots_.size())) {  // more in one part than the table holds
    used_ = 0;
    slots_.assign(slots_max_, Slot{});
  }
}

void DedupWindow::Rebuild(size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  used_ = 0;
  for (const Slot& slot : old) {
    if (slot.high == 0 || !IsLive(slot)) continue;
    *Find({slot.low, slot.high}) = slot;
    used_++;
  }
  swept_ = now_;
}

std::vector<bool> DedupWindow::Claim(const std::vector<std::optional<Hash>>& hashes, Micros now) {
  std::vector<bool> fresh(hashes.size(), true);
  ASSERT(hashes.size() <= kSlotsMin / 2);
  std::lock_guard lock(mutex_);
  Advance(now);
  MakeRoom(hashes.size());
  for (size_t i = 0; i < hashes.size(); i++) {
    if (!hashes[i]) continue;
    Slot* slot = Find(*hashes[i]);
    fresh[i] = slot->high == 0 || !IsLive(*slot);
    if (!fresh[i]) continue;
    used_ += slot->high == 0;
    *slot = {hashes[i]->low, PartOf(now_) << kPartShift | (hashes[i]->high & kHashBits)};
  }
  return fresh;
}

void DedupWindow::TakeBack(const std::vector<std::optional<Hash>>& hashes,
                           const std::vector<bool>& claimed) {
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < hashes.size(); i++) {
    if (!hashes[i] || !claimed[i] || slots_.empty()) continue;
    Slot* slot = Find(*hashes[i]);
    // As if it had come before the window: what is behind it in the table is still found.
    if (slot->high)
      slot->high = PartOf(now_ + 255 - kParts - 1) << kPartShift | (slot->high & kHashBits);
  }
}

void DedupWindow::Forget(Micros now) {
  std::lock_guard lock(mutex_);
  int64_t number = now / part_length_;
  if (slots_.empty() || number - swept_ < kParts / 8) return;
  Advance(now);
  if (slots_.empty()) return;
  Rebuild(slots_.size());
  size_t wanted = slots_.size();
  while (wanted > kSlotsMin && used_ * 4 < wanted) wanted /= 2;
  if (wanted != slots_.size()) Rebuild(wanted);
}

size_t DedupWindow::Bytes() const {
  std::lock_guard lock(mutex_);
  return slots_.capacity() * sizeof(Slot);
}

uint64_t DedupWindow::Shortened() const {
  std::lock_guard lock(mutex_);
  return shortened_;
}

}  // namespace weir
