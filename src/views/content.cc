#include "views/content.h"

#include "base/error.h"

namespace weir {

ViewContent::ViewContent() { Clear(); }

void ViewContent::UseMemory(PageMemory* memory) {
  memory_ = memory;
  bytes_of_rows_->UseMemory(memory);
}

void ViewContent::Clear() {
  std::lock_guard lock(pages_mutex_);
  pages_.clear();
  slots_ = SlotIndex();
  free_ = {};
  leaving_ = {};
  rows_ = 0;
  // It is given bytes as they are, and needs no types of its own.
  bytes_of_rows_ = std::make_unique<RowStore>(RowTypes(), false);
  bytes_of_rows_->ExpectRemovals();
  bytes_of_rows_->UseMemory(memory_);
}

uint32_t ViewContent::Take() {
  if (free_.empty()) {
    auto page = std::make_shared<Page>();
    std::lock_guard lock(pages_mutex_);
    pages_.push_back(std::move(page));
    auto first = static_cast<uint32_t>((pages_.size() - 1) * kPageSlots);
    for (uint32_t i = kPageSlots; i-- > 0;) free_.push_back(first + i);
  }
  uint32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

uint32_t ViewContent::Put(std::string_view row, int64_t copies, uint64_t step) {
  CHECK(copies > 0 && step != kNever);
  RowRef head = kNoRow;  // every row is a list of its own
  RowRef ref = bytes_of_rows_->FindOrAdd(row, head);
  uint32_t index = Take();
  Slot& slot = At(index);
  CHECK(slot.came.load(std::memory_order_relaxed) == kNever);  // no reader may look at it
  // A reader that finds `came` changed between two looks knows that the slot is not for it.
  slot.went.store(kNever, std::memory_order_release);
  auto kept = bytes_of_rows_->Bytes(ref);
  slot.row = kept.data();
  slot.size = static_cast<uint32_t>(kept.size());
  slot.ref = ref;
  slot.copies = copies;
  slot.came.store(step, std::memory_order_release);
  return index;
}

void ViewContent::Change(std::string_view row, int64_t weight, uint64_t step) {
  if (weight == 0) return;
  CHECK(leaving_.empty() || leaving_.back().first <= step);  // they are reclaimed in order
  slots_.MakeRoom();
  uint64_t hash = HashOf(row);
  int64_t copies = weight;
  uint32_t index = slots_.Find(hash, [&](uint32_t slot) { return At(slot).text() == row; });
  if (index != SlotIndex::kNone) {
    Slot& slot = At(index);
    CHECK(slot.came.load(std::memory_order_relaxed) <= step);
    CHECK(slot.went.load(std::memory_order_relaxed) == kNever);
    copies += slot.copies;
    slots_.Remove(index, hash);
    slot.went.store(step, std::memory_order_release);
    leaving_.emplace_back(step, index);
  }
  bytes_of_rows_->ThrowIfRowsAreLost();
  CHECK(copies >= 0);
  rows_ += static_cast<uint64_t>(weight);
  if (copies > 0) {
    slots_.FindOrAdd(
        hash, [](uint32_t) { return false; }, [&] { return Put(row, copies, step); });
  }
}

void ViewContent::Reclaim(uint64_t oldest) {
  while (!leaving_.empty() && leaving_.front().first <= oldest) {
    Slot& slot = At(leaving_.front().second);
    DEBUG_ASSERT(slot.went.load(std::memory_order_relaxed) == leaving_.front().first);
    slot.came.store(kNever, std::memory_order_release);
    RowRef head = slot.ref;
    bytes_of_rows_->Remove(slot.ref, head);
    free_.push_back(leaving_.front().second);
    leaving_.pop_front();
  }
}

// A slot is free, or of a row that is here, or of one that readers may still look at.
void ViewContent::CheckInvariants() const {
  bytes_of_rows_->CheckInvariants();
  size_t present = 0;
  uint64_t rows = 0;
  for (auto& page : pages_) {
    for (auto& slot : *page) {
      bool is_free = slot.came.load(std::memory_order_relaxed) == kNever;
      if (is_free || slot.went.load(std::memory_order_relaxed) != kNever) continue;
      CHECK(slot.copies > 0 && bytes_of_rows_->Bytes(slot.ref) == slot.text());
      present++;
      rows += static_cast<uint64_t>(slot.copies);
    }
  }
  CHECK(rows == rows_ && present == slots_.size());
  CHECK(present + leaving_.size() + free_.size() == pages_.size() * kPageSlots);
  CHECK(present + leaving_.size() == bytes_of_rows_->rows());
  slots_.CheckInvariants([&](uint32_t slot, uint32_t half) {
    CHECK(SlotIndex::Half(HashOf(At(slot).text())) == half);
  });
  uint64_t last = 0;
  for (auto& [step, slot] : leaving_) {
    CHECK(step >= last && At(slot).went.load(std::memory_order_relaxed) == step);
    last = step;
  }
  for (uint32_t slot : free_) CHECK(At(slot).came.load(std::memory_order_relaxed) == kNever);
}

size_t ViewContent::Bytes() const {
  return bytes_of_rows_->Bytes() + slots_.Bytes() + pages_.size() * sizeof(Page) +
         free_.capacity() * sizeof(uint32_t) + leaving_.size() * sizeof(leaving_[0]);
}

void ViewContent::ThrowIfLost(std::string_view row) {
  if (PagesLost() == 0) [[likely]]
    return;
  if (IsPageLost(reinterpret_cast<const std::byte*>(row.data()))) RowStore::ThrowRowsAreLost();
}

void ViewContent::ForEach(const std::function<void(std::string_view, int64_t)>& row) const {
  for (auto& page : pages_) {
    for (auto& slot : *page) {
      bool present = slot.came.load(std::memory_order_relaxed) != kNever &&
                     slot.went.load(std::memory_order_relaxed) == kNever;
      if (!present) continue;
      row(slot.text(), slot.copies);
      ThrowIfLost(slot.text());
    }
  }
}

void ViewContent::Scan(uint64_t step,
                       const std::function<bool(std::string_view, int64_t)>& row) const {
  std::vector<std::shared_ptr<Page>> pages;
  {
    std::lock_guard lock(pages_mutex_);
    pages = pages_;
  }
  for (auto& page : pages) {
    for (auto& slot : *page) {
      uint64_t came = slot.came.load(std::memory_order_acquire);
      if (came > step) continue;
      uint64_t went = slot.went.load(std::memory_order_acquire);
      if (went <= step || slot.came.load(std::memory_order_acquire) != came) continue;
      bool more = row(slot.text(), slot.copies);
      ThrowIfLost(slot.text());
      if (!more) return;
    }
  }
}

}  // namespace weir
