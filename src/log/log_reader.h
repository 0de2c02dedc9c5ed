// Committed records, in order, from segment files.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "log/frame_reader.h"
#include "log/log.h"

namespace weir {

// The part of one segment that a reader walks: whole groups in [position, end).
struct Stretch {
  std::string path;
  uint64_t position = kSegmentHeaderBytes;
  uint64_t end = 0;
};

class SegmentsReader : public LogReader {
 public:
  // `pin` keeps the files from being removed while they are read.
  // REQUIRES: each stretch begins where a group does.
  SegmentsReader(Disk& disk, std::vector<Stretch> stretches, Offset after, Offset up_to,
                 std::optional<StreamId> only, std::shared_ptr<void> pin);

  void LeaveOutPayloads();  // REQUIRES: before the first Next
  std::shared_ptr<const CommittedRecord> Next() override;

 private:
  bool OpenNextStretch();
  bool IsWanted(const FrameHeader& header) const;

  Disk& disk_;
  std::vector<Stretch> stretches_;
  Offset after_;
  Offset up_to_;
  std::optional<StreamId> only_;
  std::shared_ptr<void> pin_;
  bool without_payloads_ = false;
  size_t next_stretch_ = 0;
  std::optional<FrameReader> frames_;
};

}  // namespace weir
