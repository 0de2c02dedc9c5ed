// Real worker processes: the test program is its own `weir query-worker`.
#include "query/service.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include "catalog/memory_store.h"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "formats/block.h"
#include "io/manual_clock.h"
#include "lake/type_samples.h"
#include "log/test_log.h"
#include "query/fake_views.h"
#include "query/worker.h"
#include "sql/kernel_sql.h"

namespace weir {
namespace {

using duckdb::LogicalType;

// What a query said, once it is done.
struct Answer {
  std::string body;
  bool more = false;
  std::optional<Error> error;
  std::string replaced;
};

class CollectingSink : public QuerySink {
 public:
  void Write(std::string bytes) override { answer_.body += bytes; }
  void More() override { answer_.more = true; }
  void Replaced(const std::string& view, const Replacement& by) override {
    answer_.replaced += view + " by " + std::to_string(by.version) + " ";
  }
  void Done(const std::optional<Error>& error) override {
    answer_.error = error;
    done_.set_value();
  }
  Answer Wait() {
    done_.get_future().wait();
    std::erase(answer_.body, '\r');  // CSV ends its lines as the standard says
    return answer_;
  }

 private:
  Answer answer_;
  std::promise<void> done_;
};

class QueriesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("weir_query_test_" + std::to_string(getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    disk_ = MakeRealDisk();
    events_ = std::make_shared<Stream>();
    events_->id = {1};
    events_->name = "events";
    events_->columns = {{"id", LogicalType::BIGINT}, {"name", LogicalType::VARCHAR}};
    catalog_.Change([&](CatalogState& state) { state.streams["events"] = events_; });
    LogOptions log_options;
    log_options.directory = folder_ / "log";
    log_ = Log::Open(*disk_, clock_, log_options);
    LakeOptions lake_options;
    lake_options.directory = folder_ / "lake";
    lake_ = Lake::Open(*disk_, clock_, catalog_, *log_, lake_options);
    std::ofstream(folder_ / "secret.csv") << "a,b\n1,2\n";
    std::ofstream(folder_ / "log" / "secret.csv") << "a,b\n1,2\n";
  }

  void TearDown() override {
    queries_.reset();
    lake_.reset();
    log_->Close();
    log_.reset();
    std::filesystem::remove_all(folder_);
  }

  Queries& Service() {
    if (!queries_) {
      options_.readable = {folder_ / "lake", folder_ / "log"};
      queries_ = std::make_unique<Queries>(catalog_, *log_, *lake_, clock_, options_);
    }
    return *queries_;
  }

  void AppendEvents(size_t count) {
    duckdb::vector<LogicalType> types = {LogicalType::BIGINT, LogicalType::VARCHAR};
    Columns rows;
    for (size_t done = 0; done < count;) {
      auto chunk = std::make_unique<duckdb::DataChunk>();
      chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types);
      size_t size = std::min<size_t>(count - done, STANDARD_VECTOR_SIZE);
      for (size_t i = 0; i < size; i++) {
        auto id = static_cast<int64_t>(log_->End().value + done + i + 1);
        chunk->SetValue(0, i, duckdb::Value::BIGINT(id));
        chunk->SetValue(1, i, duckdb::Value(id % 2 ? "odd" : "even"));
      }
      chunk->SetCardinality(size);
      rows.rows += size;
      rows.chunks.push_back(std::move(chunk));
      done += size;
    }
    AppendAndWait(*log_, Unit(MakeRecord(EncodeBlock(rows, events_->Types()),
                                         static_cast<uint32_t>(count), "", 1)));
  }

  Answer Ask(QueryRequest request) {
    auto sink = std::make_shared<CollectingSink>();
    auto handle = Service().Run(std::move(request), sink);
    return sink->Wait();
  }

  Answer Ask(const std::string& sql, ResultFormat format = ResultFormat::kCsv) {
    QueryRequest request;
    request.sql = ToKernelSql(sql);
    request.format = format;
    return Ask(request);
  }

  // The body of an answer that must be fine.
  std::string Body(const std::string& sql) {
    Answer answer = Ask(sql);
    EXPECT_FALSE(answer.error) << answer.error->message << "\n" << answer.error->hint;
    return answer.body;
  }

  std::optional<ErrorCode> Code(const std::string& sql) {
    Answer answer = Ask(sql);
    if (!answer.error) return std::nullopt;
    return answer.error->code;
  }

  void DefineView(const std::string& name, const std::string& query, bool materialized) {
    auto view = std::make_shared<View>();
    view->id = static_cast<uint32_t>(10 + catalog_.Current()->views.size());
    view->name = name;
    view->query = query;
    view->kernel_sql = KernelSql(query);
    view->materialized = materialized;
    catalog_.Change([&](CatalogState& state) { state.views[name] = view; });
  }

