#include "ingest/pipeline.h"

#include <spdlog/spdlog.h>

#include <limits>
#include <new>

#include "duck/errors.h"
#include "formats/block.h"
#include "ingest/meta.h"

namespace weir {

Error RowsRefused() noexcept {
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      return Error(ErrorCode::kUnavailable, "there is no memory for the rows at the moment",
                   "Try again after the time in Retry-After.");
    } catch (...) {
      return CurrentError();
    }
  } catch (...) {
    return Error(ErrorCode::kUnavailable, "out of memory");  // short enough to need none
  }
}

void Give(std::function<void(IngestAnswer)>& done, IngestAnswer answer) noexcept {
  try {
    std::exchange(done, nullptr)(std::move(answer));
  } catch (...) {
    try {
      spdlog::error("an answer to a producer could not be given: {}", RowsRefused().message);
    } catch (...) {
    }
  }
}

static bool HasKeys(const Submission& work) {
  return !work.stream->dedup_key.empty() && work.rows->rows > 0;
}

void RowPipeline::Submit(Work work) {
  CHECK(work->done && !work->claim && !work->in_gate && work->records.empty());
  if (HasKeys(*work)) {
    auto& claims = keys_.Of(*work->stream);
    // Soon after a start the keys of before are still being read back.
    if (!claims.IsRecovered() &&
        Waits(work, &RowPipeline::ClaimAndGoOn, "wait for the keys of their dedup_window",
              [&](TaskThread::Task& later) { return claims.AwaitRecovery(later); })) {
      return;
    }
  }
  ClaimAndGoOn(work);
}

void RowPipeline::ClaimAndGoOn(const Work& work) {
  Claim(*work);
  if (!work->claim.MayGoOn() &&
      Waits(work, &RowPipeline::EnterAndAppend, "wait for earlier ones with the same keys",
            [&](TaskThread::Task& later) { return work->claim.Wait(later); })) {
    return;
  }
  EnterAndAppend(work);
}

bool RowPipeline::Waits(const Work& work, Step step, const char* what,
                        const std::function<bool(TaskThread::Task&)>& await) {
  auto over = [this](const Work& work) {
    size_t before = waiting_bytes_.fetch_sub(work->bytes);
    ASSERT(before >= work->bytes);
  };
  if (waiting_bytes_.fetch_add(work->bytes) + work->bytes > kWaitingBytesMax) {
    over(work);
    throw Error(ErrorCode::kTooManyRequests, std::string("too many rows ") + what,
                "Try again after the time in Retry-After.");
  }
  TaskThread::Task later;
  try {
    later = TaskThread::Make([this, work, step, over] {
      over(work);
      GoOn(work, step);
    });
  } catch (...) {
    over(work);
    throw;
  }
  if (!await(later)) return true;
  over(work);
  return false;
}

void RowPipeline::GoOn(const Work& work, Step step) noexcept {
  try {
    (this->*step)(work);
  } catch (...) {
    Fail(*work, std::current_exception());
  }
}

void RowPipeline::Claim(Submission& work) {
  if (!HasKeys(work)) return;
  size_t key = *work.stream->Find(work.stream->dedup_key);
  std::vector<KeyClaims::Hashes> hashes;
  hashes.reserve(work.rows->chunks.size());
  for (auto& chunk : work.rows->chunks) {
    hashes.push_back(DedupWindow::HashesOf(chunk->data[key], chunk->size()));
  }
  work.claim = keys_.Of(*work.stream).Take(std::move(hashes), clock_.Now());
}

// Leaves only the rows whose key is new.
static uint64_t DropDuplicates(const KeyClaims::Ticket& claim, Columns& rows) {
  uint64_t dropped = 0;
  for (size_t i = 0; i < rows.chunks.size(); i++) {
    auto& chunk = *rows.chunks[i];
    auto& fresh = claim.Fresh(i);
    ASSERT(fresh.size() == chunk.size());
    duckdb::SelectionVector kept(chunk.size());
    duckdb::idx_t count = 0;
    for (duckdb::idx_t row = 0; row < chunk.size(); row++) {
      if (fresh[row]) kept.set_index(count++, row);
    }
    if (count == chunk.size()) continue;
    dropped += chunk.size() - count;
    chunk.Slice(kept, count);
    chunk.Flatten();
  }
  std::erase_if(rows.chunks, [](auto& chunk) { return chunk->size() == 0; });
  rows.rows -= dropped;
  return dropped;
}

