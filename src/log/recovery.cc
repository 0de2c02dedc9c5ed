#include "log/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "log/frame_reader.h"

namespace weir {

namespace {

struct Found {
  std::string path;
  std::shared_ptr<File> file;
  SegmentHeader header;
};

std::vector<uint64_t> SegmentNumbers(Disk& disk, const std::string& directory) {
  constexpr std::string_view kPrefix = "segment-";
  std::vector<uint64_t> numbers;
  for (const std::string& name : disk.List(directory)) {
    uint64_t number = 0;
    const char* end = name.data() + name.size();
    if (name.starts_with(kPrefix) && name.size() == kPrefix.size() + 20 &&
        std::from_chars(name.data() + kPrefix.size(), end, number).ptr == end) {
      numbers.push_back(number);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Tail TailBefore(const SegmentHeader& header) {
  Tail tail;
  tail.next = header.first;
  tail.sequence = header.first_sequence - 1;
  tail.chain = header.previous_crc;
  tail.append_time = header.append_time;
  tail.records = header.records_before;
  return tail;
}

// What a walk over one segment found: whole groups up to `end`.
struct Scan {
  Tail tail;
  uint64_t end = kSegmentHeaderBytes;
  bool sealed = false;
};

bool Continues(const FrameHeader& frame, const Tail& tail) {
  return frame.first == tail.next && frame.append_time >= tail.append_time;
}

// Groups count whole: one that is torn is dropped with all its records, none of which was
// acknowledged.  Notes the places of groups in `segment` when there is one.
Scan ScanSegment(const Found& found, uint64_t file_bytes, Segment* segment) {
  Scan scan;
  scan.tail = TailBefore(found.header);
  FrameReader reader(found.file, found.header.log_id.low, kSegmentHeaderBytes, file_bytes);
  reader.ExpectChain(scan.tail.chain, scan.tail.sequence + 1);
  Tail tail = scan.tail;
  std::string meta, payload;
  while (!scan.sealed) {
    std::optional<FrameHeader> frame = reader.Next();
    if (!frame || !Continues(*frame, tail) || !reader.ReadBody(*frame, meta, payload)) {
      break;
    }
    tail.Add(*frame);
    if (frame->flags & kGroupEnd) {
      if (segment) {
        segment->NotePlace(scan.tail.next, scan.end);
      }
      scan.tail = tail;
      scan.end = reader.position();
      scan.sealed = frame->flags & kSeal;
    }
  }
  ASSERT(scan.end % kPageBytes == 0);  // where the next group is written
  return scan;
}

// Is what follows the last whole group a write that never finished?  Then no later group can say
// that it had become durable: groups begin on pages, so every page is asked.  Returns how many
// bytes the remains take.
uint64_t CheckTornTail(const Found& found, const Scan& scan, uint64_t file_bytes) {
  constexpr size_t kChunk = 256 * kPageBytes;
  static constexpr char kZeros[kPageBytes] = {};
  std::vector<char> chunk(kChunk);
  uint64_t torn_end = scan.end;
  for (uint64_t position = scan.end; position < file_bytes; position += kChunk) {
    size_t n = found.file->Read(position, chunk);
    for (size_t at = 0; at < n; at += kPageBytes) {
      std::string_view page(chunk.data() + at, std::min(kPageBytes, n - at));
      if (std::memcmp(page.data(), kZeros, page.size()) == 0) {
        continue;
      }
      torn_end = position + at + page.size();
      std::optional<FrameHeader> later = DecodeFrameHeader(page, found.header.log_id.low);
      if (later && later->durable_sequence > scan.tail.sequence) {
        ThrowDamaged(found.path, scan.end,
                     fmt::format("rows {} to {} were durable and cannot be read",
                                 scan.tail.next.value, later->first.value - 1));
      }
    }
  }
  return torn_end - scan.end;
}

std::vector<Found> OpenSegments(Disk& disk, const std::string& directory,
                                const std::vector<uint64_t>& numbers) {
  std::vector<Found> segments;
  for (uint64_t number : numbers) {
    Found found;
    found.path = SegmentPath(directory, number);
    found.file = disk.Open(found.path, OpenMode::kReadWrite);
    if (number + 1 >= numbers.back()) {
      // What only the cache holds must not decide anything: the last sync may have failed, or never
      // have come.  It concerns the last file, or the seal of the one before.
      found.file->Sync();
      found.file->DropCached();
    }
    found.header = ReadSegmentHeader(*found.file, found.path);
    if (found.header.number != number) {
      ThrowDamaged(found.path, 0, fmt::format("it is segment {}", found.header.number));
    }
    if (!segments.empty()) {
      const Found& before = segments.back();
      if (before.header.number + 1 != number) {
        ThrowDamaged(found.path, 0, fmt::format("segment {} is missing", before.header.number + 1));
      }
      if (before.header.log_id != found.header.log_id) {
        ThrowDamaged(found.path, 0,
                     fmt::format("it is not of the same log as \"{}\"", before.path));
      }
    }
    segments.push_back(std::move(found));
  }
  return segments;
}

// Does the seal stand where the next segment says?
bool IsSealed(const Found& found, const SegmentHeader& next) {
  FrameHeaderBytes bytes;
  if (found.file->Read(next.previous_end, bytes) != bytes.size()) {
    return false;
  }
  std::optional<FrameHeader> seal =
      DecodeFrameHeader({bytes.data(), bytes.size()}, found.header.log_id.low);
  return seal && (seal->flags & kSeal) && seal->header_crc == next.previous_crc &&
         seal->sequence + 1 == next.first_sequence && seal->first == next.first;
}

// The crash came between the birth of the next segment and the seal of this one.
FrameHeader RebuildSeal(const Found& found, const SegmentHeader& next) {
  Scan scan = ScanSegment(found, next.previous_end, nullptr);
  FrameHeader seal = MakeSeal(scan.tail, found.header.log_id.low);
  if (scan.end != next.previous_end || seal.header_crc != next.previous_crc) {
    ThrowDamaged(found.path, scan.end,
                 fmt::format("rows {} to {} were durable and cannot be read", scan.tail.next.value,
                             next.first.value - 1));
  }
  return seal;
}

std::shared_ptr<Segment> Describe(const Found& found) {
  auto segment = std::make_shared<Segment>();
  segment->number = found.header.number;
  segment->path = found.path;
  segment->first = found.header.first;
  segment->last = {found.header.first.value - 1};
  return segment;
}

Recovered CreateLog(Disk& disk, const std::string& directory, Random& random) {
  Found first;
  first.header.log_id = {random.Next(), random.Next()};
  first.header.number = 1;
  first.header.first = Offset{1};
  first.path = SegmentPath(directory, 1);
  Recovered recovered;
  recovered.start.file = CreateSegment(disk, directory, first.header);
  recovered.start.log_id = first.header.log_id;
  recovered.start.segment = Describe(first);
  recovered.start.allocated = kSegmentHeaderBytes;
  recovered.segments = {recovered.start.segment};
  recovered.report.segments = 1;
  return recovered;
}

}  // namespace

Recovered Recover(Disk& disk, const std::string& directory, bool must_exist, Random& random) {
  disk.SyncDirectory(directory);
  std::vector<uint64_t> numbers = SegmentNumbers(disk, directory);
  if (numbers.empty() && must_exist) {
    throw Error(ErrorCode::kCorruption,
                fmt::format("the log is missing: \"{}\" has no segment", directory),
                "Nothing was changed. Restore the folder from a backup of the data folder.");
  }
  if (numbers.empty()) {
    return CreateLog(disk, directory, random);
  }
  std::vector<Found> found = OpenSegments(disk, directory, numbers);
  Recovered recovered;
  for (const Found& segment : found) {
    recovered.segments.push_back(Describe(segment));
  }
  Found& last = found.back();
  uint64_t file_bytes = last.file->Size();
  Scan scan = ScanSegment(last, file_bytes, recovered.segments.back().get());
  uint64_t torn_bytes = CheckTornTail(last, scan, file_bytes);
  if (scan.sealed) {
    ThrowDamaged(last.path, scan.end, fmt::format("segment {} is missing", last.header.number + 1));
  }

  // Each segment but the last must end with its seal.  Only the newest seal may be missing, and
  // only while nothing follows it.
  std::optional<FrameHeader> lost_seal;
  for (size_t i = 0; i + 1 < found.size(); i++) {
    const SegmentHeader& next = found[i + 1].header;
    if (!IsSealed(found[i], next)) {
      if (i + 2 < found.size() || scan.end > kSegmentHeaderBytes || torn_bytes > 0) {
        ThrowDamaged(found[i].path, next.previous_end, "the seal of the segment cannot be read");
      }
      lost_seal = RebuildSeal(found[i], next);
    }
    recovered.segments[i]->last = {next.first.value - 1};
    recovered.segments[i]->end = next.previous_end;
  }

  // Decided; from here on the disk is written.
  ASSERT(!lost_seal || (scan.end == kSegmentHeaderBytes && torn_bytes == 0));
  ASSERT(torn_bytes == 0 || scan.end + torn_bytes <= file_bytes);
  if (lost_seal) {
    std::string page = PageOf(Encode(*lost_seal, last.header.log_id.low));
    std::string_view parts[] = {page};
    found[found.size() - 2].file->WriteDurably(last.header.previous_end, parts);
  }
  if (torn_bytes > 0) {
    last.file->Truncate(scan.end);  // so that a dropped group can never come back to life
    last.file->Sync();
    file_bytes = scan.end;
  }
  for (const std::string& name : disk.List(directory)) {
    if (name.starts_with("segment-") && name.ends_with(".tmp")) {
      disk.Remove(directory + "/" + name);
    }
  }

  Segment& open_segment = *recovered.segments.back();
  open_segment.end = scan.end;
  open_segment.last = {scan.tail.next.value - 1};
  recovered.start.log_id = last.header.log_id;
  recovered.start.segment = recovered.segments.back();
  recovered.start.allocated = file_bytes;
  recovered.start.tail = scan.tail;
  recovered.start.file = disk.Open(last.path, OpenMode::kReadWrite);
  recovered.report.segments = found.size();
  recovered.report.records = scan.tail.records - found.front().header.records_before;
  recovered.report.torn_bytes = torn_bytes;
  return recovered;
}

}  // namespace weir
