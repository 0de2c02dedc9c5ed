// A snapshot of operators' state: as one step left it, written while later steps go on.
//
// Each operator has a section.  What it keeps is written in pieces, and a piece at the latest
// before it changes for the first time, so that what is written is the state of that step whatever
// happens meanwhile; nothing is copied to be kept.  Pieces of different operators come as they
// please.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "flow/state/state_io.h"

namespace weir {

// Where sections go.  Called by the thread that steps the operators.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  // Takes what is in `part` and leaves it empty, with room perhaps (StateWriter::Take).
  virtual void Add(uint32_t section, std::string& part) = 0;
  // `whole`: everything has been added; false: the operator is gone or could not write.
  virtual void End(uint32_t section, bool whole) = 0;
};

class SnapshotSection {
 public:
  // `part_bytes` of it are kept until they are a part.
  SnapshotSection(std::shared_ptr<SnapshotSink> sink, uint32_t number, size_t part_bytes)
      : sink_(std::move(sink)),
        number_(number),
        writer_([this](std::string& part) { sink_->Add(number_, part); }, part_bytes) {}
  ~SnapshotSection() {
    if (!ended_) sink_->End(number_, false);
  }
  SnapshotSection(const SnapshotSection&) = delete;

  StateWriter& writer() { return writer_; }
  // Everything has been written.  REQUIRES: once.
  void Finish() {
    CHECK(!ended_);
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

// Asked between two pieces: true when it has to go on later.
using StopSnapshot = std::function<bool()>;

// Which of an operator's units (rows or slots, by number) a snapshot still has to write: a bit
// each, while one is under way.  Units that come later are none of it.
class UnitsToWrite {
 public:
  // REQUIRES: the snapshot before has ended.
  void Begin(size_t units) {
    CHECK(units_ == 0);
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
  template <class Write>
  bool Continue(Write write, const StopSnapshot& stop) {
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

// A part of an operator's state that knows by itself what is about to change: the values groups
// have seen, or the rows of one.  Whatever it owes the snapshot it puts aside before the change;
// the operator takes that into its section (HandOver) before the next piece is written.
//
// It writes records, each headed by the mark that the operator gave it.  Of several records about
// one thing the first counts, also one that says that the thing was not there: so what changes
// again and again while a snapshot goes on needs no memory of having been written.
class StatePart {
 public:
  virtual ~StatePart() = default;

  // REQUIRES: the snapshot before has ended, and nothing of it is left.
  void BeginPieces(StateWriter& writer, uint32_t mark) {
    CHECK(!in_snapshot_ && aside_.bytes().empty());
    CHECK(mark != UINT32_MAX);  // kEndOfParts
    mark_ = mark;
    in_snapshot_ = true;
    Begin(writer);
  }
  // What has been put aside since the last call.
  void HandOver(StateWriter& writer) {
    CHECK(in_snapshot_);
    if (is_lost_) throw Error(ErrorCode::kUnavailable, "no memory to put state aside");
    writer.PutBytes(aside_.bytes());
    aside_.bytes().clear();
  }
  // Writes what is left; true once nothing is.
  virtual bool SavePieces(StateWriter& writer, const StopSnapshot& stop) { return true; }
  void EndPieces() {
    in_snapshot_ = is_lost_ = false;
    std::string().swap(aside_.bytes());
    End();
  }

  // Into one that is as it was made: BeginLoad, LoadPiece behind each mark, EndLoad.
  virtual void BeginLoad(StateReader& reader) {}
  virtual void LoadPiece(StateReader& reader) { StateReader::Bad(); }
  virtual void EndLoad() {}

 protected:
  virtual void Begin(StateWriter& writer) {}
  virtual void End() {}
  bool in_snapshot() const { return in_snapshot_; }
  uint32_t mark() const { return mark_; }
  template <class Write>
  void BeforeChange(Write write) {
    if (!in_snapshot_) [[likely]]
      return;
    try {
      write(aside_);
    } catch (...) {  // costs the snapshot, not the operator
      is_lost_ = true;
    }
  }

 private:
  uint32_t mark_ = 0;
  bool in_snapshot_ = false, is_lost_ = false;
  StateWriter aside_;
};

// Reads what parts wrote under the marks 0, 1, ..., up to kEndOfParts, which their operator wrote.
inline constexpr uint32_t kEndOfParts = UINT32_MAX;
inline void LoadParts(StateReader& reader, const std::vector<StatePart*>& parts) {
  for (auto* part : parts) part->BeginLoad(reader);
  for (auto mark = reader.Get<uint32_t>(); mark != kEndOfParts; mark = reader.Get<uint32_t>()) {
    if (mark >= parts.size()) StateReader::Bad();
    parts[mark]->LoadPiece(reader);
  }
  for (auto* part : parts) part->EndLoad();
}

}  // namespace weir