  std::filesystem::path folder_;
  ManualClock clock_{1'700'000'000'000'000};  // 2023-11-14 22:13:20 UTC
  MemoryStore store_;
  Catalog catalog_{store_};
  std::unique_ptr<Disk> disk_;
  std::shared_ptr<Stream> events_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Lake> lake_;
  QueryOptions options_;
  std::unique_ptr<Queries> queries_;
};

TEST_F(QueriesTest, AQueryReadsTheTailAndTheLakeAsOne) {
  AppendEvents(5000);
  EXPECT_EQ(Body("SELECT count(*), sum(id) FROM events"), "count_star(),sum(id)\n5000,12502500\n");
  lake_->LandNow();
  EXPECT_EQ(Body("SELECT count(*), sum(id) FROM events"), "count_star(),sum(id)\n5000,12502500\n");
  AppendEvents(3);
  EXPECT_EQ(Body("SELECT count(*), max(id) AS m FROM events"), "count_star(),m\n5003,5003\n");
  EXPECT_EQ(Body("FROM events WHERE id = 5002"), "id,name\n5002,even\n");
}

// DuckDB 1.5.5 by itself finds three rows: it filters by the join's key before the LIMIT.
TEST_F(QueriesTest, ALimitBelowAJoinIsTakenBeforeIt) {
  AppendEvents(5000);
  lake_->LandNow();
  EXPECT_EQ(Body("SELECT count(*) AS n, min(t.id) AS m FROM ("
                 "SELECT a.id, a.name FROM events a LEFT JOIN events b ON a.id = b.id + 1 "
                 "ORDER BY a.id DESC LIMIT 3) t "
                 "JOIN (SELECT max(name) AS name FROM events) u ON t.name = u.name"),
            "n,m\n1,4999\n");
}

TEST_F(QueriesTest, AnEmptyStreamHasNoRows) {
  EXPECT_EQ(Body("SELECT count(*) AS n FROM events"), "n\n0\n");
}

TEST_F(QueriesTest, APositionInThePastSeesNothingAfterIt) {
  AppendEvents(1000);
  lake_->LandNow();
  AppendEvents(1000);
  for (uint64_t at : {1, 700, 1000, 1500}) {
    QueryRequest request;
    request.sql = KernelSql("SELECT count(*) AS n, max(id) AS m FROM events");
    request.format = ResultFormat::kCsv;
    request.at = Offset{at};
    EXPECT_EQ(Ask(request).body, "n,m\n" + std::to_string(at) + "," + std::to_string(at) + "\n");
  }
}

// Files of other times are not looked at: here they are not even there.
TEST_F(QueriesTest, ABoundOnArrivalReadsNoFilesBeyondIt) {
  for (int hour = 0; hour < 4; hour++) {  // two of a day, two of the next
    AppendEvents(10);
    lake_->LandNow();
    clock_.Advance(3'600'000'000);
  }
  AppendEvents(1);
  EXPECT_EQ(Body("SELECT count(*) AS n FROM events"), "n\n41\n");
  std::filesystem::remove_all(folder_ / "lake" / "events" / "dt=2023-11-14");
  EXPECT_TRUE(Code("SELECT sum(id) FROM events"));
  EXPECT_EQ(Body("SELECT count(*) AS n, min(id) AS i FROM events "
                 "WHERE _arrival_time >= '2023-11-15 00:00:00+00'"),
            "n,i\n21,21\n");
  EXPECT_EQ(Body("SELECT count(*) AS n FROM events WHERE _arrival_time > now() - INTERVAL 2 HOUR"),
            "n\n11\n");
  EXPECT_EQ(Body("SELECT min(name) AS n FROM events WHERE _offset > 25 AND id > 30"), "n\neven\n");
  DefineView("today", "SELECT id, _arrival_time AS came FROM events", false);
  EXPECT_EQ(Body("SELECT count(*) AS n FROM today WHERE came >= '2023-11-15 00:00:00+00'"),
            "n\n21\n");
  QueryRequest request;
  request.sql =
      KernelSql("SELECT count(*) AS n FROM events WHERE _arrival_time >= $1::TIMESTAMPTZ");
  request.params_json = R"(["2023-11-15 00:00:00+00"])";
  request.format = ResultFormat::kCsv;
  EXPECT_EQ(Ask(request).body, "n\n21\n");
}

TEST_F(QueriesTest, HiddenColumnsAreSeenOnlyByName) {
  AppendEvents(2);
  EXPECT_EQ(Body("SELECT * FROM events LIMIT 1"), "id,name\n1,odd\n");
  EXPECT_EQ(Body("SELECT id, _offset, _arrival_time FROM events WHERE _offset = 2"),
            "id,_offset,_arrival_time\n2,2,2023-11-14 22:13:20+00\n");
  EXPECT_EQ(Body("SELECT *, _offset FROM events ORDER BY id"),
            "id,name,_offset\n1,odd,1\n2,even,2\n");
  EXPECT_EQ(Body("FROM events WHERE _offset = 2"), "id,name\n2,even\n");
  EXPECT_EQ(Body("SELECT e.*, b.* EXCLUDE (name), b._offset FROM events e JOIN events b USING (id) "
                 "WHERE e._offset = 1"),
            "id,name,id,_offset\n1,odd,1,1\n");
  EXPECT_EQ(Body("SELECT COLUMNS(*) FROM events e WHERE EXISTS (SELECT * FROM events b WHERE "
                 "b._offset > e._offset)"),
            "id,name\n1,odd\n");
  EXPECT_EQ(
      Body("SELECT * FROM (SELECT *, _offset AS place FROM events) ORDER BY place DESC LIMIT 1"),
      "id,name,place\n2,even,2\n");
  EXPECT_EQ(Body("SELECT * FROM (SELECT id, _offset FROM events) UNION ALL SELECT * FROM events "
                 "ORDER BY ALL LIMIT 1"),
            "id,_offset\n1,1\n");
  EXPECT_EQ(Body("WITH events AS (SELECT *, _offset FROM events) SELECT * FROM events ORDER BY id"),
            "id,name,_offset\n1,odd,1\n2,even,2\n");
  EXPECT_EQ(Body("SELECT * EXCLUDE (_offset, name), _arrival_time FROM events LIMIT 1"),
            "id,_arrival_time\n1,2023-11-14 22:13:20+00\n");
  DefineView("plain", "SELECT * FROM events", false);
  EXPECT_EQ(Body("SELECT p.*, e._offset FROM plain p JOIN events e USING (id) ORDER BY id"),
            "id,name,_offset\n1,odd,1\n2,even,2\n");
}

// What DuckDB 1.5.5 by itself says otherwise.
TEST_F(QueriesTest, AnswersAreRightWhereTheBatchEngineIsNot) {
  std::string tables =
      "WITH o(id, k, g, v) AS (VALUES (1,0,'b',1),(2,1,'b',2),(3,0,'c',2),(4,1,'a',5),(5,2,'c',1),"
      "(6,0,'c',NULL)), r(id, k, g, v) AS (VALUES (1,0,'a',1),(2,1,'b',2)) ";
  EXPECT_EQ(Body(tables + "SELECT id FROM o WHERE EXISTS (SELECT 1 FROM r x WHERE x.v <> o.v "
                          "AND x.g < o.g) ORDER BY id"),
            "id\n2\n3\n5\n");
  EXPECT_EQ(Body(tables + "SELECT a.id FROM o a WHERE NOT EXISTS (SELECT 1 FROM o b WHERE "
                          "b.k >= a.k AND b.v >= a.v AND b.id <> a.id) ORDER BY id"),
            "id\n4\n5\n6\n");
  EXPECT_EQ(Body(tables + "SELECT id, EXISTS (SELECT 1 FROM r x WHERE x.k = o.k AND x.v <> o.v) "
                          "AS e FROM o WHERE k = 0 ORDER BY id"),
            "id,e\n1,false\n3,true\n6,false\n");
  EXPECT_EQ(Body("WITH p(id, g) AS (VALUES (1,3),(2,3),(3,4)) SELECT g FROM p QUALIFY row_number() "
                 "OVER (PARTITION BY g ORDER BY NULL) <= 2 ORDER BY g"),
            "g\n3\n3\n4\n");
  EXPECT_EQ(Body("WITH a(id, s, t) AS (VALUES (1,NULL,5),(2,7,5),(3,7,NULL)), "
                 "b(id, s, t) AS (VALUES (10,NULL,4),(20,7,4),(30,7,NULL)) "
                 "SELECT a.id, b.id AS other FROM a ASOF LEFT JOIN b ON a.s IS NOT DISTINCT FROM "
                 "b.s AND a.t >= b.t ORDER BY ALL"),
            "id,other\n1,10\n2,20\n3,\n");
  // More rows than DuckDB has a loop for.
  std::string many =
      "WITH a AS (SELECT CASE WHEN i % 5 > 0 THEN i END AS t, i AS id FROM range(200) x(i)), "
      "b AS (SELECT CASE WHEN i % 4 > 0 THEN i END AS t, i AS id FROM range(90) x(i)) ";
  for (std::string kind : {"", "LEFT ", "RIGHT ", "FULL "}) {
    EXPECT_EQ(Body(many + "SELECT count(*) AS n FROM a ASOF " + kind +
                   "JOIN b ON a.t >= b.t "
                   "WHERE a.t IS NULL AND b.id IS NOT NULL AND a.id IS NOT NULL"),
              "n\n0\n")
        << kind;
  }
  EXPECT_EQ(Body(many + "SELECT count(*) AS n, sum(b.id) AS s FROM a ASOF LEFT JOIN b ON "
                        "a.t >= b.t"),
            "n,s\n200,11054\n");
  // Rows of subqueries and lists, column by column.
  std::string rows =
      "WITH a(id, x, y) AS (VALUES (1,1,5),(2,2,5),(3,NULL,5),(4,NULL,NULL)), "
      "b(id, x, y) AS (VALUES (1,2,NULL),(2,2,7)) SELECT id, ";
  EXPECT_EQ(Body(rows + "(x, y) NOT IN (SELECT x, y FROM b) AS no FROM a ORDER BY id"),
            "id,no\n1,true\n2,\n3,\n4,\n");
  EXPECT_EQ(Body(rows + "(x, y) NOT IN (SELECT x, y FROM b WHERE b.id = 2) AS no, (x, y) IN "
                        "(SELECT x, y FROM b WHERE b.id = a.id) AS yes FROM a ORDER BY id"),
            "id,no,yes\n1,true,false\n2,true,false\n3,true,false\n4,,false\n");
  EXPECT_EQ(Body(rows + "(x, y) NOT IN ((2, NULL), (2, 7)) AS no FROM a ORDER BY id"),
            "id,no\n1,true\n2,\n3,\n4,\n");
  EXPECT_EQ(Body(rows + "y FROM a WHERE (x, y) NOT IN (SELECT x, y FROM b) ORDER BY id"),
            "id,y\n1,5\n");
  EXPECT_EQ(Body(rows + "y FROM a WHERE (x, y) <> ALL (SELECT x, y FROM b WHERE b.id >= a.id) "
                        "ORDER BY id"),
            "id,y\n1,5\n2,5\n3,5\n4,\n");
  EXPECT_EQ(Body("SELECT '9e-07'::DECIMAL(10, 2) AS a, TRY_CAST('1e9' AS DECIMAL(10, 2)) AS b, "
                 "'123456789e-5'::DECIMAL(10, 2) AS c"),
            "a,b,c\n0.00,,1234.57\n");
}

// DuckDB by itself lets it wrap around.  The middle of a sum may be beyond its type.
TEST_F(QueriesTest, ASumOfWideDecimalsFitsItsTypeOrFails) {
  std::string wide = "999999999999999999999999999999999999.99";
  std::string rows = " FROM (VALUES (1, " + wide + "::DECIMAL(38, 2)), (1, " + wide + "), (2, -" +
                     wide + "), (2, -0.05)) t(g, v)";
  for (auto& sql : {"SELECT sum(v)" + rows + " WHERE g = 1",
                    "SELECT g, sum(v) AS s" + rows + " GROUP BY g ORDER BY g",
                    "SELECT sum(v) OVER (ORDER BY v DESC) AS s" + rows + " WHERE g = 1"}) {
    Answer answer = Ask(sql);
    ASSERT_TRUE(answer.error) << sql << "\n" << answer.body;
    EXPECT_EQ(answer.error->code, ErrorCode::kQueryFailed);
    EXPECT_NE(answer.error->message.find("a sum does not fit its type"), std::string::npos)
        << answer.error->message;
  }
  EXPECT_EQ(Body("SELECT sum(v) AS s" + rows), "s\n999999999999999999999999999999999999.94\n");
  AppendEvents(3);
  lake_->LandNow();
  EXPECT_EQ(Code("SELECT sum(id * 0 + " + wide + "::DECIMAL(38, 2)) FROM events"),
            ErrorCode::kQueryFailed);
}

TEST_F(QueriesTest, TheClockIsTheEnginesInTheProjectsTimeZone) {
  EXPECT_EQ(Body("SELECT now() AS t, current_date AS d"),
            "t,d\n2023-11-14 22:13:20+00,2023-11-14\n");
  catalog_.Change([](CatalogState& state) { state.time_zone = "Asia/Tokyo"; });
  EXPECT_EQ(Body("SELECT now() AS t, current_date AS d, date_trunc('day', now()) AS day"),
            "t,d,day\n2023-11-14 22:13:20+00,2023-11-15,2023-11-14 15:00:00+00\n");
}

// As views say it (calendar_functions.slt), and PostgreSQL.
TEST_F(QueriesTest, TheSecondOfTwoEqualHoursIsOneOfItsOwn) {
  catalog_.Change([](CatalogState& state) { state.time_zone = "America/New_York"; });
  EXPECT_EQ(
      Body("SELECT epoch(date_trunc('hour', to_timestamp(1793507400 + i * 3600)))::BIGINT AS hour "
           "FROM range(3) t(i)"),
      "hour\n1793505600\n1793509200\n1793512800\n");
  EXPECT_EQ(Body("SELECT count(*) AS n FROM CUMULATE(TABLE (SELECT TIMESTAMPTZ '2026-11-01 "
                 "03:00:00Z' AS t), "
                 "DESCRIPTOR(t), INTERVAL '1' HOUR, INTERVAL '1' DAY)"),
            "n\n1\n");
}

TEST_F(QueriesTest, ParametersArriveWithTheirTypes) {
  AppendEvents(10);
  QueryRequest request;
  request.sql = KernelSql("SELECT count(*) AS n FROM events WHERE id > $1 AND name = $2");
  request.params_json = R"([4, "odd"])";
  request.format = ResultFormat::kCsv;
  EXPECT_EQ(Ask(request).body, "n\n3\n");
  request.params_json = "[4]";
  EXPECT_EQ(Ask(request).error->code, ErrorCode::kInvalidRequest);
}

TEST_F(QueriesTest, PlainViewsAreTheirQueries) {
  AppendEvents(10);
  DefineView("odd_events", "SELECT * FROM events WHERE name = 'odd'", false);
  DefineView("odd_count", "SELECT count(*) AS n FROM odd_events", false);
  EXPECT_EQ(Body("SELECT n FROM odd_count"), "n\n5\n");
}

TEST_F(QueriesTest, KeptViewsAndStreamsAreReadAtOnePosition) {
  AppendEvents(10);
  DefineView("totals", "SELECT name, count(*) AS n FROM events GROUP BY name", true);
  FakeViews views;
  auto& content = views.Set("totals");
  content.offset = {6};
  content.as_of = 1'600'000'000'000'000;
  content.columns = {{"name", LogicalType::VARCHAR}, {"n", LogicalType::BIGINT}};
  content.rows = RowsOf(content.columns, {{"odd", "3"}, {"even", "3"}});
  Service().Connect(views);
  EXPECT_EQ(Body("SELECT (SELECT sum(n) FROM totals) AS kept, (SELECT count(*) FROM events) AS n, "
                 "now() AS t"),
            "kept,n,t\n6,6,2020-09-13 12:26:40+00\n");
  EXPECT_EQ(views.waited_for, Offset{10});
  Service().Stop();
}

TEST_F(QueriesTest, RowsThatStandSeveralTimesTravelOnce) {
  DefineView("v", "SELECT id, name FROM events", true);
  FakeViews views;
  auto& content = views.Set("v");
  content.columns = {{"id", LogicalType::BIGINT}, {"name", LogicalType::VARCHAR}};
  content.rows = RowsOf(content.columns, {{"1", "a"}, {"2", "b"}, {"3", "NULL"}, {"4", "d"}});
  content.copies = {5000, 1, 2048, 3};
  Service().Connect(views);
  EXPECT_EQ(Body("SELECT count(*) AS n FROM v"), "n\n7052\n");
  EXPECT_TRUE(views.asked.collapse);
  EXPECT_EQ(Body("SELECT name, count(*) AS n, sum(id) AS s FROM v GROUP BY name ORDER BY s"),
            "name,n,s\nb,1,2\nd,3,12\na,5000,5000\n,2048,6144\n");
  EXPECT_EQ(Body("SELECT count(*) AS n FROM v a, v b WHERE a.id = b.id AND a.id > 1"),
            "n\n4194314\n");
  Service().Stop();
}

TEST_F(QueriesTest, OfAViewIsReadWhatTheQueryCanSee) {
  DefineView("v", "SELECT id, name FROM events", true);
  DefineView("w", "SELECT id, name FROM events", true);
  DefineView("over", "SELECT id AS k FROM v", false);
  FakeViews views;
  for (auto* name : {"v", "w"}) {
    auto& content = views.Set(name);
    content.columns = {{"id", LogicalType::BIGINT}, {"name", LogicalType::VARCHAR}};
    content.rows = RowsOf(content.columns, {{"1", "a"}, {"2", "b"}});
    views.infos.push_back({});
    views.infos.back().name = name;
    views.infos.back().columns = content.columns;
  }
  Service().Connect(views);
  using Names = std::set<std::string>;
  auto columns = [&](const std::string& sql) {
    views.asked = {};
    EXPECT_FALSE(Body(sql).starts_with("error")) << sql;
    return views.asked.columns;
  };
  EXPECT_EQ(columns("SELECT count(*) FROM v"), Names{});
  EXPECT_EQ(columns("SELECT Id AS x FROM v ORDER BY x"), (Names{"id", "x"}));
  EXPECT_EQ(columns("SELECT a.id FROM v a JOIN w b USING (name)"), (Names{"a", "id", "name"}));
  EXPECT_EQ(columns("SELECT k FROM over"), (Names{"id", "k"}));
  EXPECT_EQ(columns("SELECT (SELECT max(id) FROM w) FROM v"), Names{"id"});
  for (auto* sql : {"FROM v", "SELECT * FROM v", "SELECT v FROM v", "SELECT a FROM v AS a",
                    "SELECT count(a) FROM v a", "SELECT v.* FROM v", "SELECT COLUMNS('i.*') FROM v",
                    "SELECT #1 FROM v", "SELECT a.id FROM v a NATURAL JOIN w b",
                    "SELECT y FROM v AS t(x, y)", "DESCRIBE v", "SUMMARIZE v",
                    "SELECT id FROM v ORDER BY ALL", "SELECT k FROM (SELECT * FROM over)"}) {
    EXPECT_EQ(columns(sql), std::nullopt) << sql;
  }

  using Equals = std::vector<std::pair<std::string, std::string>>;
  auto equals = [&](const std::string& sql) {
    views.asked = {};
    EXPECT_FALSE(Body(sql).starts_with("error")) << sql;
    return views.asked.equals;
  };
  EXPECT_EQ(equals("SELECT count(*) FROM v WHERE id = 2"), (Equals{{"id", "2"}}));
  EXPECT_EQ(equals("SELECT id + 1 FROM v WHERE 'a' = name AND id > 0 AND 1 = id"),
            (Equals{{"name", "a"}, {"id", "1"}}));
  for (auto* sql :
       {"SELECT id FROM v WHERE id = 2 OR id = 1", "SELECT id FROM v WHERE NOT id = 2",
        "SELECT id FROM v WHERE id = 2.5", "SELECT id FROM v WHERE id = '2'",
        "SELECT v.id FROM v, w WHERE v.id = 2", "SELECT id FROM v WHERE id = 99999999999999999999",
        "SELECT k FROM over WHERE k = 2", "SELECT id AS k FROM v WHERE k = 2",
        "SELECT (SELECT max(id) FROM v) FROM v WHERE id = 2",
        "SELECT id FROM v WHERE id = 2 UNION ALL SELECT id FROM v",
        "WITH v AS (SELECT 2 AS id) SELECT id FROM v WHERE id = 2",
        "SELECT max(id) FROM v HAVING max(id) = 2"}) {
    EXPECT_EQ(equals(sql), Equals{}) << sql;
  }
  views.infos[0].answering = 7;  // the columns are another one's, which is being filled
  EXPECT_EQ(equals("SELECT count(*) FROM v WHERE id = 2"), Equals{});
  Service().Stop();
}

TEST_F(QueriesTest, WhoReadsAViewThatIsBeingReplacedIsTold) {
  DefineView("v", "SELECT id FROM events", true);
  FakeViews views;
  auto& content = views.Set("v");
  content.columns = {{"id", LogicalType::BIGINT}};
  Service().Connect(views);
  QueryRequest request;
  request.sql = KernelSql("SELECT count(*) FROM v");
  EXPECT_EQ(Ask(request).replaced, "");
  content.replaced_by = Replacement{12, 0.5};
  EXPECT_EQ(Ask(request).replaced, "v by 12 ");
  Service().Stop();
}

TEST_F(QueriesTest, ALargeKeptViewArrivesWhole) {
  constexpr int64_t kRows = 300'000;
  DefineView("big", "SELECT id, name FROM events", true);
  FakeViews views;
  auto& content = views.Set("big");
  content.columns = {{"id", LogicalType::BIGINT}, {"name", LogicalType::VARCHAR}};
  for (int64_t row = 0; row < kRows;) {
    auto chunk = std::make_unique<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(),
                      {LogicalType::BIGINT, LogicalType::VARCHAR});
    for (; chunk->size() < STANDARD_VECTOR_SIZE && row < kRows; row++) {
      duckdb::idx_t at = chunk->size();
      chunk->SetValue(0, at, duckdb::Value::BIGINT(row));
      chunk->SetValue(1, at, duckdb::Value("a name that is no inline text " + std::to_string(row)));
      chunk->SetCardinality(at + 1);
    }
    content.rows.rows += chunk->size();
    content.rows.chunks.push_back(std::move(chunk));
  }
  Service().Connect(views);
  EXPECT_EQ(Body("SELECT count(*) AS n, sum(id) AS s, count(DISTINCT name) AS d FROM big"),
            "n,s,d\n300000,44999850000,300000\n");
  EXPECT_EQ(Body("SELECT 42 AS x"), "x\n42\n");
  Service().Stop();
}

TEST_F(QueriesTest, ALimitLeavesRowsOutAndSaysSo) {
  QueryRequest request;
  request.sql = KernelSql("SELECT * FROM range(10000)");
  request.format = ResultFormat::kCsv;
  auto ask = [&](uint64_t limit) {
    request.limit = limit;
    Answer answer = Ask(request);
    EXPECT_FALSE(answer.error);
    return std::make_pair(std::count(answer.body.begin(), answer.body.end(), '\n') - 1,
                          answer.more);
  };
  EXPECT_EQ(ask(3000), std::make_pair(ptrdiff_t{3000}, true));
  EXPECT_EQ(ask(9999), std::make_pair(ptrdiff_t{9999}, true));
  EXPECT_EQ(ask(10000), std::make_pair(ptrdiff_t{10000}, false));
  EXPECT_EQ(ask(2048), std::make_pair(ptrdiff_t{2048}, true));
}

TEST_F(QueriesTest, EveryFormatObeysTheLimitOfRows) {
  for (auto format : {ResultFormat::kJson, ResultFormat::kNdjson, ResultFormat::kCsv,
                      ResultFormat::kArrow, ResultFormat::kParquet}) {
    QueryRequest request;
    request.sql = KernelSql("SELECT * FROM range(10000)");
    request.format = format;
    request.rows_max = 9999;
    Answer answer = Ask(request);
    ASSERT_TRUE(answer.error);
    EXPECT_EQ(answer.error->code, ErrorCode::kLimitExceeded);
    request.rows_max = 10000;
    EXPECT_FALSE(Ask(request).error);
  }
}

TEST_F(QueriesTest, AJsonAnswerSaysWhereItStands) {
  AppendEvents(2);
  EXPECT_EQ(Ask("SELECT id, name FROM events", ResultFormat::kJson).body,
            "{\"offset\":2,\"as_of\":\"2023-11-14T22:13:20.000Z\",\"columns\":"
            "[{\"name\":\"id\",\"type\":\"BIGINT\"},{\"name\":\"name\",\"type\":\"VARCHAR\"}],"
            "\"rows\":[[1,\"odd\"],[2,\"even\"]]}\n");
}

TEST_F(QueriesTest, BinaryFormatsAreWhole) {
  AppendEvents(3000);
  std::string parquet = Ask("SELECT * FROM events", ResultFormat::kParquet).body;
  ASSERT_GT(parquet.size(), 8u);
  EXPECT_EQ(parquet.substr(0, 4), "PAR1");
  EXPECT_EQ(parquet.substr(parquet.size() - 4), "PAR1");
  std::string arrow = Ask("SELECT * FROM events", ResultFormat::kArrow).body;
  ASSERT_GT(arrow.size(), 8u);
  EXPECT_EQ(arrow.substr(0, 4), "\xFF\xFF\xFF\xFF");
  EXPECT_EQ(arrow.substr(arrow.size() - 8), std::string("\xFF\xFF\xFF\xFF\0\0\0\0", 8));
  EXPECT_GT(arrow.size(), 3000 * sizeof(int64_t));
}

TEST_F(QueriesTest, ABatchRunExpandsKeptViewsAtItsPosition) {
  AppendEvents(10);
  DefineView("totals", "SELECT name, count(*) AS n FROM events GROUP BY name", true);
  std::promise<BatchResult> promise;
  Service().Run(
      BatchRequest{KernelSql("SELECT sum(n) AS s, now() AS t FROM totals"), Offset{7}, 123'000'000},
      [&](BatchResult result) { promise.set_value(std::move(result)); });
  BatchResult result = promise.get_future().get();
  ASSERT_FALSE(result.error);
  ASSERT_EQ(result.rows.rows, 1u);
  EXPECT_EQ(result.columns[0].name, "s");
  EXPECT_EQ(result.rows.chunks[0]->GetValue(0, 0).ToString(), "7");
  EXPECT_EQ(result.rows.chunks[0]->GetValue(1, 0).ToString(), "1970-01-01 00:02:03+00");
}

TEST_F(QueriesTest, ErrorsOfTheQuerySayWhere) {
  Answer answer = Ask("SELECT idd FROM events");
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->code, ErrorCode::kInvalidSql);
  EXPECT_NE(answer.error->hint.find("^"), std::string::npos);
  EXPECT_NE(answer.error->hint.find("SELECT idd"), std::string::npos);
  EXPECT_EQ(Code("SELEC 1"), ErrorCode::kInvalidSql);
  EXPECT_EQ(Code("SELECT 1; SELECT 2"), ErrorCode::kInvalidSql);
  EXPECT_EQ(Code(""), ErrorCode::kInvalidSql);
  EXPECT_EQ(Code("SELECT CAST(name AS INTEGER) FROM (VALUES ('x')) v(name)"),
            ErrorCode::kQueryFailed);
  Answer unknown = Ask("SELECT * FROM evnts");
  ASSERT_TRUE(unknown.error);
  EXPECT_EQ(unknown.error->hint, "Did you mean \"events\"?");
}

TEST_F(QueriesTest, ACteMayHaveAStreamsName) {
  AppendEvents(4);
  EXPECT_EQ(Body("WITH e AS (SELECT * FROM events WHERE id > 2) SELECT count(*) AS n FROM e"),
            "n\n2\n");
  EXPECT_EQ(Body("WITH events AS (SELECT 1 AS id) SELECT count(*) AS n FROM events"), "n\n1\n");
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
    Answer answer = Ask(sql);
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
  Answer answer = Ask(request);
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
  Answer answer = Ask(request);
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
  Answer answer = Ask(request);
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

// Every type in every nesting is the same in an answer before its rows landed and after, and when
// it is compared, grouped and unnested there.
TEST_F(QueriesTest, EveryTypeIsReadAlikeFromTheLogAndFromTheLake) {
  auto samples = TypeSamples();
  // What the catalog cannot say of a type, a worker cannot know.
  std::erase_if(samples, [](auto& sample) {
    try {
      return ParseColumnType(sample.type.ToString()) != sample.type;
    } catch (const Error&) {
      return true;
    }
  });
  ASSERT_GT(samples.size(), 400u);
  constexpr size_t kColumns = 16;
  uint32_t id = 100;
  for (size_t begin = 0; begin < samples.size(); begin += kColumns, id++) {
    size_t end = std::min(samples.size(), begin + kColumns);
    auto stream = std::make_shared<Stream>();
    stream->id = {id};
    stream->name = "types" + std::to_string(id);
    size_t rows = 0;
    for (size_t i = begin; i < end; i++) {
      stream->columns.push_back({"c" + std::to_string(i), samples[i].type});
      rows = std::max(rows, samples[i].values.size());
    }
    SCOPED_TRACE(stream->columns[0].type.ToString());
    catalog_.Change([&](CatalogState& state) { state.streams[stream->name] = stream; });
    Columns columns;
    columns.rows = rows;
    columns.chunks.push_back(std::make_unique<duckdb::DataChunk>());
    auto& chunk = *columns.chunks.back();
    auto types = stream->Types();
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(),
                     duckdb::vector<LogicalType>(types.begin(), types.end()));
    for (size_t row = 0; row < rows; row++) {
      for (size_t i = begin; i < end; i++) {
        chunk.SetValue(i - begin, row, SampleAt(samples[i], row));
      }
    }
    chunk.SetCardinality(rows);
    AppendAndWait(
        *log_, Unit(MakeRecord(EncodeBlock(columns, types), static_cast<uint32_t>(rows), "", id)));
    std::vector<std::string> questions = {"SELECT * FROM " + stream->name + " ORDER BY _offset"};
    for (auto& column : stream->columns) {
      questions.push_back("SELECT count(" + column.name + "), count(DISTINCT " + column.name +
                          "::VARCHAR), min(typeof(" + column.name + ")) FROM " + stream->name);
    }
    std::vector<std::string> before;
    for (auto& question : questions) before.push_back(Body(question));
    lake_->LandNow();
    ASSERT_EQ(lake_->Landed(), log_->End());
    for (size_t i = 0; i < questions.size(); i++) {
      EXPECT_EQ(Body(questions[i]), before[i]) << questions[i];
    }
  }
}

// One file of a stream is damaged: who reads it is told which, and others are answered.
TEST_F(QueriesTest, ADamagedLakeFileIsNamedAndNothingElseFails) {
  AppendEvents(3000);
  lake_->LandNow();
  DefineView("totals", "SELECT count(*) AS n FROM events", false);
  EXPECT_EQ(Body("SELECT count(*), sum(id) FROM events"), "count_star(),sum(id)\n3000,4501500\n");
  std::filesystem::path file;
  for (auto& entry : std::filesystem::recursive_directory_iterator(folder_ / "lake")) {
    if (entry.path().extension() == ".parquet") file = entry.path();
  }
  auto flip = [&] {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(2000);
    char c = static_cast<char>(bytes.get() ^ 1);
    bytes.seekp(2000);
    bytes.put(c);
  };
  flip();
  Answer answer = Ask("SELECT sum(id), max(name) FROM events");
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->code, ErrorCode::kCorruption);
  EXPECT_NE(answer.error->message.find("1-3000.parquet"), std::string::npos)
      << answer.error->message;
  EXPECT_NE(answer.error->message.find("stream \"events\""), std::string::npos);
  EXPECT_EQ(Body("SELECT 1 AS one"), "one\n1\n");
  flip();
  EXPECT_EQ(Body("SELECT count(*), sum(id) FROM events"), "count_star(),sum(id)\n3000,4501500\n");
}