// A record's offsets are those of its rows: there must be as many as it says, of all columns.
static void CheckWhole(const Columns& rows, size_t columns) {
  uint64_t in_chunks = 0;
  for (auto& chunk : rows.chunks) {
    CHECK(chunk->ColumnCount() == columns);
    in_chunks += chunk->size();
  }
  CHECK(in_chunks == rows.rows);
}

void RowPipeline::Encode(Submission& work) {
  auto& rows = *work.rows;
  if (work.claim) work.answer.duplicates = DropDuplicates(work.claim, rows);
  CheckWhole(rows, work.stream->columns.size());
  work.answer.accepted = rows.rows;
  if (work.ticket) {
    // The answer is the same now, as a retry gets it, and after a restart.
    auto& rejected = work.answer.rejected;
    if (rejected.size() > kErrorsOfKeyed) rejected.resize(kErrorsOfKeyed);
    work.ticket.Prepare(work.answer);
  }
  if (rows.rows == 0 && !work.ticket) return;
  ASSERT(rows.rows <= std::numeric_limits<uint32_t>::max());
  LogRecord record;
  record.stream = work.stream->id;
  record.count = static_cast<uint32_t>(rows.rows);
  if (work.ticket) {
    record.meta = EncodeMeta({work.stream->name, work.key, work.use, work.answer});
  }
  record.payload = EncodeBlock(rows, work.stream->Types());
  if (work.memory) work.memory->Add(record.payload.size());
  record.decoded = work.rows;
  work.records.push_back(std::move(record));
}

void RowPipeline::EnterAndAppend(const Work& work) {
  CHECK(!work->in_gate && work->records.empty());
  Encode(*work);
  if (work->stream->IsTable() && !work->holds_table && !work->records.empty()) {
    bool passed = GateOf(*work->stream).Enter(work->records[0].payload.size(), [this, work] {
      work->in_gate = true;
      GoOn(work, &RowPipeline::Append);
    });
    if (!passed) return;
    work->in_gate = true;
  }
  Append(work);
}

void RowPipeline::Append(const Work& work) {
  try {
    bool gated = work->stream->IsTable() && !work->holds_table && !work->records.empty();
    CHECK(work->in_gate == gated);
    log_.Append(std::move(work->records),
                [this, work](const AppendResult& result) { Ended(*work, result); });
  } catch (...) {
    if (std::exchange(work->in_gate, false)) GateOf(*work->stream).Leave();
    throw;
  }
}

void RowPipeline::Ended(Submission& work, const AppendResult& result) noexcept {
  ASSERT(work.done);  // it is answered once
  if (std::exchange(work.in_gate, false)) GateOf(*work.stream).Leave();
  if (result.error) return Fail(work, result.error);
  work.claim.End(true);
  // Who had no rows and no key appended no record, and is told the log's end, which others are
  // before that are not answered yet.
  bool appended = work.answer.accepted > 0 || work.ticket;
  if (work.ticket) work.ticket.Finish(result.last, result.append_time);
  if (appended) answered_ = std::max<uint64_t>(answered_, result.last.value);
  bodies_ += work.is_body;
  if (work.is_body) bytes_ += work.bytes;
  rows_ += work.answer.accepted;
  rejected_ += work.answer.rejected_total;
  duplicates_ += work.answer.duplicates;
  work.answer.offset = result.last;
  Give(work.done, std::move(work.answer));
}

void RowPipeline::Fail(Submission& work, const std::exception_ptr& error) noexcept {
  ASSERT(work.done && !work.in_gate);
  work.claim.End(false);
  work.ticket.Abandon();
  IngestAnswer failure;
  try {
    std::rethrow_exception(error);
  } catch (...) {
    failure.error = RowsRefused();
  }
  Give(work.done, std::move(failure));
}

TableGate& RowPipeline::GateOf(const Stream& table) {
  std::lock_guard lock(mutex_);
  auto& gate = gates_[table.id.value];
  if (!gate) gate = std::make_unique<TableGate>();
  return *gate;
}

}  // namespace weir
