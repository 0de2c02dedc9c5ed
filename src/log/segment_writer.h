// Writes groups of frames to the last segment and begins the next one when it is full.  Owned and
// called by the log's thread alone.
//
// A group begins on a page of its own and no page is ever written twice, so that a torn write can
// only hurt what nobody was promised.  Every call throws Error(kUnavailable) when the disk is full:
// then nothing was kept and the writer may be used again.  It throws DiskFailure for all else: what
// is on the disk is then unknown, and the writer must not be used again.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "log/log.h"
#include "log/segment.h"

namespace weir {

class SegmentWriter {
 public:
  struct Start {
    LogId log_id;
    std::unique_ptr<File> file;
    std::shared_ptr<Segment> segment;
    uint64_t allocated = 0;
    Tail tail;
  };

  struct Sizes {
    uint64_t segment_bytes;
    uint64_t keep_free;  // of the disk (LogOptions)
  };

  SegmentWriter(Disk& disk, std::string directory, Sizes sizes, Start start);

  // A record that waits to be written, with the checksums its producer has made.
  struct Entry {
    CommittedRecord* record;
    uint32_t meta_crc, payload_crc;
  };

  // Durable when it returns.
  // REQUIRES: records, whose offsets already follow one another, and whose times do not go back.
  void Write(const std::vector<Entry>& group);
  // Tells a later recovery that everything written is durable.  Does nothing twice in a row.
  void WriteMark();

  // The file that holds the last group, and where that group ends.
  const std::shared_ptr<Segment>& segment() const { return segment_; }
  uint64_t end() const { return end_; }
  const Tail& tail() const { return tail_; }

 private:
  void Roll();
  void BeginNext();
  void Reserve(uint64_t bytes);
  void CheckFree(uint64_t bytes) const;
  // Writes parts_, `bytes` long, at end_.  REQUIRES: space is reserved for them.
  void WriteOrUndo(uint64_t bytes);
  FrameHeader HeaderOf(const Entry& entry, const Tail& tail) const;

  Disk& disk_;
  std::string directory_;
  const Sizes sizes_;
  LogId log_id_;

  std::unique_ptr<File> file_;
  std::shared_ptr<Segment> segment_;
  uint64_t end_;
  uint64_t allocated_;
  uint64_t zeroed_ = 0;  // up to here the disk holds zeros, not just a reservation
  Tail tail_;
  bool marked_ = false;

  // The next segment while the seal of this one is not yet written.
  struct Next {
    std::unique_ptr<File> file;
    std::shared_ptr<Segment> segment;
    uint64_t seal_position;  // as its header has it
    uint32_t seal_crc;
  };
  std::optional<Next> next_;

  std::string staging_;                  // headers, small bodies, padding
  std::vector<std::string_view> parts_;  // of the write in progress
};

}  // namespace weir
