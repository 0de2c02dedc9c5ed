#include "ingest/ingest.h"

#include <atomic>
#include <future>
#include <map>
#include <mutex>

#include "duck/errors.h"
#include "duckdb/common/types/hash.hpp"
#include "formats/block.h"
#include "ingest/dedup.h"
#include "ingest/idempotency.h"
#include "ingest/meta.h"
#include "ingest/table_gate.h"

namespace weir {
namespace {

constexpr size_t kKeyBytesMax = 255;
constexpr size_t kParsersKept = 8;  // for each stream: one for each thread that parses at once

class IngestImpl : public Ingest {
 public:
  IngestImpl(Disk& disk, std::string keys_path, Catalog& catalog, Log& log, Clock& clock,
             const Backpressure& backpressure, KeyHistory& history)
      : disk_(disk),
        keys_path_(std::move(keys_path)),
        catalog_(catalog),
        log_(log),
        clock_(clock),
        backpressure_(backpressure),
        history_(history) {}

  void Recover();
  void Post(const IngestRequest& request, std::function<void(IngestAnswer)> done) override;
  IngestAnswer Append(const Stream& stream, std::shared_ptr<Columns> rows) override;
  std::unique_ptr<TableHold> HoldTable(const Stream& table) override;
  Offset SaveKeys() override;
  void ForgetExpired() override;
  Counts Info() const override { return {rows_, rejected_, duplicates_, bodies_, bytes_}; }

 private:
  // A stream's window of keys, read back from history when it is first needed.
  struct Dedup {
    explicit Dedup(Micros window) : window(window) {}
    std::mutex mutex;
    bool recovered = false;
    DedupWindow window;
  };
  struct Claimed {
    std::vector<std::vector<std::optional<DedupWindow::Hash>>> hashes;
    std::vector<std::vector<bool>> fresh;
  };

  struct Prepared {
    std::shared_ptr<const Stream> stream;
    std::string key;
    uint64_t body_hash = 0;
    std::shared_ptr<Claimed> claimed = std::make_shared<Claimed>();
    std::vector<LogRecord> records;
    IngestAnswer answer;
    std::function<void(IngestAnswer)> done;
  };

  ParsedRows Parse(const std::shared_ptr<const Stream>& stream, const IngestRequest& request);
  void AppendPrepared(std::shared_ptr<Prepared> prepared);
  void Fail(const Prepared& prepared, const std::exception_ptr& error);
  TableGate& GateOf(const Stream& table);
  std::unique_ptr<RowParser> TakeParser(const std::shared_ptr<const Stream>& stream);
  void ReturnParser(StreamId stream, std::unique_ptr<RowParser> parser);
  Dedup& DedupOf(const Stream& stream);
  uint64_t DropDuplicates(const Stream& stream, Columns& columns, Claimed& claimed);
  void TakeBack(const Stream& stream, const Claimed& claimed);
  IngestAnswer Refuse(ParsedRows& parsed);

