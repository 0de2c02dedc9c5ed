#include "ingest/dedup.h"
#include "ingest/keys_file.h"
#include "ingest/table_gate.h"
#include "ingest/test_ingest.h"

namespace weir {
namespace {

TEST_F(IngestTest, GoodRowsAreDurableAndBadOnesToldByLine) {
  auto answer = Post("{\"n\":1}\n{\"n\":\"x\"}\n{\"n\":3}\n");
  EXPECT_EQ(answer.accepted, 2u);
  EXPECT_EQ(answer.offset, Offset{2});
  ASSERT_EQ(answer.rejected.size(), 1u);
  EXPECT_EQ(answer.rejected[0].line, 2u);
  EXPECT_EQ(answer.rejected[0].column, "n");
  EXPECT_EQ(real_log->End(), Offset{2});
}

TEST_F(IngestTest, NothingComesInWhileTheViewsAreBehind) {
  backpressure.behind = true;
  EXPECT_EQ(Refusal("{\"n\":1}"), ErrorCode::kTooManyRequests);
  EXPECT_EQ(real_log->End(), Offset{0});
  backpressure.behind = false;
  EXPECT_EQ(Post("{\"n\":1}").accepted, 1u);
}

TEST_F(IngestTest, ARefusedBodysKeyIsFreeForTheNextTry) {
  backpressure.behind = true;
  EXPECT_EQ(Refusal("{\"n\":1}", "key"), ErrorCode::kTooManyRequests);
  backpressure.behind = false;
  EXPECT_EQ(Post("{\"n\":1}", "key").offset, Offset{1});
  EXPECT_EQ(Post("{\"n\":1}", "key").offset, Offset{1});  // once
  EXPECT_EQ(real_log->End(), Offset{1});
}

TEST_F(IngestTest, AtomicKeepsAllOrNone) {
  auto answer = Post("{\"n\":1}\n{}\n", "", true);
  EXPECT_TRUE(answer.error);
  EXPECT_EQ(answer.rejected.size(), 1u);
  EXPECT_EQ(real_log->End(), Offset{0});
}

TEST_F(IngestTest, AnIdempotencyKeyIsNoLongerThanItMayBe) {
  EXPECT_EQ(Refusal("{\"n\":1}", std::string(256, 'k')), ErrorCode::kInvalidRequest);
  EXPECT_EQ(Post("{\"n\":1}", std::string(255, 'k')).offset, Offset{1});
  EXPECT_EQ(Post("{\"n\":1}", std::string(255, 'k')).offset, Offset{1});
  EXPECT_EQ(real_log->End(), Offset{1});
}

TEST_F(IngestTest, WhatIsMadeOfAQueryOrAFileTakesNoRows) {
  catalog.Change([&](CatalogState& state) {
    auto derived = std::make_shared<Stream>(*events);
    derived->derived = true;
    state.streams["events"] = derived;
    auto file = std::make_shared<Stream>(*table);
    file->reference = ReferenceFile{"rows.csv", 0};
    state.streams["rows"] = file;
  });
  EXPECT_EQ(Refusal("{\"n\":1}"), ErrorCode::kConflict);
  try {
    Begin(Request("rows", R"({"k": 1, "v": "x"})")).get();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kForbidden);
    EXPECT_NE(error.message.find("\"rows.csv\""), std::string::npos) << error.message;
  }
  EXPECT_EQ(real_log->End(), Offset{0});
}

// ---- tables -------------------------------------------------------------------------------------

class TableTest : public IngestTest {
 protected:
  std::future<IngestAnswer> Put(std::string_view body, bool deletes = false) {
    auto request = Request("rows", body);
    request.deletes = deletes;
    return Begin(request);
  }
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
  auto record = real_log->Read(Offset{})->Next();
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
  EXPECT_EQ(real_log->End(), Offset{1});
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
    EXPECT_EQ(real_log->End(), answer.get().offset);
  }
}

TEST(TableGate, IsNotWaitedForForEver) {
  TableGate gate;
  auto hold = gate.Hold(std::chrono::seconds(1));
  try {
    gate.Hold(std::chrono::milliseconds(5));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kTooManyRequests);
  }
  uint64_t changes = gate.Changes();
  hold.reset();
  EXPECT_GT(gate.Changes(), changes);
  EXPECT_TRUE(gate.Hold(std::chrono::milliseconds(5)));
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

// ---- what is remembered -------------------------------------------------------------------------

