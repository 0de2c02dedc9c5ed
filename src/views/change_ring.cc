#include "views/change_ring.h"

#include <algorithm>

#include "base/error.h"

namespace weir {
namespace {
uint64_t RowsOf(const ViewChange& change) { return change.added.rows + change.removed.rows; }

// What a vector takes beside its values: itself, its cache, and the headers of their buffers.
constexpr size_t kVectorBytes = 400;

size_t BytesOf(const Columns& columns) {
  size_t bytes = 0;
  for (auto& chunk : columns.chunks) {
    bytes += sizeof(*chunk) + chunk->GetAllocationSize() + chunk->ColumnCount() * kVectorBytes;
  }
  return bytes;
}
}  // namespace

void ChangeRing::Add(ViewChangePtr change, uint64_t step, bool by_events) {
  std::lock_guard lock(mutex_);
  CHECK(change->sequence == (entries_.empty() ? dropped_ : entries_.back().change->sequence) + 1);
  CHECK(change->offset >= (entries_.empty() ? dropped_offset_ : entries_.back().change->offset));
  CHECK(entries_.empty() || entries_.back().step <= step);
  rows_ += RowsOf(*change);
  size_t bytes =
      sizeof(Entry) + sizeof(ViewChange) + BytesOf(change->added) + BytesOf(change->removed);
  bytes_ += bytes;
  entries_.push_back({step, std::move(change), by_events, bytes});
  DropOld();
}

void ChangeRing::SetRoom(size_t content_bytes) {
  std::lock_guard lock(mutex_);
  bytes_max_ = std::clamp(content_bytes, kBytesMin, kBytesMax);
  DropOld();
}

void ChangeRing::DropOld() {
  while (entries_.size() > 1 &&
         (rows_ > kRowsMax || bytes_ > bytes_max_ || entries_.size() > kChangesMax)) {
    CHECK(rows_ >= RowsOf(*entries_.front().change) && bytes_ >= entries_.front().bytes);
    rows_ -= RowsOf(*entries_.front().change);
    bytes_ -= entries_.front().bytes;
    dropped_ = entries_.front().change->sequence;
    dropped_offset_ = entries_.front().change->offset;
    dropped_by_events_ = entries_.front().by_events;
    entries_.pop_front();
  }
}

void ChangeRing::StartAt(uint64_t sequence, Offset offset, bool by_events) {
  std::lock_guard lock(mutex_);
  CHECK(entries_.empty() && dropped_ <= sequence && dropped_offset_ <= offset);
  dropped_ = sequence;
  dropped_offset_ = offset;
  dropped_by_events_ = by_events;
}

void ChangeRing::CheckInvariants() const {
  std::lock_guard lock(mutex_);
  uint64_t rows = 0, sequence = dropped_, step = 0;
  size_t bytes = 0;
  Offset offset = dropped_offset_;
  for (auto& entry : entries_) {
    CHECK(entry.change->sequence == ++sequence && entry.step >= step);
    CHECK(entry.change->offset >= offset);
    step = entry.step;
    offset = entry.change->offset;
    rows += RowsOf(*entry.change);
    bytes += entry.bytes;
  }
  CHECK(rows == rows_ && bytes == bytes_);
  CHECK(entries_.size() < 2 || (rows_ <= kRowsMax && bytes_ <= bytes_max_));
}

uint64_t ChangeRing::SequenceAtStep(uint64_t step) const {
  std::lock_guard lock(mutex_);
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->step <= step) return entry->change->sequence;
  }
  return dropped_;
}

std::optional<uint64_t> ChangeRing::SequenceAtOffset(Offset offset) const {
  std::lock_guard lock(mutex_);
  if (offset < dropped_offset_) return std::nullopt;
  if (offset == dropped_offset_ && !dropped_by_events_) return std::nullopt;
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->change->offset > offset) continue;
    // He may have been there before this change or after it.
    if (entry->change->offset == offset && !entry->by_events) return std::nullopt;
    return entry->change->sequence;
  }
  return dropped_;
}

std::optional<std::vector<ViewChangePtr>> ChangeRing::Since(uint64_t sequence) const {
  std::lock_guard lock(mutex_);
  uint64_t last = entries_.empty() ? dropped_ : entries_.back().change->sequence;
  if (sequence < dropped_ || sequence > last) return std::nullopt;
  std::vector<ViewChangePtr> changes;
  auto first = std::partition_point(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.change->sequence <= sequence;
  });
  for (; first != entries_.end(); ++first) changes.push_back(first->change);
  return changes;
}

size_t ChangeRing::Bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

uint64_t ChangeRing::Last() const {
  std::lock_guard lock(mutex_);
  return entries_.empty() ? dropped_ : entries_.back().change->sequence;
}

}  // namespace weir
