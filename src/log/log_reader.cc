#include "log/log_reader.h"

#include "log/segment.h"

namespace weir {

SegmentsReader::SegmentsReader(Disk& disk, std::vector<Stretch> stretches, Offset after,
                               Offset up_to, std::optional<StreamId> only,
                               std::shared_ptr<void> pin)
    : disk_(disk),
      stretches_(std::move(stretches)),
      after_(after),
      up_to_(up_to),
      only_(only),
      pin_(std::move(pin)) {
  for (const Stretch& stretch : stretches_) {
    CHECK(stretch.position >= kSegmentHeaderBytes && stretch.position % kPageBytes == 0);
  }
}

void SegmentsReader::LeaveOutPayloads() {
  CHECK(next_stretch_ == 0);
  without_payloads_ = true;
}

std::shared_ptr<const CommittedRecord> SegmentsReader::Next() {
  while (frames_ || OpenNextStretch()) {
    if (frames_->AtEnd()) {
      frames_.reset();
      continue;
    }
    const Stretch& stretch = stretches_[next_stretch_ - 1];
    uint64_t position = frames_->position();
    std::optional<FrameHeader> header = frames_->Next();
    if (!header) {
      ThrowDamaged(stretch.path, position, "no valid record begins there");
    }
    if (header->last() > up_to_ && header->first > up_to_) {
      frames_.reset();
      next_stretch_ = stretches_.size();
      return nullptr;
    }
    if (!IsWanted(*header)) {
      frames_->SkipBody(*header);
      continue;
    }
    auto record = std::make_shared<CommittedRecord>();
    record->first = header->first;
    record->append_time = header->append_time;
    record->record.stream = header->stream;
    record->record.count = header->count;
    bool is_whole = without_payloads_
                        ? frames_->ReadMeta(*header, record->record.meta)
                        : frames_->ReadBody(*header, record->record.meta, record->record.payload);
    if (!is_whole) {
      ThrowDamaged(stretch.path, position, "the bytes of a record do not match their checksum");
    }
    return record;
  }
  return nullptr;
}

bool SegmentsReader::OpenNextStretch() {
  if (next_stretch_ == stretches_.size()) {
    return false;
  }
  const Stretch& stretch = stretches_[next_stretch_++];
  std::shared_ptr<File> file = disk_.Open(stretch.path, OpenMode::kRead);
  SegmentHeader header = ReadSegmentHeader(*file, stretch.path);
  frames_.emplace(std::move(file), header.log_id.low, stretch.position, stretch.end);
  if (stretch.position == kSegmentHeaderBytes) {
    frames_->ExpectChain(header.previous_crc, header.first_sequence);
  }
  return true;
}

bool SegmentsReader::IsWanted(const FrameHeader& header) const {
  if ((header.flags & kMark) || (only_ && header.stream != *only_)) {
    return false;
  }
  return header.count > 0 ? header.last() > after_ && header.first <= up_to_
                          : header.first > after_ && header.last() <= up_to_;
}

std::unique_ptr<LogReader> ReadSegmentFile(const SegmentInfo& segment, Offset after, Offset up_to) {
  std::shared_ptr<Disk> disk = MakeRealDisk();
  Stretch stretch{segment.path, kSegmentHeaderBytes, segment.bytes};
  Disk& borrowed = *disk;
  return std::make_unique<SegmentsReader>(borrowed, std::vector<Stretch>{std::move(stretch)}, after,
                                          up_to, std::nullopt, std::move(disk));
}

}  // namespace weir