  Disk& disk_;
  const std::string keys_path_;
  Catalog& catalog_;
  Log& log_;
  Clock& clock_;
  const Backpressure& backpressure_;
  KeyHistory& history_;
  IdempotencyWindow keys_;
  // Records up to here have their keys in keys_: appends are answered in the log's order.
  std::atomic<uint64_t> answered_{0};
  size_t saved_hash_ = 0;  // of what SaveKeys wrote last
  std::mutex mutex_;       // guards what follows
  std::map<uint32_t, std::vector<std::unique_ptr<RowParser>>> parsers_;
  std::map<uint32_t, std::unique_ptr<Dedup>> dedup_;
  std::map<uint32_t, std::unique_ptr<TableGate>> gates_;
  std::atomic<uint64_t> rows_{0}, rejected_{0}, duplicates_{0}, bodies_{0}, bytes_{0};
};

std::string KeyOf(const Stream& stream, const std::string& key) {
  return std::to_string(stream.id.value) + "/" + key;
}

void IngestImpl::Recover() {
  answered_ = log_.End().value;
  keys_.Load(ReadWholeFile(disk_, keys_path_));
  auto reader = log_.Read(Offset{});
  while (auto record = reader->Next()) {
    auto meta = DecodeMeta(record->record.meta);
    if (!meta || meta->key.empty()) continue;
    meta->answer.offset = record->last();
    keys_.Remember(std::to_string(record->record.stream.value) + "/" + meta->key, meta->body_hash,
                   meta->answer, record->append_time);
  }
}

std::unique_ptr<RowParser> IngestImpl::TakeParser(const std::shared_ptr<const Stream>& stream) {
  {
    std::lock_guard lock(mutex_);
    auto& parsers = parsers_[stream->id.value];
    if (!parsers.empty()) {
      auto parser = std::move(parsers.back());
      parsers.pop_back();
      return parser;
    }
  }
  return RowParser::Make(stream);
}

void IngestImpl::ReturnParser(StreamId stream, std::unique_ptr<RowParser> parser) {
  std::lock_guard lock(mutex_);
  auto& parsers = parsers_[stream.value];
  if (parsers.size() < kParsersKept) parsers.push_back(std::move(parser));
}

IngestImpl::Dedup& IngestImpl::DedupOf(const Stream& stream) {
  Dedup* dedup;
  {
    std::lock_guard lock(mutex_);
    auto& place = dedup_[stream.id.value];
    if (!place) place = std::make_unique<Dedup>(stream.dedup_window);
    dedup = place.get();
  }
  std::lock_guard lock(dedup->mutex);
  if (!dedup->recovered) {
    history_.Scan(stream, *stream.Find(stream.dedup_key), clock_.Now() - stream.dedup_window,
                  [&](duckdb::Vector& keys, duckdb::Vector& times, duckdb::idx_t count) {
                    auto hashes = DedupWindow::HashesOf(keys, count);
                    times.Flatten(count);
                    auto time = duckdb::FlatVector::GetDataUnsafe<int64_t>(times)[count - 1];
                    dedup->window.Claim(hashes, time);
                  });
    dedup->recovered = true;
  }
  return *dedup;
}

Offset IngestImpl::SaveKeys() {
  Offset covered{answered_};
  std::string bytes = keys_.Save();
  size_t hash = std::hash<std::string>()(bytes);
  if (!bytes.empty() && hash != saved_hash_) {
    WriteFileAtomically(disk_, keys_path_, bytes);
    saved_hash_ = hash;
  }
  return covered;
}

void IngestImpl::ForgetExpired() {
  std::vector<Dedup*> all;
  {
    std::lock_guard lock(mutex_);
    for (auto& [stream, dedup] : dedup_) all.push_back(dedup.get());
  }
  for (auto* dedup : all) dedup->window.Forget(clock_.Now());
}

// Leaves only rows whose key is new; returns how many went.
uint64_t IngestImpl::DropDuplicates(const Stream& stream, Columns& columns, Claimed& claimed) {
  Dedup& dedup = DedupOf(stream);
  size_t key = *stream.Find(stream.dedup_key);
  uint64_t dropped = 0;
  Micros now = clock_.Now();
  for (auto& chunk : columns.chunks) {
    auto hashes = DedupWindow::HashesOf(chunk->data[key], chunk->size());
    auto fresh = dedup.window.Claim(hashes, now);
    duckdb::SelectionVector kept(chunk->size());
    duckdb::idx_t count = 0;
    for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
      if (fresh[row]) kept.set_index(count++, row);
    }
    if (count < chunk->size()) {
      dropped += chunk->size() - count;
      chunk->Slice(kept, count);
      chunk->Flatten();
    }
    claimed.hashes.push_back(std::move(hashes));
    claimed.fresh.push_back(std::move(fresh));
  }
  std::erase_if(columns.chunks, [](auto& chunk) { return chunk->size() == 0; });
  columns.rows -= dropped;
  return dropped;
}

// The rows did not become durable: the same keys are new when they come again.
void IngestImpl::TakeBack(const Stream& stream, const Claimed& claimed) {
  for (size_t i = 0; i < claimed.hashes.size(); i++) {
    DedupOf(stream).window.TakeBack(claimed.hashes[i], claimed.fresh[i]);
  }
}

IngestAnswer IngestImpl::Refuse(ParsedRows& parsed) {
  IngestAnswer answer;
  answer.rejected = std::move(parsed.errors);
  answer.rejected_total = parsed.error_count;
  answer.error =
      Error(ErrorCode::kInvalidData,
            std::to_string(answer.rejected_total) + " rows were refused, so none was kept (atomic)",
            "Mend them, or send without atomic=true to keep the good rows.");
  return answer;
}

ParsedRows IngestImpl::Parse(const std::shared_ptr<const Stream>& stream,
                             const IngestRequest& request) {
  if (!request.deletes) {
    auto parser = TakeParser(stream);
    auto parsed = parser->Parse(request.format, request.body);
    ReturnParser(stream->id, std::move(parser));
    return parsed;
  }
  // Only the key is read; whatever else stands in a row does not matter.
  auto keys = std::make_shared<Stream>();
  keys->name = stream->name;
  for (size_t column : stream->primary_key) keys->columns.push_back(stream->columns[column]);
  auto parsed = RowParser::Make(keys)->Parse(request.format, request.body);
  parsed.columns = DeletedRows(*stream, *parsed.columns);
  return parsed;
}

// Hands rows to the log; throws, having kept nothing, when it does not take them.
void IngestImpl::AppendPrepared(std::shared_ptr<Prepared> prepared) {
  auto records = std::move(prepared->records);
  bool through_gate = prepared->stream->IsTable() && !records.empty();
  try {
    log_.Append(std::move(records), [this, prepared, through_gate](const AppendResult& result) {
      if (through_gate) GateOf(*prepared->stream).Leave();
      if (result.error) return Fail(*prepared, result.error);
      auto& answer = prepared->answer;
      answer.offset = result.last;
      if (!prepared->key.empty()) keys_.Finish(prepared->key, answer, result.append_time);
      answered_ = std::max<uint64_t>(answered_, result.last.value);
      prepared->done(std::move(answer));
    });
  } catch (...) {
    if (through_gate) GateOf(*prepared->stream).Leave();
    throw;
  }
}

void IngestImpl::Fail(const Prepared& prepared, const std::exception_ptr& error) {
  TakeBack(*prepared.stream, *prepared.claimed);
  IngestAnswer failure;
  try {
    std::rethrow_exception(error);
  } catch (...) {
    failure.error = CurrentError();
  }
  if (!prepared.key.empty()) keys_.Abandon(prepared.key, failure);
  prepared.done(std::move(failure));
}

TableGate& IngestImpl::GateOf(const Stream& table) {
  std::lock_guard lock(mutex_);
  auto& gate = gates_[table.id.value];
  if (!gate) gate = std::make_unique<TableGate>();
  return *gate;
}

std::unique_ptr<TableHold> IngestImpl::HoldTable(const Stream& table) {
  return GateOf(table).Hold();
}

IngestAnswer IngestImpl::Append(const Stream& stream, std::shared_ptr<Columns> rows) {
  if (backpressure_.Behind()) {
    throw Error(ErrorCode::kTooManyRequests, "the views are behind the events that came in",
                "Try again in a moment.");
  }
  backpressure_.CheckRoom();
  auto prepared = std::make_shared<Prepared>();
  prepared->stream = std::make_shared<Stream>(stream);
  if (!stream.dedup_key.empty()) {
    prepared->answer.duplicates = DropDuplicates(stream, *rows, *prepared->claimed);
    duplicates_ += prepared->answer.duplicates;
  }
  prepared->answer.accepted = rows->rows;
  rows_ += rows->rows;
  std::vector<LogRecord> records;
  if (rows->rows > 0) {
    LogRecord record;
    record.stream = stream.id;
    record.count = static_cast<uint32_t>(rows->rows);
    record.payload = EncodeBlock(*rows, stream.Types());
    record.decoded = rows;
    records.push_back(std::move(record));
  }
  std::promise<IngestAnswer> answered;
  prepared->done = [&](IngestAnswer answer) { answered.set_value(std::move(answer)); };
  log_.Append(std::move(records), [this, prepared](const AppendResult& result) {
    if (result.error) return Fail(*prepared, result.error);
    prepared->answer.offset = result.last;
    answered_ = std::max<uint64_t>(answered_, result.last.value);
    prepared->done(std::move(prepared->answer));
  });
  auto answer = answered.get_future().get();
  if (answer.error) throw *answer.error;
  return answer;
}

void IngestImpl::Post(const IngestRequest& request, std::function<void(IngestAnswer)> done) {
  auto stream = catalog_.Current()->GetStream(request.stream);
  CheckWritable(*stream);
  if (request.idempotency_key.size() > kKeyBytesMax) {
    throw Error(ErrorCode::kInvalidRequest, "an Idempotency-Key has at most 255 bytes");
  }
  std::string key;
  uint64_t body_hash = 0;
  if (!request.idempotency_key.empty()) {
    key = KeyOf(*stream, request.idempotency_key);
    body_hash = duckdb::Hash(request.body.data(), request.body.size());
    if (!keys_.Begin(key, body_hash, done)) return;
  }
  auto prepared = std::make_shared<Prepared>();
  try {
    if (backpressure_.Behind()) {
      throw Error(ErrorCode::kTooManyRequests, "the views are behind the events that came in",
                  "Try again after the time in Retry-After.");
    }
    backpressure_.CheckRoom();
    auto parsed = Parse(stream, request);
    if (request.atomic && parsed.error_count > 0) {
      auto answer = Refuse(parsed);
      if (!key.empty()) keys_.Abandon(key, answer);
      return done(std::move(answer));
    }

    RecordMeta meta;
    meta.answer.rejected = std::move(parsed.errors);
    meta.answer.rejected_total = parsed.error_count;
    if (!stream->dedup_key.empty()) {
      meta.answer.duplicates = DropDuplicates(*stream, *parsed.columns, *prepared->claimed);
    }
    meta.answer.accepted = parsed.columns->rows;
    bodies_++;
    bytes_ += request.body.size();
    rows_ += meta.answer.accepted;
    rejected_ += meta.answer.rejected_total;
    duplicates_ += meta.answer.duplicates;

    if (parsed.columns->rows > 0 || !key.empty()) {
      LogRecord record;
      record.stream = stream->id;
      record.count = static_cast<uint32_t>(parsed.columns->rows);
      if (!key.empty()) {
        meta.stream = stream->name;
        meta.key = request.idempotency_key;
        meta.body_hash = body_hash;
        record.meta = EncodeMeta(meta);
      }
      record.payload = EncodeBlock(*parsed.columns, stream->Types());
      record.decoded = parsed.columns;
      prepared->records.push_back(std::move(record));
    }
    prepared->stream = stream;
    prepared->key = key;
    prepared->answer = std::move(meta.answer);
    prepared->done = std::move(done);
    if (!stream->IsTable() || prepared->records.empty()) return AppendPrepared(prepared);
    size_t size = prepared->records[0].payload.size();
    auto& gate = GateOf(*stream);
    bool waits = !gate.Enter(size, [this, prepared] {
      try {
        AppendPrepared(prepared);
      } catch (...) {
        Fail(*prepared, std::current_exception());
      }
    });
    if (!waits) AppendPrepared(prepared);
  } catch (...) {
    TakeBack(*stream, *prepared->claimed);
    if (!key.empty()) {
      IngestAnswer failure;
      failure.error = CurrentError();
      keys_.Abandon(key, failure);
    }
    throw;
  }
}

}  // namespace

std::unique_ptr<Ingest> Ingest::Open(Disk& disk, const std::string& keys_path, Catalog& catalog,
                                     Log& log, Clock& clock, const Backpressure& backpressure,
                                     KeyHistory& history) {
  auto ingest =
      std::make_unique<IngestImpl>(disk, keys_path, catalog, log, clock, backpressure, history);
  ingest->Recover();
  return ingest;
}

}  // namespace weir
