// A snapshot of operators' state: as one step left it, written while later steps go on.
//
// Each operator has a section.  What it keeps is written in pieces, and a piece at the latest
// before it changes for the first time, so that what is written is the state of that step whatever
// happens meanwhile; nothing is copied to be kept.  Pieces of different operators come as they
// please.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "flow/state_io.h"

namespace weir {

// Where sections go.  Called by the thread that steps the operators.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  virtual void Add(uint32_t section, std::string part) = 0;
  // `whole`: everything has been added; false: the operator is gone or could not write.
  virtual void End(uint32_t section, bool whole) = 0;
};

class SnapshotSection {
 public:
  SnapshotSection(std::shared_ptr<SnapshotSink> sink, uint32_t number)
      : sink_(std::move(sink)),
        number_(number),
        writer_([this](std::string part) { sink_->Add(number_, std::move(part)); }) {}
  ~SnapshotSection() {
    if (!ended_) sink_->End(number_, false);
  }
  SnapshotSection(const SnapshotSection&) = delete;

  StateWriter& writer() { return writer_; }
  void Finish() {
    writer_.HandOver();
    ended_ = true;
    sink_->End(number_, true);
  }

 private:
  std::shared_ptr<SnapshotSink> sink_;
  uint32_t number_;
  StateWriter writer_;
  bool ended_ = false;
};

// Which of an operator's units (rows or slots, by number) a snapshot still has to write: a bit
// each, while one is under way.  Units that come later are none of it.
class UnitsToWrite {
 public:
  void Begin(size_t units) {
    units_ = units;
    next_ = 0;
    written_.assign((units + 63) / 64, 0);
  }
  // True once for each unit.
  bool Claim(size_t unit) {
    if (unit >= units_) return false;
    uint64_t bit = uint64_t{1} << (unit % 64);
    if (written_[unit / 64] & bit) return false;
    written_[unit / 64] |= bit;
    return true;
  }
  // Calls write(unit) for those that are left, in order, until stop() says so; true once none is.
  template <class Write, class Stop>
  bool Continue(Write write, const Stop& stop) {
    constexpr size_t kAtOnce = 64;
    while (next_ < units_) {
      if (Claim(next_)) write(next_);
      if (++next_ % kAtOnce == 0 && stop()) return false;
    }
    return true;
  }
  void End() {
    units_ = 0;
    std::vector<uint64_t>().swap(written_);
  }

 private:
  size_t units_ = 0, next_ = 0;
  std::vector<uint64_t> written_;  // a bit each
};

}  // namespace weir
