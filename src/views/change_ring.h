// The recent changes of one view, for readers who follow it.  Bounded in rows and bytes; whoever is
// too far behind takes a new snapshot.  Written by the engine, read by any thread.
#pragma once

#include <deque>
#include <mutex>
#include <optional>

#include "base/ranked_mutex.h"
#include "views/views.h"

namespace weir {

class ChangeRing {
 public:
  // `step` is the engine's step in which the change was made; `by_events` says that the step took
  // events in.  When only time passed, the content before and after has the same offset.
  // REQUIRES: its sequence is the one behind Last(); nothing of it lies before the last one.
  void Add(ViewChangePtr change, uint64_t step, bool by_events);
  // Before the first change: sequences count on from here, so that those of another view that had
  // this name are known to be old.  `by_events`: the content at `offset` is the same at any time.
  // REQUIRES: there was no change yet.
  void StartAt(uint64_t sequence, Offset offset, bool by_events);

  // The sequence of the last change made at or before `step`.
  uint64_t SequenceAtStep(uint64_t step) const;
  // The last change a reader has who saw `offset` last; nothing when that cannot be told.
  std::optional<uint64_t> SequenceAtOffset(Offset offset) const;
  std::optional<std::vector<ViewChangePtr>> Since(uint64_t sequence) const;
  uint64_t Last() const;
  size_t Bytes() const;
  // What the ring may take: about what the content takes, for whoever has missed more than that is
  // as well off with a new snapshot.
  void SetRoom(size_t content_bytes);

  void CheckInvariants() const;

  static constexpr size_t kBytesMin = 16 << 10;
  static constexpr size_t kBytesMax = 64 << 20;

 private:
  static constexpr uint64_t kRowsMax = 200'000;
  static constexpr size_t kChangesMax = 4'096;
  void DropOld();
  struct Entry {
    uint64_t step;
    ViewChangePtr change;
    bool by_events;
    size_t bytes;
  };
  mutable Ranked<std::mutex> mutex_{LockRank::kLeaf};
  std::deque<Entry> entries_;
  uint64_t dropped_ = 0;  // the last sequence that is no longer here
  Offset dropped_offset_;
  bool dropped_by_events_ = true;
  uint64_t rows_ = 0;
  size_t bytes_ = 0, bytes_max_ = kBytesMin;
};

}  // namespace weir
