#include "log/segment.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir {

namespace {

constexpr uint64_t kPlaceEvery = 1 << 20;

}  // namespace

void Segment::NotePlace(Offset group_first, uint64_t position) {
  ASSERT(position % kPageBytes == 0 && position >= kSegmentHeaderBytes && group_first >= first);
  ASSERT(places.empty() ||
         (position > places.back().position && group_first >= places.back().first));
  if (position >= (places.empty() ? kSegmentHeaderBytes : places.back().position) + kPlaceEvery) {
    places.push_back({group_first, position});
  }
}

uint64_t Segment::PlaceFor(Offset after) const {
  // Strictly before: records without rows share the offset of the row that follows them.
  auto place = std::upper_bound(places.begin(), places.end(), after,
                                [](Offset offset, const Place& p) { return offset < p.first; });
  uint64_t position = place == places.begin() ? kSegmentHeaderBytes : std::prev(place)->position;
  CHECK(position < end);
  return position;
}

void Segment::CheckInvariants() const {
  ASSERT(number > 0 && first.value > 0 && last.value + 1 >= first.value);
  ASSERT(end >= kSegmentHeaderBytes && end % kPageBytes == 0);
  ASSERT(end > kSegmentHeaderBytes || last.value + 1 == first.value);
  for (size_t i = 0; i < places.size(); i++) {
    ASSERT(places[i].position < end && places[i].first.value <= last.value + 1);
    ASSERT(i == 0 || (places[i].position >= places[i - 1].position + kPlaceEvery &&
                      places[i].first >= places[i - 1].first));
  }
}

void Tail::Add(const FrameHeader& header) {
  ASSERT(header.first == next && header.append_time >= append_time);
  ASSERT(header.sequence == sequence + 1 && header.previous_crc == chain);
  next.value = header.first.value + header.count;
  sequence = header.sequence;
  chain = header.header_crc;
  append_time = header.append_time;
  records += header.flags & kMark ? 0 : 1;
}

std::string SegmentPath(const std::string& directory, uint64_t number) {
  return fmt::format("{}/segment-{:020}", directory, number);
}

FrameHeader MakeSeal(const Tail& tail, uint64_t log_id_low) {
  FrameHeader seal;
  seal.first = tail.next;
  seal.append_time = tail.append_time;
  seal.previous_crc = tail.chain;
  seal.flags = kGroupEnd | kMark | kSeal;
  seal.sequence = tail.sequence + 1;
  seal.durable_sequence = tail.sequence;
  Encode(seal, log_id_low);
  return seal;
}

std::unique_ptr<File> CreateSegment(Disk& disk, const std::string& directory,
                                    const SegmentHeader& header) {
  std::string path = SegmentPath(directory, header.number);
  std::string temporary = path + ".tmp";
  if (disk.Exists(temporary)) {
    disk.Remove(temporary);
  }
  std::unique_ptr<File> file;
  try {
    file = disk.Open(temporary, OpenMode::kCreate);
    auto bytes = Encode(header);
    file->Write(0, {bytes.data(), bytes.size()});
    file->Sync();
    disk.Rename(temporary, path);
  } catch (const DiskFailure&) {
    throw;
  } catch (const Error&) {  // the disk is full; the attempt must not make it fuller
    if (disk.Exists(temporary)) {
      disk.Remove(temporary);
    }
    throw;
  }
  disk.SyncDirectory(directory);
  return file;
}

SegmentHeader ReadSegmentHeader(File& file, const std::string& path) {
  std::string bytes(kSegmentHeaderBytes, '\0');
  bytes.resize(file.Read(0, bytes));
  std::optional<SegmentHeader> header = DecodeSegmentHeader(bytes);
  if (!header) {
    ThrowDamaged(path, 0, "its header cannot be read");
  }
  return *header;
}

std::string PageOf(const FrameHeaderBytes& header) {
  std::string page(header.data(), header.size());
  page.resize(kPageBytes, '\0');
  return page;
}

void ThrowDamaged(const std::string& path, uint64_t position, const std::string& reason) {
  throw Error(ErrorCode::kCorruption,
              fmt::format("log segment \"{}\" is damaged at byte {}: {}", path, position, reason),
              "Nothing was changed. Restore the file from a backup of the data folder.");
}

}  // namespace weir
