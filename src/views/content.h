// The rows of one view, readable at any pinned step while the engine writes the next.
//
// A row lives in a slot with the step it came and the step it went; its bytes stand in a row store,
// whose pages may go to disk.  A slot and its row's bytes are used again only when no reader is old
// enough to see them, so readers take no locks.  One writer (the engine); any number of readers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "flow/state/row_store.h"
#include "flow/state/slot_index.h"
#include "io/disk/lost_pages.h"

namespace weir {

class ViewContent {
 public:
  ViewContent();

  // Where rows get their pages.  REQUIRES: there was no row yet.
  void UseMemory(PageMemory* memory);
  RowStore& rows_kept() { return *bytes_of_rows_; }  // writer: for moving its pages
  // Writer, before there are readers: gives everything back.
  void Clear();
  // Writer: changes the number of copies of a row, as part of step `step`.
  // REQUIRES: no less than the last step; as many copies are there as go.
  void Change(std::string_view row, int64_t weight, uint64_t step);
  // Writer: slots that went at or before `oldest` may be used again.
  void Reclaim(uint64_t oldest);
  // Writer: calls `row` for each row and its copies as of now.
  void ForEach(const std::function<void(std::string_view row, int64_t copies)>& row) const;

  // Reader with `step` pinned: as ForEach, as of that step.  Stops when `row` returns false.
  void Scan(uint64_t step,
            const std::function<bool(std::string_view row, int64_t copies)>& row) const;

  // Throws when a row that Scan gave cannot be read (io/lost_pages.h); to be called once it was.
  static void ThrowIfLost(std::string_view row);

  uint64_t rows() const { return rows_.load(std::memory_order_relaxed); }
  size_t Bytes() const;  // writer
  // Writer, between two changes.
  void CheckInvariants() const;

 private:
  static constexpr uint64_t kNever = UINT64_MAX;
  static constexpr size_t kPageSlots = 256;
  struct Slot {
    std::atomic<uint64_t> came{kNever};
    std::atomic<uint64_t> went{kNever};
    const char* row = nullptr;
    uint32_t size = 0;
    RowRef ref = kNoRow;
    int64_t copies = 0;
    std::string_view text() const { return {row, size}; }
  };
  using Page = std::array<Slot, kPageSlots>;

  Slot& At(uint32_t slot) { return (*pages_[slot / kPageSlots])[slot % kPageSlots]; }
  const Slot& At(uint32_t slot) const { return (*pages_[slot / kPageSlots])[slot % kPageSlots]; }
  uint32_t Take();
  uint32_t Put(std::string_view row, int64_t copies, uint64_t step);
  static uint64_t HashOf(std::string_view row) { return std::hash<std::string_view>()(row); }

  mutable std::mutex pages_mutex_;  // guards the vector itself, not the slots
  std::vector<std::shared_ptr<Page>> pages_;
  PageMemory* memory_ = nullptr;
  std::unique_ptr<RowStore> bytes_of_rows_;
  SlotIndex slots_;  // of present rows
  std::vector<uint32_t> free_;
  std::deque<std::pair<uint64_t, uint32_t>> leaving_;  // step it went, slot
  std::atomic<uint64_t> rows_{0};
};

}  // namespace weir
