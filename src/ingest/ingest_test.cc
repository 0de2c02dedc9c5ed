#include "ingest/ingest.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "catalog/memory_store.h"
#include "formats/block.h"
#include "io/manual_clock.h"
#include "io/simulated_disk.h"
#include "log/log.h"

namespace weir {
namespace {

class Switch : public Backpressure {
 public:
  bool Behind() const override { return behind; }
  bool behind = false;
};

class NoHistory : public KeyHistory {
 public:
  void Scan(const Stream&, size_t, Micros,
            const std::function<void(duckdb::Vector&, duckdb::Vector&, duckdb::idx_t)>&) override {}
};

class IngestTest : public testing::Test {
 protected:
  IngestTest() : clock(1'700'000'000'000'000), catalog(store) {
    auto stream = std::make_shared<Stream>();
    stream->id = {1};
    stream->name = "events";
    stream->columns = {{"n", duckdb::LogicalType::BIGINT, true}};
    catalog.Change([&](CatalogState& state) { state.streams["events"] = stream; });
    LogOptions options;
    options.directory = "log";
    log = Log::Open(disk, clock, options);
    ingest = Ingest::Open(disk, "keys", catalog, *log, clock, backpressure, history);
  }

  IngestAnswer Post(std::string_view body, const std::string& key = "", bool atomic = false) {
    IngestRequest request;
    request.stream = "events";
    request.body = body;
    request.idempotency_key = key;
    request.atomic = atomic;
    std::promise<IngestAnswer> answer;
    ingest->Post(request, [&](IngestAnswer got) { answer.set_value(std::move(got)); });
    return answer.get_future().get();
  }

  ErrorCode Refusal(std::string_view body, const std::string& key = "") {
    try {
      Post(body, key);
    } catch (const Error& error) {
      return error.code;
    }
    return ErrorCode::kInternal;
  }

  SimulatedDisk disk;
  ManualClock clock;
  MemoryStore store;
  Catalog catalog;
  Switch backpressure;
  NoHistory history;
  std::unique_ptr<Log> log;
  std::unique_ptr<Ingest> ingest;
};

TEST_F(IngestTest, GoodRowsAreDurableAndBadOnesToldByLine) {
  auto answer = Post("{\"n\":1}\n{\"n\":\"x\"}\n{\"n\":3}\n");
  EXPECT_EQ(answer.accepted, 2u);
  EXPECT_EQ(answer.offset, Offset{2});
  ASSERT_EQ(answer.rejected.size(), 1u);
  EXPECT_EQ(answer.rejected[0].line, 2u);
  EXPECT_EQ(answer.rejected[0].column, "n");
  EXPECT_EQ(log->End(), Offset{2});
}

TEST_F(IngestTest, NothingComesInWhileTheViewsAreBehind) {
  backpressure.behind = true;
  EXPECT_EQ(Refusal("{\"n\":1}"), ErrorCode::kTooManyRequests);
  EXPECT_EQ(log->End(), Offset{0});
  backpressure.behind = false;
  EXPECT_EQ(Post("{\"n\":1}").accepted, 1u);
}

TEST_F(IngestTest, ARefusedBodysKeyIsFreeForTheNextTry) {
  backpressure.behind = true;
  EXPECT_EQ(Refusal("{\"n\":1}", "key"), ErrorCode::kTooManyRequests);
  backpressure.behind = false;
  EXPECT_EQ(Post("{\"n\":1}", "key").offset, Offset{1});
  EXPECT_EQ(Post("{\"n\":1}", "key").offset, Offset{1});  // once
  EXPECT_EQ(log->End(), Offset{1});
}

TEST_F(IngestTest, AtomicKeepsAllOrNone) {
  auto answer = Post("{\"n\":1}\n{}\n", "", true);
  EXPECT_TRUE(answer.error);
  EXPECT_EQ(answer.rejected.size(), 1u);
  EXPECT_EQ(log->End(), Offset{0});
}

// ---- tables -------------------------------------------------------------------------------------

class TableTest : public IngestTest {
 protected:
  TableTest() {
    auto table = std::make_shared<Stream>();
    table->id = {2};
    table->name = "rows";
    table->columns = {{"k", duckdb::LogicalType::BIGINT, true},
                      {"v", duckdb::LogicalType::VARCHAR, true},
                      {kDeletedColumn, duckdb::LogicalType::BOOLEAN}};
    table->primary_key = {0};
    catalog.Change([&](CatalogState& state) { state.streams["rows"] = table; });
    this->table = table;
  }

  std::future<IngestAnswer> Put(std::string_view body, bool deletes = false) {
    IngestRequest request;
    request.stream = "rows";
    request.body = body;
    request.deletes = deletes;
    auto answer = std::make_shared<std::promise<IngestAnswer>>();
    ingest->Post(request, [answer](IngestAnswer got) { answer->set_value(std::move(got)); });
    return answer->get_future();
  }

