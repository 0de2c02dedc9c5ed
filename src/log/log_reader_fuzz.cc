// Any bytes as the last segment of a log: recovery and the readers must refuse or accept them, and
// what was accepted must take appends and be found again.
#include <cstring>

#include "base/crc32c.h"
#include "io/disk/simulated_disk.h"
#include "io/manual_clock.h"
#include "log/frame.h"
#include "log/test_log.h"

namespace weir {
namespace {

constexpr uint64_t kLogId = 0x0123456789abcdef;

// Random bytes never pass a checksum.  Each frame of the input gets the right ones, unless its
// first byte says not to, so that the fuzzer reaches what lies behind.
std::string Segment(std::string_view input) {
  SegmentHeader segment;
  segment.log_id = {kLogId, 1};
  segment.number = 1;
  segment.first = Offset{1};
  auto head = Encode(segment);
  std::string bytes(head.data(), head.size());
  Offset next{1};
  uint32_t chain = 0;
  uint64_t sequence = 0;
  while (input.size() >= 8) {
    uint8_t keep = input[0], flags = input[1], count = input[2], meta_bytes = input[3];
    uint16_t payload_bytes;
    std::memcpy(&payload_bytes, input.data() + 4, 2);
    uint8_t lag = input[6], lie = input[7];
    input.remove_prefix(8);
    std::string_view meta = input.substr(0, meta_bytes);
    input.remove_prefix(meta.size());
    std::string_view payload = input.substr(0, payload_bytes);
    input.remove_prefix(payload.size());

    FrameHeader frame;
    frame.first = {next.value + (keep & 2 ? lie : 0)};
    frame.count = count;
    frame.append_time = sequence;
    frame.previous_crc = chain;
    frame.flags = flags & 7;
    frame.meta_bytes = meta.size() + (keep & 4 ? lie : 0);
    frame.payload_bytes = payload.size() + (keep & 8 ? lie * 1'000'003u : 0);
    frame.meta_crc = Crc32c(meta);
    frame.payload_crc = Crc32c(payload) + (keep & 16 ? lie : 0);
    frame.sequence = ++sequence + (keep & 32 ? lie : 0);
    frame.durable_sequence = sequence - std::min<uint64_t>(sequence, lag);
    FrameHeaderBytes encoded = Encode(frame, kLogId);
    encoded[lie % encoded.size()] ^= keep & 1 ? 0x10 : 0;
    bytes.append(encoded.data(), encoded.size()).append(meta).append(payload);
    bytes.resize(RoundUp(bytes.size(), frame.flags & kGroupEnd ? kPageBytes : 8), '\0');
    next.value = frame.first.value + count;
    chain = frame.header_crc;
  }
  return bytes.append(input);
}

void TryLog(std::string_view bytes) {
  SimulatedDisk disk;
  disk.MakeDirectories("log");
  disk.Open("log/segment-00000000000000000001", OpenMode::kCreate)->Write(0, bytes);
  ManualClock clock;
  LogOptions options;
  options.directory = "log";
  options.segment_bytes = 64 << 10;
  size_t found;
  try {
    auto log = Log::Open(disk, clock, options);
    found = Payloads(*log).size();
    AppendAndWait(*log, "one more");
  } catch (const Error& error) {
    ASSERT(error.code == ErrorCode::kCorruption);
    return;
  }
  auto log = Log::Open(disk, clock, options);
  ASSERT(Payloads(*log).size() == found + 1);
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  weir::TryLog(weir::Segment(input));
  weir::TryLog(input);
  return 0;
}