TEST_F(IngestTest, AKeyIsBoundToWhatItWasUsedFor) {
  auto put = Request("rows", R"({"k": 7, "v": "x"})", "key");
  EXPECT_EQ(Begin(put).get().accepted, 1u);
  auto remove = put;
  remove.deletes = true;
  for (int restarts = 0; restarts < 2; restarts++) {
    auto answer = Begin(remove).get();
    ASSERT_TRUE(answer.error);
    EXPECT_EQ(answer.error->code, ErrorCode::kConflict);
    EXPECT_EQ(Begin(put).get().offset, Offset{1});
    Restart();
  }
  auto csv = put;
  csv.format = RowFormat::kCsv;
  EXPECT_TRUE(Begin(csv).get().error);
  remove.idempotency_key = "another";
  EXPECT_EQ(Begin(remove).get().accepted, 1u);
  EXPECT_EQ(real_log->End(), Offset{2});
}

TEST_F(IngestTest, ABodyWithAKeyIsAnsweredInTheSameWayBeforeAndAfterARestart) {
  std::string body = "{\"n\":1}\n";
  for (int i = 0; i < 150; i++) body += "x" + std::to_string(i) + "\n";
  auto first = Post(body, "key");
  auto check = [&](const IngestAnswer& again) {
    EXPECT_EQ(again.offset, first.offset);
    EXPECT_EQ(again.accepted, 1u);
    EXPECT_EQ(again.rejected_total, 150u);
    ASSERT_EQ(again.rejected.size(), 100u);
    EXPECT_EQ(again.rejected[99].line, 101u);
    EXPECT_EQ(again.rejected[99].value, first.rejected.at(99).value);
    EXPECT_EQ(again.rejected[99].reason, first.rejected.at(99).reason);
  };
  check(first);
  check(Post(body, "key"));
  Restart();
  check(Post(body, "key"));
  ingest->SaveKeys();
  Restart();
  check(Post(body, "key"));
  EXPECT_EQ(Post(body).rejected.size(), 150u);  // without one there is no need to be short
}

TEST_F(IngestTest, SavedKeysThatMakeNoSenseAreRefusedByTheNameOfTheirFile) {
  ingest.reset();
  KeysFile(disk, "keys").Save("these are no keys", Offset{0});
  try {
    Open(history);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kCorruption);
    EXPECT_EQ(error.message, "\"keys\" is damaged: the saved keys are damaged");
  }
}

TEST_F(IngestTest, ALogWhoseMetaDataMakesNoSenseIsRefused) {
  ingest.reset();
  LogRecord record;
  record.stream = events->id;
  record.meta = "this is no meta data";
  std::promise<AppendResult> appended;
  std::vector<LogRecord> unit;
  unit.push_back(std::move(record));
  real_log->Append(std::move(unit),
                   [&](const AppendResult& result) { appended.set_value(result); });
  EXPECT_FALSE(appended.get_future().get().error);
  try {
    Open(history);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kCorruption);
  }
}

// Keys of the past that come when they are told to.
class SlowHistory : public KeyHistory {
 public:
  void Scan(
      const Stream& stream, size_t column, Micros since, uint64_t rows_wanted,
      const std::function<void(duckdb::Vector&, duckdb::Vector&, duckdb::idx_t)>& sink) override {
    EXPECT_EQ(stream.name, "keyed");
    go.get_future().wait();
    if (std::exchange(fails_left, 0) > 0) {
      go = std::promise<void>();
      go.set_value();
      throw Error(ErrorCode::kCorruption, "file x.parquet is damaged");
    }
    duckdb::Vector keys(duckdb::LogicalType::VARCHAR), times(duckdb::LogicalType::TIMESTAMP_TZ);
    for (size_t i = 0; i < rows.size(); i++) {
      keys.SetValue(i, duckdb::Value(rows[i].first));
      times.SetValue(i, duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(rows[i].second)));
    }
    sink(keys, times, rows.size());
  }
  std::vector<std::pair<std::string, Micros>> rows;
  std::promise<void> go;
  int fails_left = 0;
};

