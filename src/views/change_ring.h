// The recent changes of one view, for readers who follow it.  Bounded in rows; whoever is too far
// behind takes a new snapshot.  Written by the engine, read by any thread.
#pragma once

#include <deque>
#include <mutex>
#include <optional>

#include "views/views.h"

namespace weir {

class ChangeRing {
 public:
  // `step` is the engine's step in which the change was made.
  void Add(ViewChangePtr change, uint64_t step);
  // Before the first change: sequences count on from here, so that those of another view that had
  // this name are known to be old.
  void StartAt(uint64_t sequence, Offset offset);

  // The sequence of the last change made at or before `step`.
  uint64_t SequenceAtStep(uint64_t step) const;
  std::optional<uint64_t> SequenceAtOffset(Offset offset) const;
  std::optional<std::vector<ViewChangePtr>> Since(uint64_t sequence) const;
  uint64_t Last() const;

 private:
  static constexpr uint64_t kRowsMax = 200'000;
  static constexpr size_t kChangesMax = 4'096;
  struct Entry {
    uint64_t step;
    ViewChangePtr change;
  };
  mutable std::mutex mutex_;
  std::deque<Entry> entries_;
  uint64_t dropped_ = 0;  // the last sequence that is no longer here
  Offset dropped_offset_;
  uint64_t rows_ = 0;
};

}  // namespace weir
