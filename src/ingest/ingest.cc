#include "ingest/ingest.h"

#include <future>
#include <map>
#include <mutex>

#include "duckdb/common/types/hash.hpp"
#include "formats/json_text.h"
#include "ingest/dedup_keys.h"
#include "ingest/idempotency.h"
#include "ingest/meta.h"
#include "ingest/pipeline.h"
#include "ingest/table_gate.h"

namespace weir {
namespace {

constexpr size_t kKeyBytesMax = 255;
constexpr size_t kParsersKept = 8;  // for each stream: one for each thread that parses at once

class IngestImpl : public Ingest {
 public:
  IngestImpl(Disk& disk, const KeysPlace& keys, Catalog& catalog, Log& log, Clock& clock,
             const Backpressure& backpressure, KeyHistory& history, IngestOptions options)
      : memory_(options.body_memory_max, options.memory_max),
        keys_file_(disk, keys),
        catalog_(catalog),
        log_(log),
        backpressure_(backpressure),
        keys_(resumed_),
        dedup_(catalog, clock, history, resumed_, options.keys_rest),
        pipeline_(log, clock, dedup_) {}
  ~IngestImpl() override {
    resumed_.Stop();
    dedup_.Close();
    keys_.Close();
  }

  void Recover();
  void Start() override { dedup_.Start(); }
  void Post(const IngestRequest& request, std::function<void(IngestAnswer)> done) override;
  IngestAnswer Append(const Stream& stream, std::shared_ptr<Columns> rows) override;
  std::unique_ptr<TableHold> HoldTable(const Stream& table) override {
    return pipeline_.HoldTable(table);
  }
  uint64_t TableChanges(const Stream& table) override { return pipeline_.TableChanges(table); }
  Offset SaveKeys() override;
  void ForgetExpired() override { dedup_.ForgetExpired(); }
  bool AwaitKeys(Micros most) override { return dedup_.Await(most); }
  RowMemory& Memory() override { return memory_; }
  Counts Info() const override;

 private:
  using Done = std::function<void(IngestAnswer)>;
  using Key = IdempotencyWindow::Ticket;

  bool BeginKey(const std::shared_ptr<const Stream>& stream, const IngestRequest& request,
                uint64_t use, const Done& done, Key& key);
  void Run(const std::shared_ptr<const Stream>& stream, const IngestRequest& request, uint64_t use,
           Key key, Done done);
  void CheckPressure() const;
  ParsedRows Parse(const std::shared_ptr<const Stream>& stream, const IngestRequest& request,
                   RowMemory::Hold& memory);
  std::unique_ptr<RowParser> TakeParser(const std::shared_ptr<const Stream>& stream);
  void ReturnParser(StreamId stream, std::unique_ptr<RowParser> parser);