TEST_F(QueriesTest, AParquetAnswerHoldsTheValuesThemselves) {
  std::string sql =
      "SELECT sum(x) AS s, sum(x) + 1 AS s, max(h) AS h, list(x::HUGEINT ORDER BY x) AS l, "
      "INTERVAL '1 day 00:00:00.000001' AS i FROM (VALUES (9007199254740992::BIGINT, 1::HUGEINT), "
      "(1, 170141183460469231731687303715884105727)) t(x, h)";
  for (auto format : {ResultFormat::kParquet, ResultFormat::kArrow}) {
    Answer answer = Ask(sql, format);
    ASSERT_FALSE(answer.error) << answer.error->message;
    ASSERT_FALSE(answer.body.empty());
  }
  auto path = folder_ / "answer.parquet";
  // Not through Ask, which takes carriage returns out of a body.
  QueryRequest request;
  request.sql = KernelSql(sql);
  request.format = ResultFormat::kParquet;
  struct RawSink : QuerySink {
    void Write(std::string bytes) override { body += bytes; }
    void Done(const std::optional<Error>&) override { done.set_value(); }
    std::string body;
    std::promise<void> done;
  };
  auto sink = std::make_shared<RawSink>();
  auto handle = Service().Run(std::move(request), sink);
  sink->done.get_future().wait();
  std::ofstream(path, std::ios::binary) << sink->body;
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  auto read = connection.Query("SELECT *, typeof(s), typeof(h) FROM '" + path.string() + "'");
  ASSERT_FALSE(read->HasError()) << read->GetError();
  ASSERT_EQ(read->RowCount(), 1u);
  std::vector<std::string> row;
  for (size_t i = 0; i < read->names.size(); i++) row.push_back(read->GetValue(i, 0).ToString());
  EXPECT_EQ(row,
            (std::vector<std::string>{
                "9007199254740993", "9007199254740994", "170141183460469231731687303715884105727",
                "[1, 9007199254740992]", "1 day 00:00:00.000001", "DECIMAL(38,0)", "VARCHAR"}));
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "query-worker") return weir::RunQueryWorker(3);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