  std::shared_ptr<const Stream> table;
};

TEST_F(TableTest, ARowThatGoesNeedsOnlyItsKey) {
  auto answer = Put(R"({"k": 1, "v": "x"}
{"k": 2}
{"k": 3, "_deleted": true}
{"v": "y", "_deleted": true}
{"k": 4, "_deleted": false})")
                    .get();
  EXPECT_EQ(answer.accepted, 2u);
  ASSERT_EQ(answer.rejected.size(), 3u);
  EXPECT_EQ(answer.rejected[0].line, 2u);
  EXPECT_EQ(answer.rejected[0].column, "v");
  EXPECT_EQ(answer.rejected[1].column, "k");
  EXPECT_EQ(answer.rejected[2].line, 5u);
}

TEST_F(TableTest, KeysAloneTakeRowsOut) {
  auto answer = Put(R"({"k": 1, "v": 7, "more": true})", true).get();
  EXPECT_EQ(answer.accepted, 1u);
  auto record = log->Read(Offset{})->Next();
  auto rows = DecodeBlock(record->record.payload, table->Types(), {0, 1, 2});
  EXPECT_EQ(rows.chunks[0]->GetValue(0, 0).ToString(), "1");
  EXPECT_TRUE(rows.chunks[0]->GetValue(1, 0).IsNull());
  EXPECT_EQ(rows.chunks[0]->GetValue(2, 0).ToString(), "true");
}

TEST_F(TableTest, BodiesWaitWhileATableIsHeldAndComeInTheirOrder) {
  auto hold = ingest->HoldTable(*table);
  auto first = Put(R"({"k": 1, "v": "a"})");
  auto second = Put(R"({"k": 1, "v": "b"})");
  EXPECT_EQ(Post(R"({"n": 1})").accepted, 1u);  // other streams go on
  EXPECT_EQ(first.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  EXPECT_EQ(log->End(), Offset{1});
  hold.reset();
  EXPECT_EQ(first.get().offset, Offset{2});
  EXPECT_EQ(second.get().offset, Offset{3});
  EXPECT_EQ(Put(R"({"k": 1, "v": "c"})").get().offset, Offset{4});
}

TEST_F(TableTest, AHolderWaitsForThoseOnTheirWay) {
  for (int i = 0; i < 100; i++) {
    auto answer = Put(R"({"k": 1, "v": "a"})");
    auto hold = ingest->HoldTable(*table);
    // All that passed before is durable: what the holder reads is what there is.
    EXPECT_EQ(answer.wait_for(std::chrono::seconds(5)), std::future_status::ready);
    EXPECT_EQ(log->End(), answer.get().offset);
  }
}

TEST_F(TableTest, WhatWaitsIsBounded) {
  auto hold = ingest->HoldTable(*table);
  std::string body = R"({"k": 1, "v": ")" + std::string(1 << 19, 'x') + "\"}\n";
  std::string bodies;
  for (int i = 0; i < 20; i++) bodies += body;
  std::vector<std::future<IngestAnswer>> waiting;
  try {
    for (int i = 0; i < 100; i++) waiting.push_back(Put(bodies));
    FAIL() << "everything was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kTooManyRequests);
  }
  hold.reset();
  for (auto& answer : waiting) EXPECT_FALSE(answer.get().error);
}

// ---- a log that refuses
// --------------------------------------------------------------------------

// A log that can be told to refuse the next append, as a full queue does.
class BusyLog : public Log {
 public:
  explicit BusyLog(Log& log) : log_(log) {}
  bool busy = false;
  void Append(std::vector<LogRecord> records, AppendDone done) override {
    if (busy) throw Error(ErrorCode::kTooManyRequests, "too many appends wait");
    log_.Append(std::move(records), std::move(done));
  }
  void AddListener(CommitListener& listener) override { log_.AddListener(listener); }
  bool Failed() const override { return log_.Failed(); }
  Offset Begin() const override { return log_.Begin(); }
  Offset End() const override { return log_.End(); }
  Micros LastTime() const override { return log_.LastTime(); }
  const RecoveryReport& Recovery() const override { return log_.Recovery(); }
  std::unique_ptr<LogReader> Read(Offset after, std::optional<Offset> up_to,
                                  std::optional<StreamId> only) override {
    return log_.Read(after, up_to, only);
  }
  PinnedSegments Segments(Offset after, Offset up_to) override {
    return log_.Segments(after, up_to);
  }
  void Trim(Offset up_to) override { log_.Trim(up_to); }
  void Close() override { log_.Close(); }

 private:
  Log& log_;
};

TEST_F(IngestTest, KeysOfRowsThatTheLogRefusedAreNewWhenTheyComeAgain) {
  auto stream = std::make_shared<Stream>();
  stream->id = {2};
  stream->name = "keyed";
  stream->columns = {{"id", duckdb::LogicalType::VARCHAR}};
  stream->dedup_key = "id";
  stream->dedup_window = 3'600'000'000;
  catalog.Change([&](CatalogState& state) { state.streams["keyed"] = stream; });
  BusyLog busy(*log);
  ingest = Ingest::Open(disk, "keys", catalog, busy, clock, backpressure, history);
  auto post = [&](const std::string& key) {
    IngestRequest request;
    request.stream = "keyed";
    request.body = "{\"id\":\"a\"}";
    request.idempotency_key = key;
    std::promise<IngestAnswer> answer;
    ingest->Post(request, [&](IngestAnswer got) { answer.set_value(std::move(got)); });
    return answer.get_future().get();
  };
  busy.busy = true;
  EXPECT_THROW(post(""), Error);
  EXPECT_THROW(post("retried"), Error);
  busy.busy = false;
  auto answer = post("retried");
  EXPECT_EQ(answer.accepted, 1u);
  EXPECT_EQ(answer.duplicates, 0u);
  EXPECT_EQ(post("").duplicates, 1u);
}

}  // namespace
}  // namespace weir
