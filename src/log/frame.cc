#include "log/frame.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "base/error.h"

namespace weir {

namespace {

constexpr uint32_t kFrameMagic = 0x72694577;            // "wEir"
constexpr uint64_t kSegmentMagic = 0x0a474f4c52494557;  // "WEIRLOG\n"
constexpr uint32_t kFormatVersion = 1;

class Packer {
 public:
  explicit Packer(char* to) : to_(to) {}
  template <typename T>
  Packer& operator<<(T value) {
    std::memcpy(to_, &value, sizeof value);
    to_ += sizeof value;
    return *this;
  }
  const char* end() const { return to_; }

 private:
  char* to_;
};

class Unpacker {
 public:
  explicit Unpacker(const char* from) : from_(from) {}
  template <typename T>
  Unpacker& operator>>(T& value) {
    std::memcpy(&value, from_, sizeof value);
    from_ += sizeof value;
    return *this;
  }
  const char* end() const { return from_; }

 private:
  const char* from_;
};

}  // namespace

FrameHeaderBytes Encode(FrameHeader& header, uint64_t log_id_low) {
  // More is damage to Decode.
  ASSERT(header.meta_bytes <= kFrameBodyMax && header.payload_bytes <= kFrameBodyMax);
  FrameHeaderBytes bytes;
  Packer packer(bytes.data() + 8);
  packer << log_id_low << header.first.value << header.count << header.stream.value
         << header.append_time << header.previous_crc << header.flags << header.meta_bytes
         << header.payload_bytes << header.meta_crc << header.payload_crc << header.sequence
         << header.durable_sequence;
  ASSERT(packer.end() == bytes.data() + kFrameHeaderBytes);
  header.header_crc = Crc32c({bytes.data() + 8, kFrameHeaderBytes - 8});
  Packer(bytes.data()) << kFrameMagic << header.header_crc;
  return bytes;
}

std::optional<FrameHeader> DecodeFrameHeader(std::string_view bytes, uint64_t log_id_low) {
  if (bytes.size() < kFrameHeaderBytes) {
    return {};
  }
  uint32_t magic;
  uint64_t id;
  FrameHeader header;
  Unpacker unpacker(bytes.data());
  unpacker >> magic >> header.header_crc >> id >> header.first.value >> header.count >>
      header.stream.value >> header.append_time >> header.previous_crc >> header.flags >>
      header.meta_bytes >> header.payload_bytes >> header.meta_crc >> header.payload_crc >>
      header.sequence >> header.durable_sequence;
  ASSERT(unpacker.end() == bytes.data() + kFrameHeaderBytes);
  if (magic != kFrameMagic || id != log_id_low ||
      header.header_crc != Crc32c(bytes.substr(8, kFrameHeaderBytes - 8)) ||
      header.meta_bytes > kFrameBodyMax || header.payload_bytes > kFrameBodyMax) {
    return {};
  }
  return header;
}

std::array<char, kSegmentHeaderBytes> Encode(const SegmentHeader& header) {
  ASSERT(header.number > 0 && header.first.value > 0 && header.first_sequence > 0);
  ASSERT((header.number == 1) == (header.previous_end == 0));
  std::array<char, kSegmentHeaderBytes> bytes{};
  Packer(bytes.data() + 12) << kFormatVersion << header.log_id.low << header.log_id.high
                            << header.number << header.first.value << header.first_sequence
                            << header.records_before << header.append_time << header.previous_end
                            << header.previous_crc;
  Packer(bytes.data()) << kSegmentMagic << Crc32c({bytes.data() + 12, kPageBytes - 12});
  std::copy_n(bytes.begin(), kPageBytes, bytes.begin() + kPageBytes);
  return bytes;
}

std::optional<SegmentHeader> DecodeSegmentHeader(std::string_view bytes) {
  for (; bytes.size() >= kPageBytes; bytes.remove_prefix(kPageBytes)) {
    uint64_t magic;
    uint32_t crc, version;
    SegmentHeader header;
    Unpacker(bytes.data()) >> magic >> crc >> version >> header.log_id.low >> header.log_id.high >>
        header.number >> header.first.value >> header.first_sequence >> header.records_before >>
        header.append_time >> header.previous_end >> header.previous_crc;
    if (magic == kSegmentMagic && crc == Crc32c(bytes.substr(12, kPageBytes - 12))) {
      if (version != kFormatVersion) {
        throw Error(ErrorCode::kCorruption, "the log has a format this version does not know",
                    "Start it with the version of Weir that wrote it, or a newer one.");
      }
      return header;
    }
  }
  return {};
}

}  // namespace weir