TEST_F(IngestTest, AStreamWhoseKeysAreBeingReadBackRefusesAndNobodyWaitsForIt) {
  SlowHistory slow;
  slow.rows = {{"old", clock.Now() - 1'000'000}};
  Open(slow);
  EXPECT_EQ(ingest->Info().streams_recovering, 1u);
  EXPECT_FALSE(ingest->AwaitKeys(1));
  for (bool insert : {false, true}) {
    try {
      insert ? ingest->Append(*keyed, Texts({"old"})) : PostKeyed(R"({"id":"old"})", "key");
      ADD_FAILURE() << "the row was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    }
  }
  EXPECT_EQ(Post("{\"n\":1}").accepted, 1u);
  slow.go.set_value();
  ASSERT_TRUE(ingest->AwaitKeys(10'000'000));
  EXPECT_EQ(ingest->Info().streams_recovering, 0u);
  auto answer = PostKeyed("{\"id\":\"old\"}\n{\"id\":\"new\"}", "key");
  EXPECT_EQ(answer.accepted, 1u);
  EXPECT_EQ(answer.duplicates, 1u);
  ingest.reset();
}

// What else a start has to do goes on first.
TEST_F(IngestTest, KeysAreReadBackLaterUnlessRowsWantThem) {
  IngestOptions options;
  options.keys_rest = 3'600'000'000;
  SlowHistory unwanted, slow;
  Open(unwanted, options);
  slow.rows = {{"old", clock.Now() - 1'000'000}};
  slow.go.set_value();
  Open(slow, options);  // without waiting for the one before to read anything
  EXPECT_EQ(Post("{\"n\":1}").accepted, 1u);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(ingest->Info().streams_recovering, 1u);
  EXPECT_EQ(PostKeyed(R"({"id":"old"})").duplicates, 1u);
  EXPECT_TRUE(ingest->AwaitKeys(10'000'000));
  ingest.reset();
}

TEST_F(IngestTest, RowsWaitForTheKeysThatAreReadBackSoon) {
  SlowHistory slow;
  slow.rows = {{"old", clock.Now() - 1'000'000}};
  Open(slow);
  auto old = Begin(Request("keyed", R"({"id":"old"})")),
       fresh = Begin(Request("keyed", R"({"id":"new"})"));
  auto inserted =
      std::async(std::launch::async, [&] { return ingest->Append(*keyed, Texts({"old"})); });
  EXPECT_EQ(Post("{\"n\":1}").accepted, 1u);
  EXPECT_EQ(old.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  slow.go.set_value();
  ASSERT_TRUE(ingest->AwaitKeys(10'000'000));
  EXPECT_EQ(old.get().duplicates, 1u);
  EXPECT_EQ(fresh.get().accepted, 1u);
  EXPECT_EQ(inserted.get().duplicates, 1u);
}

TEST_F(IngestTest, RowsThatWaitForKeysTooLongAreRefused) {
  SlowHistory slow;
  slow.rows = {{"old", clock.Now() - 1'000'000}};
  Open(slow);
  auto old = Begin(Request("keyed", R"({"id":"old"})", "once"));
  EXPECT_FALSE(ingest->AwaitKeys(1'000));
  auto refused = old.get();
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, ErrorCode::kUnavailable);
  slow.go.set_value();
  ASSERT_TRUE(ingest->AwaitKeys(10'000'000));
  EXPECT_EQ(Begin(Request("keyed", R"({"id":"old"})", "once")).get().duplicates, 1u);
}

TEST_F(IngestTest, OfManyKeysOnlyTheLastAreReadBack) {
  struct Asked : NoHistory {
    void Scan(
        const Stream& stream, size_t, Micros, uint64_t rows,
        const std::function<void(duckdb::Vector&, duckdb::Vector&, duckdb::idx_t)>&) override {
      asked[stream.name] = rows;
    }
    std::map<std::string, uint64_t> asked;
  } asked;
  auto filled = std::make_shared<Stream>(*keyed);
  filled->id = {4};
  filled->name = "filled";
  filled->columns[0].not_null = true;
  catalog.Change([&](CatalogState& state) { state.streams["filled"] = filled; });
  Open(asked);
  ASSERT_TRUE(ingest->AwaitKeys(10'000'000));
  EXPECT_EQ(asked.asked["filled"], DedupWindow::kKeysMax);
  EXPECT_EQ(asked.asked["keyed"], UINT64_MAX) << "a row without a key takes no place in the window";
  ingest.reset();
}

TEST_F(IngestTest, KeysOfManyStreamsAreReadBackWhileOthersAreYetCounted) {
  catalog.Change([&](CatalogState& state) {
    for (uint32_t i = 0; i < 300; i++) {
      auto stream = std::make_shared<Stream>(*keyed);
      stream->id = {10 + i};
      stream->name = "keyed" + std::to_string(i);
      state.streams[stream->name] = stream;
    }
  });
  NoHistory nothing;
  Open(nothing);
  EXPECT_TRUE(ingest->AwaitKeys(10'000'000));
  EXPECT_EQ(ingest->Info().streams_recovering, 0u);
  ingest.reset();
}

TEST_F(IngestTest, KeysThatCannotBeReadBackAreToldAndTriedAgain) {
  SlowHistory slow;
  slow.rows = {{"old", clock.Now() - 1'000'000}};
  slow.fails_left = 1;
  slow.go.set_value();
  Open(slow);
  std::string message;
  for (int i = 0; i < 500 && message.find("x.parquet") == std::string::npos; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    try {
      PostKeyed(R"({"id":"old"})");
    } catch (const Error& error) {
      message = error.message;
    }
  }
  EXPECT_NE(message.find("x.parquet"), std::string::npos) << message;
  ASSERT_TRUE(ingest->AwaitKeys(10'000'000));
  EXPECT_EQ(PostKeyed(R"({"id":"old"})").duplicates, 1u);
  ingest.reset();
}

// The history of one stream cannot be read.
class OneDamaged : public KeyHistory {
 public:
  void Scan(const Stream& stream, size_t, Micros, uint64_t,
            const std::function<void(duckdb::Vector&, duckdb::Vector&, duckdb::idx_t)>&) override {
    if (stream.name == "keyed") throw Error(ErrorCode::kCorruption, "file x.parquet is damaged");
  }
};

TEST_F(IngestTest, AStreamWhoseKeysCannotBeReadBackStopsNoOther) {
  auto other = std::make_shared<Stream>(*keyed);
  other->id = {4};
  other->name = "other";
  catalog.Change([&](CatalogState& state) { state.streams["other"] = other; });
  OneDamaged damaged;
  Open(damaged);
  bool taken = false;
  for (int i = 0; i < 1000 && !taken; i++) {
    try {
      taken = Begin(Request("other", R"({"id":"a"})")).get().accepted == 1;
    } catch (const Error&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  EXPECT_TRUE(taken);
  EXPECT_EQ(ingest->Info().streams_recovering, 1u);
  EXPECT_THROW(PostKeyed(R"({"id":"a"})"), Error);
  catalog.Change([&](CatalogState& state) { state.streams.erase("keyed"); });
  EXPECT_TRUE(ingest->AwaitKeys(10'000'000));  // there is no such stream any more
  ingest.reset();
}

TEST_F(IngestTest, AfterARestartEachKeyCountsForAWindowFromItsOwnTime) {
  SlowHistory slow;
  Micros hour = keyed->dedup_window, minute = hour / 60;
  Micros now = clock.Now();
  slow.rows = {{"a", now - 59 * minute}, {"b", now - 30 * minute}, {"c", now - minute}};
  slow.go.set_value();
  Open(slow);
  ASSERT_TRUE(ingest->AwaitKeys(10'000'000));
  EXPECT_EQ(PostKeyed("{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}").duplicates, 3u);
  clock.Set(now + 10 * minute);  // a came more than an hour before
  EXPECT_EQ(PostKeyed("{\"id\":\"b\"}\n{\"id\":\"c\"}").duplicates, 2u);
  EXPECT_EQ(PostKeyed(R"({"id":"a"})").accepted, 1u);
  clock.Set(now + 40 * minute);
  EXPECT_EQ(PostKeyed(R"({"id":"c"})").duplicates, 1u);
  EXPECT_EQ(PostKeyed(R"({"id":"b"})").accepted, 1u);
  ingest.reset();
}

TEST_F(IngestTest, AServerThatStopsDoesNotWaitForKeysToBeReadBack) {
  SlowHistory slow;
  slow.rows = {{"old", clock.Now() - 1'000'000}};
  Open(slow);
  std::thread stops([&] { ingest.reset(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  slow.go.set_value();
  stops.join();  // what comes then is not taken any more
}

TEST_F(IngestTest, KeysWhoseWindowIsOverTakeNoMemory) {
  for (int i = 0; i < 20; i++) {
    std::string body;
    for (int row = 0; row < 2000; row++) {
      body += "{\"id\":\"" + std::to_string(i) + "/" + std::to_string(row) + "\"}\n";
    }
    ASSERT_EQ(PostKeyed(body).accepted, 2000u);
  }
  uint64_t full = ingest->Info().dedup_bytes;
  ingest->ForgetExpired();
  EXPECT_EQ(ingest->Info().dedup_bytes, full);
  EXPECT_EQ(PostKeyed(R"({"id":"7/7"})").duplicates, 1u);
  clock.Advance(2 * keyed->dedup_window);
  ingest->ForgetExpired();
  EXPECT_EQ(ingest->Info().dedup_bytes, 0u);
  EXPECT_EQ(PostKeyed(R"({"id":"7/7"})").accepted, 1u);
}

}  // namespace
}  // namespace weir
