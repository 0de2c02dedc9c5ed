// What one query may cost, and that it costs no other: attacks, limits, turns.
#include "query/runner.h"

#include "query/test_queries.h"

namespace weir {
namespace {

TEST_F(QueriesTest, ALimitLeavesRowsOutAndSaysSo) {
  QueryRequest request;
  request.sql = KernelSql("SELECT * FROM range(10000)");
  request.format = ResultFormat::kCsv;
  auto ask = [&](uint64_t limit) {
    request.limit = limit;
    Answered answer = Ask(request);
    EXPECT_FALSE(answer.error);
    return std::make_pair(std::count(answer.body.begin(), answer.body.end(), '\n') - 1,
                          answer.more);
  };
  EXPECT_EQ(ask(3000), std::make_pair(ptrdiff_t{3000}, true));
  EXPECT_EQ(ask(9999), std::make_pair(ptrdiff_t{9999}, true));
  EXPECT_EQ(ask(10000), std::make_pair(ptrdiff_t{10000}, false));
  EXPECT_EQ(ask(2048), std::make_pair(ptrdiff_t{2048}, true));
}

TEST_F(QueriesTest, AttacksAreRefusedAndTheNextQueryWorks) {
  AppendEvents(3);
  std::string file = (folder_ / "secret.csv").string();
  std::string inside = (folder_ / "log" / "secret.csv").string();
  std::string out = (folder_ / "lake" / "out.csv").string();
  for (auto& sql : std::vector<std::string>{
           "SELECT * FROM '" + file + "'",
           "SELECT * FROM '" + inside + "'",
           "SELECT * FROM read_csv('" + inside + "')",
           "SELECT * FROM read_csv_auto('/etc/passwd')",
           "SELECT * FROM read_text('/etc/passwd')",
           "SELECT * FROM read_blob('/etc/passwd')",
           "SELECT * FROM read_json('/etc/passwd')",
           "SELECT * FROM read_parquet('" + (folder_ / "lake/**").string() + "')",
           "SELECT * FROM parquet_metadata('/x')",
           "SELECT * FROM glob('/*')",
           "SELECT * FROM sniff_csv('/etc/passwd')",
           "SELECT * FROM query('SELECT 1')",
           "SELECT * FROM query_table('events')",
           "SELECT * FROM weir_rows('stream events')",
           "SELECT * FROM duckdb_settings()",
           "SELECT * FROM duckdb_secrets()",
           "SELECT * FROM duckdb_settings",
           "SELECT * FROM information_schema.tables",
           "SELECT * FROM pg_catalog.pg_class",
           "SELECT * FROM sqlite_master",
           "SELECT (SELECT count(*) FROM glob('/*'))",
           "WITH g AS (SELECT * FROM glob('/*')) SELECT * FROM g",
           "SELECT * FROM events WHERE id IN (SELECT 1 FROM read_text('/etc/passwd'))",
           "SELECT * FROM (PIVOT (SELECT * FROM glob('/*')) ON file USING count(*))",
           "FROM events POSITIONAL JOIN glob('/*')",
           "DESCRIBE SELECT * FROM read_csv('/etc/passwd')",
           "SUMMARIZE '" + file + "'",
           "SHOW TABLES",
           "SHOW ALL TABLES",
           "SELECT getenv('HOME')",
           "SELECT current_setting('allowed_directories')",
           "SELECT json_serialize_plan('SELECT * FROM read_csv(''/etc/passwd'')')",
           "COPY events TO '" + out + "'",
           "COPY (SELECT 1) TO '" + out + "'",
           "COPY events FROM '/etc/passwd'",
           "EXPORT DATABASE '" + out + "'",
           "ATTACH '" + out + "'",
           "INSTALL httpfs",
           "LOAD httpfs",
           "SET memory_limit = '100GB'",
           "RESET lock_configuration",
           "PRAGMA database_list",
           "CALL enable_logging(storage='file', storage_config={'path':'" + out + "'})",
           "CREATE TABLE t (x INT)",
           "CREATE SECRET s (TYPE s3)",
           "INSERT INTO events VALUES (1, 'x')",
           "UPDATE events SET id = 1",
           "DELETE FROM events",
           "DROP VIEW events",
           "VACUUM",
           "CHECKPOINT",
           "BEGIN",
           "PREPARE p AS SELECT 1",
           "EXECUTE p",
           "USE temp",
           "SELECT * FROM 'https://example.com/x.parquet'",
       }) {
    SCOPED_TRACE(sql);
    Answered answer = Ask(sql);
    ASSERT_TRUE(answer.error);
    EXPECT_TRUE(answer.error->code == ErrorCode::kForbidden ||
                answer.error->code == ErrorCode::kInvalidSql)
        << answer.error->message;
    EXPECT_TRUE(answer.body.empty());
  }
  EXPECT_FALSE(std::filesystem::exists(out));
  EXPECT_EQ(Body("SELECT count(*) AS n FROM events"), "n\n3\n");
  EXPECT_EQ(Service().Info().workers_lost, 0u);
}

TEST_F(QueriesTest, AQueryThatTakesTooLongEndsAndTheNextOneWorks) {
  QueryRequest request;
  request.sql = KernelSql("SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000) c");
  request.timeout = 300'000;
  Answered answer = Ask(request);
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->code, ErrorCode::kTimeout);
  EXPECT_EQ(Body("SELECT 42 AS x"), "x\n42\n");
}

TEST_F(QueriesTest, MemoryAndRowsAndBytesHaveLimits) {
  options_.memory_bytes = 64 << 20;
  options_.rows_max = 1000;
  options_.bytes_max = 1 << 20;
  QueryRequest request;
  request.sql = KernelSql("SELECT list(i) FROM range(100000000) t(i)");
  Answered answer = Ask(request);
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->code, ErrorCode::kLimitExceeded);
  // Nothing of settings that no query may change.
  EXPECT_EQ(answer.error->message.find("temp_directory"), std::string::npos);
  EXPECT_NE(answer.error->hint.find("materialized view"), std::string::npos);
  EXPECT_EQ(Code("SELECT * FROM range(1001)"), ErrorCode::kLimitExceeded);
  EXPECT_EQ(Code("SELECT repeat('x', 2000) FROM range(900)"), ErrorCode::kLimitExceeded);
  EXPECT_EQ(Body("SELECT count(*) AS n FROM range(1000)"), "n\n1000\n");
}

