#include "sql/plain_query.h"

#include <gtest/gtest.h>

#include "duckdb/common/optional_idx.hpp"
#include "sql/kernel_sql.h"

namespace weir {
namespace {

CatalogState WithStreams() {
  CatalogState state;
  auto add = [&](const std::string& name, std::vector<Column> columns) {
    auto stream = std::make_shared<Stream>();
    stream->id = StreamId{state.next_id++};
    stream->name = name;
    stream->columns = std::move(columns);
    state.streams[name] = stream;
  };
  add("events", {{"t", duckdb::LogicalType::TIMESTAMP_TZ},
                 {"name", duckdb::LogicalType::VARCHAR},
                 {"x", duckdb::LogicalType::BIGINT}});
  add("vectors", {{"v", duckdb::LogicalType::LIST(duckdb::LogicalType::ARRAY(
                            duckdb::LogicalType::FLOAT, duckdb::optional_idx(100'000)))}});
  auto view = std::make_shared<View>();
  view->name = "doubled";
  state.views["doubled"] = view;
  return state;
}

TEST(PlainQuery, IsOneOfAStreamMadeOfPlainThings) {
  auto state = WithStreams();
  for (const char* query : {
           "SELECT count(*) AS n FROM events",
           "SELECT * FROM events",
           "SELECT events.* FROM Events",
           "SELECT count(*) FROM events WHERE name = 'a' AND t >= date_trunc('month', now())",
           "SELECT date_trunc('hour', t) AS hour, count(*) FROM events GROUP BY hour ORDER BY hour",
           "SELECT name, sum(x) FILTER (WHERE x > 3) AS s FROM events GROUP BY ALL HAVING s > 2",
           "SELECT count(DISTINCT name), min(x), max(x) FROM events WHERE x BETWEEN 1 AND 9",
           "SELECT CASE WHEN x IN (1, 2) THEN 'a' || name ELSE NULL END FROM events LIMIT 5",
           "SELECT DISTINCT x::VARCHAR, x::DECIMAL(10, 2), t::DATE FROM events",
           "SELECT x FROM events WHERE t > now() - INTERVAL '1 day' OR name LIKE 'a%'",
       }) {
    EXPECT_TRUE(IsPlain(state, KernelSql(query))) << query;
  }
}

// What may take much of its constants, of its levels or of what it reads.
TEST(PlainQuery, IsNoneThatMayTakeMuch) {
  auto state = WithStreams();
  std::string deep = "x", doubling = "SELECT 'a' AS a0", wide = "x";
  for (int i = 0; i < 30; i++) deep = "-" + deep + " + 1";
  for (int i = 0; i < 20; i++) {
    auto last = "a" + std::to_string(i);
    doubling += ", " + last + " || " + last + " AS a" + std::to_string(i + 1);
  }
  for (int i = 0; i < 300; i++) wide += "+x";
  for (auto& query : std::vector<std::string>{
           "SELECT repeat('x', 1000000000) FROM events",
           "SELECT count(*) FROM events WHERE x IN (SELECT unnest(range(1000000000)))",
           "SELECT x FROM events WHERE x = ANY(range(1000000000))",
           "SELECT a.x FROM events a, events b",
           "SELECT x FROM events UNION ALL SELECT x FROM events",
           "WITH e AS (SELECT * FROM events) SELECT * FROM e",
           "SELECT x FROM doubled",
           "SELECT x FROM unknown",
           "SELECT x FROM other.events",
           "SELECT x FROM (SELECT x FROM events)",
           "SELECT x, row_number() OVER (ORDER BY x) FROM events",
           "SELECT x, count(*) FROM events GROUP BY CUBE (x, name)",
           "SELECT *, *, * FROM events",
           "SELECT COLUMNS('x.*') FROM events",
           "SELECT sum(x ORDER BY repeat('x', 1000000000)) FROM events",
           "SELECT * REPLACE (repeat('x', 1000000000) AS name) FROM events",
           "SELECT NULL::INTEGER[100000][100000] FROM events",
           "SELECT NULL::STRUCT(a INTEGER[100000]) FROM events",
           "SELECT count(*) FROM vectors",
           "SELECT list_transform([1], y -> y + x) FROM events",
           "SELECT x FROM events ORDER BY repeat('x', 1000000000)",
           "SELECT x FROM events LIMIT (SELECT 1)",
           "SELECT sum(x) FILTER (WHERE repeat('x', 1000000000) = name) FROM events",
           "SELECT x FROM events; SELECT x FROM events",
           "SELECT x FROM events WHERE",
           "SELECT " + deep + " FROM events",
           "SELECT " + wide + " FROM events",
           doubling + " FROM events",
           "SELECT x FROM events WHERE name = '" + std::string(3000, 'x') + "'",
       }) {
    EXPECT_FALSE(IsPlain(state, KernelSql(query))) << query;
  }
}

}  // namespace
}  // namespace weir
