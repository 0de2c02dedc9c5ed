#include "lake/tail.h"

#include <algorithm>

#include "duckdb/common/allocator.hpp"
#include "duckdb/common/types/vector.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "formats/block.h"
#include "lake/storage.h"

namespace weir {
namespace {

constexpr duckdb::idx_t kVector = STANDARD_VECTOR_SIZE;
// Records of a quiet stream hold a row or two: those are gathered into full vectors.  A piece at
// least this long is handed on as it is.
constexpr duckdb::idx_t kWorthReferencing = kVector / 4;

void FillOffsets(duckdb::Vector& vector, uint64_t first, duckdb::idx_t at, duckdb::idx_t count) {
  auto* data = duckdb::FlatVector::GetDataUnsafe<uint64_t>(vector);
  for (duckdb::idx_t i = 0; i < count; i++) data[at + i] = first + i;
}

void FillArrivals(duckdb::Vector& vector, Micros time, duckdb::idx_t at, duckdb::idx_t count) {
  auto* data = duckdb::FlatVector::GetDataUnsafe<int64_t>(vector);
  std::fill(data + at, data + at + count, time);
}

}  // namespace

TailCursor::TailCursor(std::shared_ptr<const Stream> stream, std::vector<size_t> columns,
                       Offset after, Offset up_to, NextRecord next)
    : stream_(std::move(stream)),
      stream_types_(stream_->Types()),
      after_(after),
      up_to_(up_to),
      last_(after),
      next_(std::move(next)) {
  CHECK(after <= up_to);
  auto stored = StoredTypes(*stream_);
  size_t offset_column = stream_->columns.size();
  for (size_t i = 0; i < columns.size(); i++) {
    CHECK(columns[i] < stored.size());
    types_.push_back(stored[columns[i]]);
    if (columns[i] == offset_column) {
      offsets_.push_back(i);
    } else if (columns[i] > offset_column) {
      arrivals_.push_back(i);
    } else {
      targets_.push_back(i);
      projection_.push_back(columns[i]);
    }
  }
}

bool TailCursor::LoadRecord() {
  for (;;) {
    record_ = next_();
    if (!record_) return false;
    if (record_->record.stream != stream_->id || record_->record.count == 0) continue;
    if (record_->first > up_to_) return false;
    if (record_->last() <= after_) continue;
    row_ = after_ >= record_->first ? after_.value - record_->first.value + 1 : 0;
    row_end_ = std::min(record_->last(), up_to_).value - record_->first.value + 1;
    CHECK(row_ <= row_end_ && row_end_ <= record_->record.count);
    if (!projection_.empty()) {
      rows_ = DecodeBlock(record_->record.payload, stream_types_, projection_, record_);
      if (rows_.rows != record_->record.count) {
        throw Error(ErrorCode::kCorruption, "a log record of " +
                                                std::to_string(record_->record.count) +
                                                " rows holds " + std::to_string(rows_.rows));
      }
    }
    chunk_ = 0;
    in_chunk_ = row_;
    while (!projection_.empty() && in_chunk_ >= Current().size()) {
      in_chunk_ -= Current().size();
      chunk_++;
    }
    return true;
  }
}

// Takes the next `count` rows of the current chunk, as vectors of their own or appended to `to`.
void TailCursor::Take(duckdb::DataChunk& to, duckdb::idx_t count, bool reference) {
  CHECK(count <= row_end_ - row_);
  CHECK(projection_.empty() || in_chunk_ + count <= Current().size());
  duckdb::idx_t at = reference ? 0 : to.size();
  uint64_t first = record_->first.value + row_;
  for (size_t i = 0; i < targets_.size(); i++) {
    auto& source = Current().data[i];
    auto& target = to.data[targets_[i]];
    if (!reference) {
      duckdb::VectorOperations::Copy(source, target, in_chunk_ + count, in_chunk_, at);
    } else if (in_chunk_ == 0) {
      target.Reference(source);
    } else {
      target.Slice(source, in_chunk_, in_chunk_ + count);
    }
  }
  for (size_t i : offsets_) {
    if (reference) to.data[i].Initialize(false, kVector);
    FillOffsets(to.data[i], first, at, count);
  }
  for (size_t i : arrivals_) {
    if (reference) {
      to.data[i].Reference(
          duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(record_->append_time)));
    } else {
      FillArrivals(to.data[i], record_->append_time, at, count);
    }
  }
  to.SetCardinality(at + count);
  row_ += count;
  in_chunk_ += count;
  last_ = Offset{record_->first.value + row_ - 1};
  if (!projection_.empty() && in_chunk_ == Current().size()) {
    chunk_++;
    in_chunk_ = 0;
  }
}

void TailCursor::Next(duckdb::DataChunk& out) {
  // Fresh memory for each vector gathered: what we hand out may be kept.
  duckdb::DataChunk gathered;
  bool gathering = false;
  for (;;) {
    if (row_ == row_end_ && !LoadRecord()) break;
    uint64_t left = row_end_ - row_;
    if (!projection_.empty()) left = std::min<uint64_t>(left, Current().size() - in_chunk_);
    auto count = static_cast<duckdb::idx_t>(std::min<uint64_t>(left, kVector));
    if (!gathering && count >= kWorthReferencing) {
      Take(out, count, true);
      return;
    }
    if (!gathering) {
      duckdb::vector<duckdb::LogicalType> types(types_.begin(), types_.end());
      if (!types.empty()) gathered.Initialize(duckdb::Allocator::DefaultAllocator(), types);
      gathering = true;
    }
    count = std::min(count, kVector - gathered.size());
    Take(gathered, count, false);
    if (gathered.size() == kVector) break;
  }
  if (gathering) out.Reference(gathered);
}

TailSource::TailSource(std::shared_ptr<const Stream> stream, Offset after, Offset up_to,
                       uint64_t estimated_rows, std::function<NextRecord()> open)
    : stream_(std::move(stream)),
      names_(StoredNames(*stream_)),
      types_(StoredTypes(*stream_)),
      after_(after),
      up_to_(up_to),
      estimated_rows_(estimated_rows),
      open_(std::move(open)) {}

std::unique_ptr<RowCursor> TailSource::Scan(std::vector<size_t> columns) {
  return std::make_unique<TailCursor>(stream_, std::move(columns), after_, up_to_, open_());
}

}  // namespace weir
