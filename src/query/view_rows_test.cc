// Queries of views, plain and kept: what of them is read, and at which position.
#include "query/view_rows.h"

#include "query/fake_views.h"
#include "query/test_queries.h"

namespace weir {
namespace {

using duckdb::LogicalType;

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

}  // namespace
}  // namespace weir
