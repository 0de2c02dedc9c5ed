// A segment: one file of the log, and the end of the last one, where the log goes on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/disk/disk.h"
#include "log/frame.h"

namespace weir {

// What the log and its readers know of one file.  `number`, `path` and `first` never change; the
// rest is guarded by the log's mutex.  A segment is pinned while anyone shares it.
struct Segment {
  uint64_t number = 0;
  std::string path;
  Offset first;                        // of the first row it holds or will hold
  Offset last;                         // first - 1 while it holds none
  uint64_t end = kSegmentHeaderBytes;  // bytes that are durable

  // Where some of the groups begin, so that a reader need not start at the front.
  struct Place {
    Offset first;
    uint64_t position;
  };
  std::vector<Place> places;

  // Takes note of a group that begins at `position` with the row `group_first`.
  // REQUIRES: it comes after all groups noted before.
  void NotePlace(Offset group_first, uint64_t position);
  // The last noted place at or before the record that holds the row after `after`.
  // REQUIRES: a group is durable.
  uint64_t PlaceFor(Offset after) const;
  void CheckInvariants() const;
};

// The state that the next frame continues.
struct Tail {
  Offset next{1};         // the offset of the next row
  uint64_t sequence = 0;  // of the last frame
  uint32_t chain = 0;     // its header checksum
  Micros append_time = 0;
  uint64_t records = 0;  // ever written

  // REQUIRES: the header continues this.
  void Add(const FrameHeader& header);
};

std::string SegmentPath(const std::string& directory, uint64_t number);

// The frame that ends a segment.  It depends on the tail alone, so that recovery can write the very
// same one when a crash took it.
FrameHeader MakeSeal(const Tail& tail, uint64_t log_id_low);

// Creates the file with its header; it is there, whole, once this returns.
std::unique_ptr<File> CreateSegment(Disk& disk, const std::string& directory,
                                    const SegmentHeader& header);

// Throws Error(kCorruption) when it has none.
SegmentHeader ReadSegmentHeader(File& file, const std::string& path);

// A page that begins with this frame header and ends with zeros.
std::string PageOf(const FrameHeaderBytes& header);

// "log segment PATH is damaged at byte N: REASON".
[[noreturn]] void ThrowDamaged(const std::string& path, uint64_t position,
                               const std::string& reason);

}  // namespace weir
