#include "log/frame_reader.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"

namespace weir {

namespace {

// Small frames are read many at a time; a body that is larger goes straight to its place.
constexpr size_t kBufferBytes = 128 << 10;

}  // namespace

FrameReader::FrameReader(std::shared_ptr<File> file, uint64_t log_id_low, uint64_t position,
                         uint64_t end)
    : file_(std::move(file)), log_id_low_(log_id_low), position_(position), end_(end) {}

void FrameReader::ExpectChain(uint32_t previous_crc, uint64_t sequence) {
  chained_ = true;
  previous_crc_ = previous_crc;
  sequence_ = sequence;
}

std::optional<FrameHeader> FrameReader::Next() {
  FrameHeaderBytes bytes;
  if (position_ + kFrameHeaderBytes > end_ || !ReadExactly(position_, bytes.data(), bytes.size())) {
    return {};
  }
  std::optional<FrameHeader> header = DecodeFrameHeader({bytes.data(), bytes.size()}, log_id_low_);
  if (!header || position_ + header->Bytes() > end_) {
    return {};
  }
  if (chained_ && (header->previous_crc != previous_crc_ || header->sequence != sequence_)) {
    return {};
  }
  return header;
}

bool FrameReader::ReadBody(const FrameHeader& header, std::string& meta, std::string& payload) {
  meta.resize(header.meta_bytes);
  payload.resize(header.payload_bytes);
  uint64_t body = position_ + kFrameHeaderBytes;
  if (!ReadExactly(body, meta.data(), meta.size()) ||
      !ReadExactly(body + meta.size(), payload.data(), payload.size()) ||
      Crc32c(meta) != header.meta_crc || Crc32c(payload) != header.payload_crc) {
    return false;
  }
  Step(header);
  return true;
}

bool FrameReader::ReadMeta(const FrameHeader& header, std::string& meta) {
  meta.resize(header.meta_bytes);
  if (!ReadExactly(position_ + kFrameHeaderBytes, meta.data(), meta.size()) ||
      Crc32c(meta) != header.meta_crc) {
    return false;
  }
  Step(header);
  return true;
}

void FrameReader::SkipBody(const FrameHeader& header) { Step(header); }

void FrameReader::Step(const FrameHeader& header) {
  CHECK(position_ + header.Bytes() <= end_);
  position_ += header.Bytes();
  if (header.flags & kGroupEnd) {
    position_ = RoundUp(position_, kPageBytes);
  }
  ExpectChain(header.header_crc, header.sequence + 1);
}

bool FrameReader::ReadExactly(uint64_t position, char* to, size_t bytes) {
  while (bytes > 0) {
    if (position >= buffer_position_ && position < buffer_position_ + buffered_) {
      size_t skip = position - buffer_position_;
      size_t n = std::min(bytes, buffered_ - skip);
      std::memcpy(to, buffer_.data() + skip, n);
      position += n;
      to += n;
      bytes -= n;
    } else if (bytes >= kBufferBytes) {
      return file_->Read(position, {to, bytes}) == bytes;
    } else {
      buffer_.resize(kBufferBytes);
      buffer_position_ = position;
      size_t wanted = std::min<uint64_t>(kBufferBytes, end_ - std::min(end_, position));
      buffered_ = file_->Read(position, {buffer_.data(), wanted});
      CHECK(buffered_ <= wanted);
      if (buffered_ == 0) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace weir
