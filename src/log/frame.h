// The bytes of the log: the header of a frame (one record) and of a segment (one file).
// Layout: docs/internals/log-format.md.  Numbers are little-endian.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ids.h"

namespace weir {

constexpr size_t kPageBytes = 4096;  // groups begin on a page and own it alone
constexpr size_t kFrameHeaderBytes = 80;
constexpr size_t kSegmentHeaderBytes = 2 * kPageBytes;  // written twice, a page each
constexpr uint32_t kFrameBodyMax = (1u << 30) - 1;      // of meta, and of payload

constexpr uint64_t RoundUp(uint64_t bytes, uint64_t to) { return (bytes + to - 1) / to * to; }

enum FrameFlags : uint32_t {
  kGroupEnd = 1,  // the next frame begins on the next page
  kMark = 2,      // no record: tells that everything before it is durable
  kSeal = 4,      // a mark that ends its segment: the log goes on in the next file
};

struct FrameHeader {
  Offset first;  // of its first row
  uint32_t count = 0;
  StreamId stream;
  Micros append_time = 0;
  uint32_t previous_crc = 0;  // checksum of the header before: the chain
  uint32_t flags = 0;
  uint32_t meta_bytes = 0;
  uint32_t payload_bytes = 0;
  uint32_t meta_crc = 0;
  uint32_t payload_crc = 0;
  uint64_t sequence = 0;          // 1, 2, 3, ... over all frames of the log's life
  uint64_t durable_sequence = 0;  // all frames up to here were synced when this one was written
  uint32_t header_crc = 0;        // set by Encode and Decode

  uint64_t Bytes() const {  // with the padding to 8, without that to the page
    return RoundUp(uint64_t{kFrameHeaderBytes} + meta_bytes + payload_bytes, 8);
  }
  Offset last() const { return {first.value + count - 1}; }
};

using FrameHeaderBytes = std::array<char, kFrameHeaderBytes>;

// Sets header.header_crc.  REQUIRES: meta and payload of at most kFrameBodyMax bytes.
FrameHeaderBytes Encode(FrameHeader& header, uint64_t log_id_low);
// Nothing unless the bytes are a header of this log with a matching checksum.
std::optional<FrameHeader> DecodeFrameHeader(std::string_view bytes, uint64_t log_id_low);

// 128 bits, random, made with the log and never shown: nobody can forge a frame inside a payload.
struct LogId {
  uint64_t low = 0, high = 0;
  bool operator==(const LogId&) const = default;
};

struct SegmentHeader {
  LogId log_id;
  uint64_t number = 0;  // 1, 2, 3, ...
  Offset first;         // the offset of the first row it will hold
  uint64_t first_sequence = 1;
  uint64_t records_before = 0;  // in all earlier segments
  Micros append_time = 0;       // the latest one before this segment
  uint64_t previous_end = 0;    // where the seal of the segment before stands; 0: there is none
  uint32_t previous_crc = 0;    // header checksum of that seal: the chain goes on from it
};

// The header page twice.  REQUIRES: a number; where the seal before stands, unless it is the first.
std::array<char, kSegmentHeaderBytes> Encode(const SegmentHeader& header);
// Either copy will do; nothing when both are damaged or of another format.
std::optional<SegmentHeader> DecodeSegmentHeader(std::string_view bytes);

}  // namespace weir
