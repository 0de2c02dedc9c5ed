#include "views/content.h"

#include "base/error.h"

namespace weir {

ViewContent::ViewContent() = default;

uint32_t ViewContent::Take() {
  if (free_.empty()) {
    auto page = std::make_shared<Page>();
    std::lock_guard lock(pages_mutex_);
    pages_.push_back(std::move(page));
    auto first = static_cast<uint32_t>((pages_.size() - 1) * kPageSlots);
    for (uint32_t i = kPageSlots; i-- > 0;) free_.push_back(first + i);
    bytes_ += sizeof(Page);
  }
  uint32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

void ViewContent::Put(std::string_view row, int64_t copies, uint64_t step) {
  uint32_t index = Take();
  Slot& slot = At(index);
  // A reader that finds `came` changed between two looks knows that the slot is not for it.
  slot.went.store(kNever, std::memory_order_release);
  slot.row.assign(row);
  slot.copies = copies;
  slot.came.store(step, std::memory_order_release);
  slots_.emplace(slot.row, index);
  bytes_ += row.size();
}

void ViewContent::Change(std::string_view row, int64_t weight, uint64_t step) {
  if (weight == 0) return;
  int64_t copies = weight;
  auto found = slots_.find(row);
  if (found != slots_.end()) {
    uint32_t index = found->second;
    Slot& slot = At(index);
    copies += slot.copies;
    slots_.erase(found);
    slot.went.store(step, std::memory_order_release);
    leaving_.emplace_back(step, index);
  }
  CHECK(copies >= 0);
  rows_ += static_cast<uint64_t>(weight);
  if (copies > 0) Put(row, copies, step);
}

void ViewContent::Reclaim(uint64_t oldest) {
  while (!leaving_.empty() && leaving_.front().first <= oldest) {
    Slot& slot = At(leaving_.front().second);
    slot.came.store(kNever, std::memory_order_release);
    bytes_ -= slot.row.size();
    free_.push_back(leaving_.front().second);
    leaving_.pop_front();
  }
}

void ViewContent::ForEach(const std::function<void(std::string_view, int64_t)>& row) const {
  for (auto& [key, index] : slots_) row(key, At(index).copies);
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
      if (!row(slot.row, slot.copies)) return;
    }
  }
}

}  // namespace weir
