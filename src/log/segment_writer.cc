#include "log/segment_writer.h"

#include <algorithm>

#include "base/crc32c.h"

namespace weir {

namespace {

// The file grows ahead of the writes, so that most of them change no metadata.
constexpr uint64_t kGrowBytes = 8 << 20;
// The first write into reserved space costs a journal commit (145 us where the next costs 95), so a
// small group brings zeros for those that follow.
constexpr uint64_t kZeroAheadBytes = 64 << 10;
constexpr uint64_t kSmallGroupBytes = 16 << 10;
constexpr char kZeros[kZeroAheadBytes] = {};
// A smaller body is copied beside its header; a larger one is written from where it lies.
constexpr size_t kStageMax = 2048;

uint64_t PaddedBytes(const std::vector<SegmentWriter::Entry>& group) {
  uint64_t bytes = 0;
  for (const SegmentWriter::Entry& entry : group) {
    const LogRecord& record = entry.record->record;
    bytes += RoundUp(kFrameHeaderBytes + record.meta.size() + record.payload.size(), 8);
  }
  return RoundUp(bytes, kPageBytes);
}

// Collects the pieces of one write: small ones side by side in `staging`, large ones by reference.
class Gather {
 public:
  Gather(std::string& staging, std::vector<std::string_view>& parts, size_t staged_max)
      : staging_(staging), parts_(parts) {
    staging_.clear();
    staging_.reserve(staged_max);  // parts point into it: it must not move
    parts_.clear();
  }

  void Add(std::string_view bytes) {
    total_ += bytes.size();
    if (bytes.size() > kStageMax) {
      Flush();
      parts_.push_back(bytes);
    } else {
      staging_.append(bytes);
    }
  }

  void PadTo(uint64_t multiple) {
    size_t zeros = RoundUp(total_, multiple) - total_;
    total_ += zeros;
    staging_.append(zeros, '\0');
  }

  void Flush() {
    ASSERT(staging_.size() <= staging_.capacity());
    if (staging_.size() > flushed_) {
      parts_.push_back(std::string_view(staging_).substr(flushed_));
      flushed_ = staging_.size();
    }
  }

  uint64_t total() const { return total_; }

