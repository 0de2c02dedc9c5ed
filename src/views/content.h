// The rows of one view, readable at any pinned step while the engine writes the next.
//
// A row lives in a slot with the step it came and the step it went.  A slot is used again only
// when no reader is old enough to see what was in it, so readers take no locks.  One writer (the
// engine); any number of readers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weir {

class ViewContent {
 public:
  ViewContent();

  // Writer: changes the number of copies of a row, as part of step `step`.
  void Change(std::string_view row, int64_t weight, uint64_t step);
  // Writer: slots that went at or before `oldest` may be used again.
  void Reclaim(uint64_t oldest);
  // Writer: calls `row` for each row and its copies as of now.
  void ForEach(const std::function<void(std::string_view row, int64_t copies)>& row) const;

  // Reader with `step` pinned: as ForEach, as of that step.  Stops when `row` returns false.
  void Scan(uint64_t step,
            const std::function<bool(std::string_view row, int64_t copies)>& row) const;

  uint64_t rows() const { return rows_.load(std::memory_order_relaxed); }
  size_t Bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kNever = UINT64_MAX;
  static constexpr size_t kPageSlots = 256;
  struct Slot {
    std::atomic<uint64_t> came{kNever};
    std::atomic<uint64_t> went{kNever};
    std::string row;
    int64_t copies = 0;
  };
  using Page = std::array<Slot, kPageSlots>;

  Slot& At(uint32_t slot) { return (*pages_[slot / kPageSlots])[slot % kPageSlots]; }
  const Slot& At(uint32_t slot) const { return (*pages_[slot / kPageSlots])[slot % kPageSlots]; }
  uint32_t Take();
  void Put(std::string_view row, int64_t copies, uint64_t step);

  mutable std::mutex pages_mutex_;  // guards the vector itself, not the slots
  std::vector<std::shared_ptr<Page>> pages_;
  std::unordered_map<std::string_view, uint32_t> slots_;  // present rows; keys point into slots
  std::vector<uint32_t> free_;
  std::deque<std::pair<uint64_t, uint32_t>> leaving_;  // step it went, slot
  std::atomic<uint64_t> rows_{0};
  std::atomic<size_t> bytes_{0};
};

}  // namespace weir
