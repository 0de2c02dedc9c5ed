// Walks the frames of one segment file in order and checks every one.  Used by recovery, by readers
// and by other processes; one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/disk/disk.h"
#include "log/frame.h"

namespace weir {

class FrameReader {
 public:
  // Reads [position, end).  `position` is where a frame begins.
  FrameReader(std::shared_ptr<File> file, uint64_t log_id_low, uint64_t position, uint64_t end);

  // From here on a frame must continue this chain.
  void ExpectChain(uint32_t previous_crc, uint64_t sequence);

  // The next header, or nothing at the end or where no valid frame stands; AtEnd() tells which.
  // Its body must then be read or skipped.
  std::optional<FrameHeader> Next();
  bool AtEnd() const { return position_ >= end_; }

  // False when the bytes do not match their checksums.  REQUIRES, as the two below: the header that
  // Next returned last.
  bool ReadBody(const FrameHeader& header, std::string& meta, std::string& payload);
  // The same, passing over the payload.
  bool ReadMeta(const FrameHeader& header, std::string& meta);
  void SkipBody(const FrameHeader& header);

  uint64_t position() const { return position_; }  // of the frame Next would return

 private:
  bool ReadExactly(uint64_t position, char* to, size_t bytes);
  void Step(const FrameHeader& header);

  std::shared_ptr<File> file_;
  uint64_t log_id_low_;
  uint64_t position_;
  uint64_t end_;
  bool chained_ = false;
  uint32_t previous_crc_ = 0;
  uint64_t sequence_ = 0;
  std::vector<char> buffer_;  // bytes from buffer_position_ on
  uint64_t buffer_position_ = 0;
  size_t buffered_ = 0;
};

}  // namespace weir