 private:
  std::string& staging_;
  std::vector<std::string_view>& parts_;
  uint64_t total_ = 0;
  size_t flushed_ = 0;
};

}  // namespace

SegmentWriter::SegmentWriter(Disk& disk, std::string directory, Sizes sizes, Start start)
    : disk_(disk),
      directory_(std::move(directory)),
      sizes_(sizes),
      log_id_(start.log_id),
      file_(std::move(start.file)),
      segment_(std::move(start.segment)),
      end_(segment_->end),
      allocated_(start.allocated),
      tail_(start.tail) {
  ASSERT(end_ >= kSegmentHeaderBytes && end_ % kPageBytes == 0);
  ASSERT(segment_->last.value + 1 == tail_.next.value);
}

void SegmentWriter::Write(const std::vector<Entry>& group) {
  ASSERT(!group.empty());
  uint64_t bytes = PaddedBytes(group);
  bool full = end_ > kSegmentHeaderBytes && end_ + bytes + kPageBytes > sizes_.segment_bytes;
  if (full || next_) {
    Roll();
  }
  CheckFree(end_ + bytes + kPageBytes);
  Reserve(end_ + bytes + kPageBytes);  // the seal's page is always there

  size_t staged_max = kPageBytes;
  for (const Entry& entry : group) {
    const LogRecord& record = entry.record->record;
    staged_max += kFrameHeaderBytes + 8 + std::min(record.meta.size(), kStageMax) +
                  std::min(record.payload.size(), kStageMax);
  }
  Gather gather(staging_, parts_, staged_max);
  Tail tail = tail_;
  for (const Entry& entry : group) {
    FrameHeader header = HeaderOf(entry, tail);
    if (&entry == &group.back()) {
      header.flags = kGroupEnd;
    }
    FrameHeaderBytes encoded = Encode(header, log_id_.low);
    gather.Add({encoded.data(), encoded.size()});
    gather.Add(entry.record->record.meta);
    gather.Add(entry.record->record.payload);
    gather.PadTo(8);
    tail.Add(header);
  }
  gather.PadTo(kPageBytes);
  gather.Flush();
  ASSERT(gather.total() == bytes);  // the next group begins where readers look for it
  WriteOrUndo(bytes);
  tail_ = tail;
  end_ += bytes;
  marked_ = false;
}

FrameHeader SegmentWriter::HeaderOf(const Entry& entry, const Tail& tail) const {
  const CommittedRecord& record = *entry.record;
  ASSERT(record.first == tail.next && record.append_time >= tail.append_time);
  ASSERT(record.record.meta.size() <= kFrameBodyMax);
  ASSERT(record.record.payload.size() <= kFrameBodyMax);
  // They are still the bytes that came in.
  DEBUG_ASSERT(Crc32c(record.record.meta) == entry.meta_crc);
  DEBUG_ASSERT(Crc32c(record.record.payload) == entry.payload_crc);
  FrameHeader header;
  header.first = record.first;
  header.count = record.record.count;
  header.stream = record.record.stream;
  header.append_time = record.append_time;
  header.previous_crc = tail.chain;
  header.meta_bytes = record.record.meta.size();
  header.payload_bytes = record.record.payload.size();
  header.meta_crc = entry.meta_crc;
  header.payload_crc = entry.payload_crc;
  header.sequence = tail.sequence + 1;
  header.durable_sequence = tail_.sequence;
  return header;
}

void SegmentWriter::WriteMark() {
  if (marked_ || next_ || end_ == kSegmentHeaderBytes ||
      end_ + 2 * kPageBytes > sizes_.segment_bytes) {
    return;
  }
  Reserve(end_ + 2 * kPageBytes);
  FrameHeader mark = MakeSeal(tail_, log_id_.low);
  mark.flags &= ~kSeal;
  std::string page = PageOf(Encode(mark, log_id_.low));
  parts_.assign({page});
  WriteOrUndo(kPageBytes);
  tail_.Add(mark);
  end_ += kPageBytes;
  marked_ = true;
}

// The next file is durable before the seal that promises it; the seal is durable before the first
// group in the new file.  A crash in between leaves an unsealed file and an empty one after it.
void SegmentWriter::Roll() {
  if (!next_) {
    BeginNext();
  }
  Reserve(end_ + kPageBytes);
  FrameHeader seal = MakeSeal(tail_, log_id_.low);
  // Recovery believes the next file: it must have promised just this seal, at this place.
  ASSERT(end_ == next_->seal_position && seal.header_crc == next_->seal_crc);
  ASSERT(next_->segment->first == tail_.next && next_->segment->number == segment_->number + 1);
  std::string page = PageOf(Encode(seal, log_id_.low));
  parts_.assign({page});
  WriteOrUndo(kPageBytes);
  file_->Truncate(end_ + kPageBytes);  // gives back what was reserved; need not be durable

  tail_.Add(seal);
  file_ = std::move(next_->file);
  segment_ = std::move(next_->segment);
  next_.reset();
  end_ = allocated_ = kSegmentHeaderBytes;
  zeroed_ = 0;
}

void SegmentWriter::BeginNext() {
  SegmentHeader header;
  header.log_id = log_id_;
  header.number = segment_->number + 1;
  header.first = tail_.next;
  header.first_sequence = tail_.sequence + 2;  // the seal takes one
  header.records_before = tail_.records;
  header.append_time = tail_.append_time;
  header.previous_end = end_;
  header.previous_crc = MakeSeal(tail_, log_id_.low).header_crc;

  auto segment = std::make_shared<Segment>();
  segment->number = header.number;
  segment->path = SegmentPath(directory_, header.number);
  segment->first = tail_.next;
  segment->last = {tail_.next.value - 1};
  next_ = Next{CreateSegment(disk_, directory_, header), std::move(segment), header.previous_end,
               header.previous_crc};
}

// Of rows only: marks and seals are little, and help to make room.
void SegmentWriter::CheckFree(uint64_t bytes) const {
  if (bytes <= allocated_ || sizes_.keep_free == 0) return;
  uint64_t wanted = bytes - allocated_ + sizes_.keep_free;
  if (disk_.SpaceOf(directory_).free >= wanted) return;
  throw Error(ErrorCode::kUnavailable,
              "the disk has less than " + std::to_string(wanted / 1'000'000) +
                  " MB free, which landing needs to make room",
              "Free some space on the disk, or try again in a while.");
}

void SegmentWriter::Reserve(uint64_t bytes) {
  if (bytes <= allocated_) {
    return;
  }
  uint64_t generous = std::max(bytes, std::min(sizes_.segment_bytes, allocated_ + kGrowBytes));
  try {
    file_->Allocate(generous);
    allocated_ = generous;
  } catch (const DiskFailure&) {
    throw;
  } catch (const Error&) {
    if (generous == bytes) {
      throw;
    }
    file_->Allocate(bytes);  // on a nearly full disk, just what this write needs
    allocated_ = bytes;
  }
}

void SegmentWriter::WriteOrUndo(uint64_t bytes) {
  uint64_t written_to = end_ + bytes;
  ASSERT(bytes % kPageBytes == 0 && written_to <= allocated_);
  if (bytes <= kSmallGroupBytes && written_to > zeroed_) {
    uint64_t ahead = std::min(allocated_ - written_to, kZeroAheadBytes - bytes);
    parts_.emplace_back(kZeros, ahead);
    written_to += ahead;
  }
  try {
    file_->WriteDurably(end_, parts_);
    zeroed_ = std::max(zeroed_, written_to);
    ASSERT(zeroed_ <= allocated_);
  } catch (const DiskFailure&) {
    throw;
  } catch (const Error& full) {
    // Part of it may stand there.  Its producers are told it is not kept, so it must not come back.
    try {
      file_->Truncate(end_);
      file_->Sync();
    } catch (const Error& error) {
      throw DiskFailure(error.message);
    }
    allocated_ = zeroed_ = end_;
    throw;
  }
}

}  // namespace weir
