// A door in front of a log on a simulated disk, with three streams: `events` (n), `keyed` (id, its
// dedup_key), and the table `rows` (k, v).
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "catalog/memory_store.h"
#include "formats/block.h"
#include "ingest/ingest.h"
#include "ingest/test_log.h"
#include "io/disk/simulated_disk.h"
#include "io/manual_clock.h"
#include "log/log.h"

namespace weir {

class Switch : public Backpressure {
 public:
  std::string Behind() const override { return behind ? "the views are behind" : ""; }
  bool behind = false;
};

class NoHistory : public KeyHistory {
 public:
  void Scan(const Stream&, size_t, Micros, uint64_t,
            const std::function<void(duckdb::Vector&, duckdb::Vector&, duckdb::idx_t)>&) override {}
};

class IngestTest : public testing::Test {
 protected:
  IngestTest() : clock(1'700'000'000'000'000), catalog(store) {
    events->id = {1};
    events->name = "events";
    events->columns = {{"n", duckdb::LogicalType::BIGINT, true}};
    table->id = {2};
    table->name = "rows";
    table->columns = {{"k", duckdb::LogicalType::BIGINT, true},
                      {"v", duckdb::LogicalType::VARCHAR, true},
                      {kDeletedColumn, duckdb::LogicalType::BOOLEAN}};
    table->primary_key = {0};
    keyed->id = {3};
    keyed->name = "keyed";
    keyed->columns = {{"id", duckdb::LogicalType::VARCHAR}};
    keyed->dedup_key = "id";
    keyed->dedup_window = 3'600'000'000;
    catalog.Change([&](CatalogState& state) {
      for (auto& stream : {events, table, keyed}) state.streams[stream->name] = stream;
    });
    LogOptions options;
    options.directory = "log";
    real_log = Log::Open(disk, clock, options);
    log = std::make_unique<ObedientLog>(*real_log);
    Open(history);
    ingest->AwaitKeys(10'000'000);
  }

  void Open(KeyHistory& from, const IngestOptions& options = {}) {
    ingest.reset();
    ingest = Ingest::Open(disk, "keys", catalog, *log, clock, backpressure, from, options);
    ingest->Start();
  }
  void Restart() {
    Open(history);
    ASSERT_TRUE(ingest->AwaitKeys(10'000'000));
  }

  static IngestRequest Request(const std::string& stream, std::string_view body,
                               const std::string& key = "") {
    IngestRequest request;
    request.stream = stream;
    request.body = body;
    request.idempotency_key = key;
    return request;
  }
  std::future<IngestAnswer> Begin(const IngestRequest& request) {
    auto answer = std::make_shared<std::promise<IngestAnswer>>();
    ingest->Post(request, [answer](IngestAnswer got) { answer->set_value(std::move(got)); });
    return answer->get_future();
  }
  IngestAnswer Post(std::string_view body, const std::string& key = "", bool atomic = false) {
    auto request = Request("events", body, key);
    request.atomic = atomic;
    return Begin(request).get();
  }
  IngestAnswer PostKeyed(std::string_view body, const std::string& key = "") {
    return Begin(Request("keyed", body, key)).get();
  }
  ErrorCode Refusal(std::string_view body, const std::string& key = "") {
    try {
      Post(body, key);
    } catch (const Error& error) {
      return error.code;
    }
    return ErrorCode::kInternal;
  }

  // One column of texts, as a statement writes it.
  static std::shared_ptr<Columns> Texts(const std::vector<std::string>& texts) {
    auto columns = std::make_shared<Columns>();
    auto chunk = std::make_unique<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), {duckdb::LogicalType::VARCHAR});
    for (size_t i = 0; i < texts.size(); i++) chunk->SetValue(0, i, duckdb::Value(texts[i]));
    chunk->SetCardinality(texts.size());
    columns->rows = texts.size();
    columns->chunks.push_back(std::move(chunk));
    return columns;
  }
  // The first column of all rows of a stream that are in the log.
  std::vector<std::string> InTheLog(const Stream& stream) {
    std::vector<std::string> values;
    auto reader = real_log->Read(Offset{}, {}, stream.id);
    while (auto record = reader->Next()) {
      auto rows = DecodeBlock(record->record.payload, stream.Types(), {0});
      EXPECT_EQ(rows.rows, record->record.count);
      for (auto& chunk : rows.chunks) {
        for (size_t i = 0; i < chunk->size(); i++) {
          values.push_back(chunk->GetValue(0, i).ToString());
        }
      }
    }
    return values;
  }
  static bool IsReady(std::future<IngestAnswer>& answer, int milliseconds = 0) {
    return answer.wait_for(std::chrono::milliseconds(milliseconds)) == std::future_status::ready;
  }

  SimulatedDisk disk;
  ManualClock clock;
  MemoryStore store;
  Catalog catalog;
  Switch backpressure;
  NoHistory history;
  std::shared_ptr<Stream> events = std::make_shared<Stream>();
  std::shared_ptr<Stream> table = std::make_shared<Stream>();
  std::shared_ptr<Stream> keyed = std::make_shared<Stream>();
  std::unique_ptr<Log> real_log;
  std::unique_ptr<ObedientLog> log;
  std::unique_ptr<Ingest> ingest;
};

}  // namespace weir