TEST_F(QueriesTest, ADeepTextCostsAtMostItsOwnWorker) {
  std::string deep(100'000, '[');
  QueryRequest request;
  request.sql = KernelSql("SELECT json_structure($1)");
  request.params_json = "[\"" + deep + std::string(100'000, ']') + "\"]";
  Answered answer = Ask(request);
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(Body("SELECT 42 AS x"), "x\n42\n");
}

TEST_F(QueriesTest, ACancelledQueryStops) {
  QueryRequest request;
  request.sql = KernelSql("SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000) c");
  auto sink = std::make_shared<CollectingSink>();
  auto handle = Service().Run(request, sink);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  handle.reset();
  EXPECT_TRUE(sink->Wait().error);
  EXPECT_EQ(Body("SELECT 42 AS x"), "x\n42\n");
}

TEST_F(QueriesTest, ManyQueriesAtOnceAreAllAnsweredAndTooManyRefused) {
  AppendEvents(1000);
  options_.waiting_max = 8;
  std::vector<std::shared_ptr<CollectingSink>> sinks;
  std::vector<std::shared_ptr<void>> handles;
  size_t refused = 0;
  for (int i = 0; i < 40; i++) {
    QueryRequest request;
    request.sql = KernelSql("SELECT sum(id) AS s FROM events");
    request.format = ResultFormat::kCsv;
    auto sink = std::make_shared<CollectingSink>();
    try {
      handles.push_back(Service().Run(request, sink));
      sinks.push_back(sink);
    } catch (const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::kTooManyRequests);
      refused++;
    }
  }
  EXPECT_GE(refused, 1u);
  for (auto& sink : sinks) EXPECT_EQ(sink->Wait().body, "s\n500500\n");
}

constexpr const char* kEndless =
    "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000) c";

TEST_F(QueriesTest, WorkOfOneKindDoesNotWaitForAnother) {
  std::vector<std::shared_ptr<void>> handles;
  QueryRequest endless;
  endless.sql = KernelSql(kEndless);
  for (int i = 0; i < 4; i++) {
    handles.push_back(Service().Run(endless, std::make_shared<CollectingSink>()));
  }
  auto run = [&](const char* sql, BatchRequest::Work work) {
    auto promise = std::make_shared<std::promise<bool>>();
    BatchRequest request;
    request.sql = KernelSql(sql);
    request.work = work;
    Service().Run(std::move(request),
                  [promise](BatchResult result) { promise->set_value(!result.error); });
    return promise->get_future();
  };
  using Work = BatchRequest::Work;
  auto endless_view = run(kEndless, Work::kView), endless_write = run(kEndless, Work::kWrite);
  auto values = run("SELECT 1", Work::kValues), view = run("SELECT 1", Work::kView);
  EXPECT_EQ(values.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(view.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  handles.clear();
  EXPECT_EQ(Body("SELECT 42 AS x"), "x\n42\n");
  Service().Stop();
  EXPECT_FALSE(endless_view.get());
  EXPECT_FALSE(endless_write.get());
}

TEST_F(QueriesTest, ClientsTakeTurns) {
  options_.workers = 1;
  options_.waiting_max = 8;
  QueryRequest endless;
  endless.sql = KernelSql(kEndless);
  endless.caller.address = "busy";
  std::vector<std::shared_ptr<void>> handles;
  handles.push_back(Service().Run(endless, std::make_shared<CollectingSink>()));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  QueryRequest quick;
  quick.sql = KernelSql("SELECT 1");
  quick.caller.address = "busy";
  auto last = std::make_shared<CollectingSink>();
  for (int i = 0; i < 6; i++) {
    handles.push_back(
        Service().Run(i ? quick : endless, i == 5 ? last : std::make_shared<CollectingSink>()));
  }
  EXPECT_THROW(Service().Run(quick, last), Error);  // the rest of the queue is for others
  QueryRequest other;
  other.sql = KernelSql("SELECT 2 AS x");
  other.caller.address = "other";
  other.format = ResultFormat::kCsv;
  auto sink = std::make_shared<CollectingSink>();
  handles.push_back(Service().Run(other, sink));
  handles[0].reset();  // what runs ends, and the next turn is not of the one who had the last
  EXPECT_EQ(sink->Wait().body, "x\n2\n");
}

TEST_F(QueriesTest, WhatIsCancelledWhileItWaitsTakesNoPlace) {
  options_.workers = 1;
  options_.waiting_max = 4;
  options_.client_share = 1;
  QueryRequest endless;
  endless.sql = KernelSql(kEndless);
  auto running = Service().Run(endless, std::make_shared<CollectingSink>());
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  std::vector<std::shared_ptr<CollectingSink>> sinks;
  for (int i = 0; i < 20; i++) {
    sinks.push_back(std::make_shared<CollectingSink>());
    Service().Run(endless, sinks.back()).reset();  // at once
  }
  running.reset();
  EXPECT_EQ(Body("SELECT 42 AS x"), "x\n42\n");
  for (auto& sink : sinks) EXPECT_TRUE(sink->Wait().error);
}

TEST_F(QueriesTest, ABatchRunThatNobodyWaitsForIsDropped) {
  std::promise<bool> failed;
  BatchRequest request;
  request.sql = KernelSql("SELECT 1");
  request.start = [] { return false; };
  Service().Run(std::move(request),
                [&](BatchResult result) { failed.set_value(result.error != nullptr); });
  EXPECT_TRUE(failed.get_future().get());
  EXPECT_EQ(Service().Info().queries, 0u);
}

TEST_F(QueriesTest, AWorkerWithoutWorkEnds) {
  options_.idle = 100'000;
  Body("SELECT 1");
  EXPECT_EQ(Service().Info().workers, 1u);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(Service().Info().workers, 0u);
  EXPECT_EQ(Body("SELECT 42 AS x"), "x\n42\n");
}

}  // namespace
}  // namespace weir
