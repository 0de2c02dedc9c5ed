#include "views/outbox.h"

#include "base/error.h"
#include "duck/errors.h"
#include "formats/block.h"
#include "formats/json_text.h"

namespace weir {

Outbox::Outbox(Log& log, Clock& clock, uint32_t pump, StreamId stream, RowTypes types,
               std::function<void()> ended)
    : log_(log),
      clock_(clock),
      pump_(pump),
      stream_(stream),
      types_(std::move(types)),
      ended_(std::move(ended)) {}

void Outbox::Add(Columns rows, InputMark input) {
  Batch batch;
  batch.rows = rows.rows;
  uint64_t in_records = 0;
  std::string mark = EncodePumpMark({pump_, input});
  CheckJsonDepth(rows, types_, {});  // as of rows that come by the door
  for (size_t first = 0; first < rows.chunks.size(); first += kRecordChunks) {
    auto part = std::make_shared<Columns>();
    for (size_t i = first; i < std::min(first + kRecordChunks, rows.chunks.size()); i++) {
      part->rows += rows.chunks[i]->size();
      part->chunks.push_back(std::move(rows.chunks[i]));
    }
    CHECK(part->rows > 0 && part->rows <= UINT32_MAX);
    LogRecord record;
    record.stream = stream_;
    record.count = static_cast<uint32_t>(part->rows);
    record.meta = mark;
    record.payload = EncodeBlock(*part, types_);
    record.decoded = std::move(part);
    in_records += record.count;
    batch.bytes += record.payload.size();
    batch.records.push_back(std::move(record));
  }
  CHECK(in_records > 0 && in_records == batch.rows);
  std::lock_guard lock(mutex_);
  CHECK(last_ < input);
  if (closed_) {
    added_++;
    done_++;
    return;
  }
  uint64_t bytes = batch.bytes;
  waiting_.push_back(std::move(batch));
  // Only now: of what found no memory nobody is to wait for the end.
  added_++;
  bytes_ += bytes;
  last_ = input;
  CheckCounts();
}

void Outbox::CheckCounts() const {
  ASSERT(done_ + waiting_.size() == added_);
  if (!kDebugChecks) return;
  uint64_t bytes = 0;
  for (auto& batch : waiting_) bytes += batch.bytes;
  ASSERT(bytes == bytes_);
}

void Outbox::Send(Micros now) {
  size_t batches = 0;
  try {
    std::vector<LogRecord> records;
    {
      std::lock_guard lock(mutex_);
      if (under_way_ || closed_ || waiting_.empty()) return;
      if (failed_ && now - failed_at_ < kRetry) return;
      // What one append holds becomes durable as a whole, so a mark never runs ahead of its rows.
      for (uint64_t bytes = 0; batches < waiting_.size() && bytes < kAppendBytes; batches++) {
        bytes += waiting_[batches].bytes;
        for (auto& record : waiting_[batches].records) records.push_back(record);
      }
      under_way_ = true;
    }
    log_.Append(std::move(records),
                [self = shared_from_this(), batches](const AppendResult& result) {
                  self->End(batches, result);
                });
  } catch (...) {
    // Whatever it was: nothing is under way, and it is tried again.
    bool never = NoteFailure(now);
    if (never) throw;
  }
}

// In a catch block.  True when trying again will not help.
bool Outbox::NoteFailure(Micros now) {
  std::lock_guard lock(mutex_);
  under_way_ = false;
  failed_ = true;
  failed_at_ = now;
  try {
    trouble_ = CurrentError();
  } catch (...) {
    trouble_ = Error(ErrorCode::kLimitExceeded, "out of memory");
  }
  return trouble_->code == ErrorCode::kTooLarge;
}

void Outbox::End(size_t batches, const AppendResult& result) {
  {
    std::lock_guard lock(mutex_);
    ASSERT(under_way_ && batches > 0);
    ASSERT(closed_ || batches <= waiting_.size());  // they are still in front
    under_way_ = false;
    failed_ = result.error != nullptr;
    trouble_.reset();
    if (failed_) {
      failed_at_ = clock_.Monotonic();
      try {
        std::rethrow_exception(result.error);
      } catch (...) {
        trouble_ = CurrentError();
      }
    } else {
      for (; batches > 0 && !waiting_.empty(); batches--) {
        bytes_ -= waiting_.front().bytes;
        rows_ += waiting_.front().rows;
        done_++;
        waiting_.pop_front();
      }
    }
    CheckCounts();
  }
  changed_.notify_all();
  ended_();
}

void Outbox::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  waiting_.clear();
  bytes_ = 0;
  done_ = added_.load();
}

void Outbox::Wait() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(10));
}

std::optional<Error> Outbox::Trouble() const {
  std::lock_guard lock(mutex_);
  return trouble_;
}

}  // namespace weir