  RowMemory memory_;
  KeysFile keys_file_;
  Catalog& catalog_;
  Log& log_;
  const Backpressure& backpressure_;
  TaskThread resumed_;  // bodies that waited for others
  IdempotencyWindow keys_;
  DedupKeys dedup_;
  RowPipeline pipeline_;
  std::mutex mutex_;  // guards what follows
  std::map<uint32_t, std::vector<std::unique_ptr<RowParser>>> parsers_;
};

std::string KeyOf(const Stream& stream, const std::string& key) {
  return std::to_string(stream.id.value) + "/" + key;
}

// A fingerprint of what a key is used for: the body, and what is to be done with it.
uint64_t UseOf(const IngestRequest& request) {
  uint64_t body = duckdb::Hash(request.body.data(), request.body.size());
  uint64_t operation = static_cast<uint64_t>(request.format) << 2 |
                       static_cast<uint64_t>(request.deletes) << 1 | request.atomic;
  return body ^ operation * 0x9e3779b97f4a7c15ull;
}

void IngestImpl::Recover() {
  pipeline_.StartAt(log_.End());
  auto saved = keys_file_.Load();
  try {
    keys_.Load(saved.keys);
  } catch (const Error& error) {
    keys_file_.ThrowDamaged(error.message);
  }
  auto reader = log_.ReadNotes(Offset{});
  while (auto record = reader->Next()) {
    auto meta = DecodeMeta(record->record.meta);
    if (!meta || meta->key.empty()) continue;
    meta->answer.offset = record->last();
    keys_.Remember(std::to_string(record->record.stream.value) + "/" + meta->key, meta->body_hash,
                   std::move(meta->answer), record->append_time);
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

Offset IngestImpl::SaveKeys() {
  Offset covered = pipeline_.Answered();
  keys_file_.Save(keys_.Save(), covered);
  return covered;
}

Ingest::Counts IngestImpl::Info() const {
  auto passed = pipeline_.Info();
  auto dedup = dedup_.Now();
  auto keys = keys_.Now();
  Counts counts;
  counts.rows = passed.rows;
  counts.rejected = passed.rejected;
  counts.duplicates = passed.duplicates;
  counts.bodies = passed.bodies;
  counts.bytes = passed.bytes;
  counts.dedup_bytes = dedup.bytes;
  counts.dedup_shortened = dedup.shortened;
  counts.streams_recovering = dedup.recovering;
  counts.idempotency_keys = keys.keys;
  counts.idempotency_bytes = keys.bytes;
  counts.idempotency_shortened = keys.shortened;
  counts.memory = memory_.used();
  return counts;
}

IngestAnswer RefusedWhole(ParsedRows& parsed) {
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
                             const IngestRequest& request, RowMemory::Hold& memory) {
  if (!request.deletes) {
    auto parser = TakeParser(stream);
    auto parsed = parser->Parse(request.format, request.body, &memory);
    ReturnParser(stream->id, std::move(parser));
    return parsed;
  }
  // Only the key is read; whatever else stands in a row does not matter.
  auto keys = std::make_shared<Stream>();
  keys->name = stream->name;
  for (size_t column : stream->primary_key) keys->columns.push_back(stream->columns[column]);
  auto parsed = RowParser::Make(keys)->Parse(request.format, request.body, &memory);
  parsed.unknown_fields.clear();
  parsed.columns = DeletedRows(*stream, *parsed.columns);
  return parsed;
}

void IngestImpl::CheckPressure() const {
  if (std::string why = backpressure_.Behind(); !why.empty()) {
    throw Error(ErrorCode::kTooManyRequests, std::move(why),
                "Try again after the time in Retry-After.");
  }
  backpressure_.CheckRoom();
}

IngestAnswer IngestImpl::Append(const Stream& stream, std::shared_ptr<Columns> rows) {
  CheckPressure();
  std::vector<std::string> names;
  for (auto& column : stream.columns) names.push_back(column.name);
  CheckJsonDepth(*rows, stream.Types(), names);
  auto work = std::make_shared<Submission>();
  work->stream = std::make_shared<Stream>(stream);
  for (auto& chunk : rows->chunks) work->bytes += chunk->GetAllocationSize();
  work->rows = std::move(rows);
  work->holds_table = true;
  auto answered = std::make_shared<std::promise<IngestAnswer>>();
  auto future = answered->get_future();
  work->done = [answered](IngestAnswer answer) { answered->set_value(std::move(answer)); };
  try {
    pipeline_.Submit(std::move(work));
  } catch (...) {
    throw RowsRefused();
  }
  auto answer = future.get();
  if (answer.error) throw *answer.error;
  return answer;
}

void IngestImpl::Post(const IngestRequest& request, Done done) {
  auto stream = catalog_.Current()->GetStream(request.stream);
  CheckWritable(*stream);
  if (request.idempotency_key.size() > kKeyBytesMax) {
    throw Error(ErrorCode::kInvalidRequest, "an Idempotency-Key has at most 255 bytes");
  }
  try {
    Key key;
    uint64_t use = 0;
    if (!request.idempotency_key.empty()) {
      use = UseOf(request);
      if (!BeginKey(stream, request, use, done, key)) return;
    }
    Run(stream, request, use, std::move(key), std::move(done));
  } catch (...) {
    throw RowsRefused();
  }
}

// Whether the key is the request's, to be used; if not, the request is answered, or waits.
bool IngestImpl::BeginKey(const std::shared_ptr<const Stream>& stream, const IngestRequest& request,
                          uint64_t use, const Done& done, Key& key) {
  using Begun = IdempotencyWindow::Begun;
  std::string name = KeyOf(*stream, request.idempotency_key);
  IngestAnswer answer;
  Begun begun = keys_.Begin(name, use, key, answer);
  if (begun == Begun::kOnItsWay) {
    auto copy = std::make_shared<IngestRequest>(request);
    if (!copy->body_owner) {
      auto body = std::make_shared<std::string>(request.body);
      copy->body = *body;
      copy->body_owner = std::move(body);
    }
    std::list<IdempotencyWindow::Waiting> waiting(1);
    auto place = std::make_shared<Key>();
    waiting.front().answered = done;
    waiting.front().place = place;
    waiting.front().take_over =
        TaskThread::Make([this, stream, copy, use, place, done = Done(done)]() mutable {
          try {
            Run(stream, *copy, use, std::move(*place), Done(done));
          } catch (...) {
            IngestAnswer failure;
            failure.error = RowsRefused();
            Give(done, std::move(failure));
          }
        });
    begun = keys_.Begin(name, use, key, answer, &waiting);
  }
  CHECK(static_cast<bool>(key) == (begun == Begun::kMine));
  if (begun == Begun::kMine) return true;
  if (begun != Begun::kOnItsWay) done(std::move(answer));
  return false;
}

void IngestImpl::Run(const std::shared_ptr<const Stream>& stream, const IngestRequest& request,
                     uint64_t use, Key key, Done done) {
  CheckPressure();
  auto work = std::make_shared<Submission>();
  work->ticket = std::move(key);
  work->memory = request.memory ? request.memory : std::make_shared<RowMemory::Hold>(memory_);
  auto parsed = Parse(stream, request, *work->memory);
  if (request.atomic && parsed.error_count > 0) {
    auto answer = RefusedWhole(parsed);
    work->ticket.Abandon();
    return done(std::move(answer));
  }
  work->stream = stream;
  work->rows = std::move(parsed.columns);
  work->answer.rejected = std::move(parsed.errors);
  work->answer.rejected_total = parsed.error_count;
  work->answer.unknown_fields = std::move(parsed.unknown_fields);
  work->bytes = request.body.size();
  work->is_body = true;
  work->key = request.idempotency_key;
  work->use = use;
  work->done = std::move(done);
  pipeline_.Submit(std::move(work));
}

}  // namespace

std::unique_ptr<Ingest> Ingest::Open(Disk& disk, const KeysPlace& keys, Catalog& catalog, Log& log,
                                     Clock& clock, const Backpressure& backpressure,
                                     KeyHistory& history, IngestOptions options) {
  auto ingest =
      std::make_unique<IngestImpl>(disk, keys, catalog, log, clock, backpressure, history, options);
  ingest->Recover();
  return ingest;
}

}  // namespace weir
