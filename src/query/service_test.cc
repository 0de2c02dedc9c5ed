// What queries read of streams, and that their answers are right.
#include "query/service.h"

#include "query/test_queries.h"
#include "query/worker.h"

namespace weir {
namespace {

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
    Answered answer = Ask(sql);
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

TEST_F(QueriesTest, ErrorsOfTheQuerySayWhere) {
  Answered answer = Ask("SELECT idd FROM events");
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->code, ErrorCode::kInvalidSql);
  EXPECT_NE(answer.error->hint.find("^"), std::string::npos);
  EXPECT_NE(answer.error->hint.find("SELECT idd"), std::string::npos);
  EXPECT_EQ(Code("SELEC 1"), ErrorCode::kInvalidSql);
  EXPECT_EQ(Code("SELECT 1; SELECT 2"), ErrorCode::kInvalidSql);
  EXPECT_EQ(Code(""), ErrorCode::kInvalidSql);
  EXPECT_EQ(Code("SELECT CAST(name AS INTEGER) FROM (VALUES ('x')) v(name)"),
            ErrorCode::kQueryFailed);
  Answered unknown = Ask("SELECT * FROM evnts");
  ASSERT_TRUE(unknown.error);
  EXPECT_EQ(unknown.error->hint, "Did you mean \"events\"?");
}

TEST_F(QueriesTest, ACteMayHaveAStreamsName) {
  AppendEvents(4);
  EXPECT_EQ(Body("WITH e AS (SELECT * FROM events WHERE id > 2) SELECT count(*) AS n FROM e"),
            "n\n2\n");
  EXPECT_EQ(Body("WITH events AS (SELECT 1 AS id) SELECT count(*) AS n FROM events"), "n\n1\n");
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
  Answered answer = Ask("SELECT sum(id), max(name) FROM events");
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->code, ErrorCode::kCorruption);
  EXPECT_NE(answer.error->message.find("1-3000.parquet"), std::string::npos)
      << answer.error->message;
  EXPECT_NE(answer.error->message.find("stream \"events\""), std::string::npos);
  EXPECT_EQ(Body("SELECT 1 AS one"), "one\n1\n");
  flip();
  EXPECT_EQ(Body("SELECT count(*), sum(id) FROM events"), "count_star(),sum(id)\n3000,4501500\n");
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "query-worker") return weir::RunQueryWorker(3);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
