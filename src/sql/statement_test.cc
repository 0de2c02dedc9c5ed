#include "sql/statement.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "sql/kernel_sql.h"
#include "sql/left_open.h"
#include "sql/names_in.h"
#include "sql/rename.h"
#include "sql/total_order.h"

namespace weir {
namespace {

template <typename Body>
Body Only(std::string_view text) {
  auto statements = ParseStatements(text);
  EXPECT_EQ(statements.size(), 1u);
  return std::get<Body>(statements.at(0).body);
}

// "LINE:COLUMN: message" of what is wrong with a text.
std::string Refusal(std::string_view text) {
  try {
    ParseStatements(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kInvalidSql);
    return error.message;
  }
  return "accepted";
}

TEST(Statement, SemicolonsInStringsNamesAndCommentsDoNotSplit) {
  auto statements = ParseStatements(
      "SELECT ';' AS \"a;b\"; -- one; two\n/* three; /* four; */ five; */ SELECT $$;$$;;");
  ASSERT_EQ(statements.size(), 2u);
  EXPECT_EQ(statements[0].text, "SELECT ';' AS \"a;b\"");
  EXPECT_EQ(statements[1].text, "SELECT $$;$$");
  EXPECT_TRUE(ParseStatements(" -- nothing\n ; ").empty());
}

TEST(Statement, AStreamWithEverything) {
  auto create = Only<CreateStream>(
      "create stream if not exists \"My Events\" (id VARCHAR NOT NULL, at TIMESTAMP WITH TIME "
      "ZONE, "
      "sent TIMESTAMP WITH (epoch = 'ms'), tags STRUCT(a INTEGER, b DECIMAL(10, 2)[]), "
      "WATERMARK FOR sent AS sent - INTERVAL '5' SECONDS) "
      "WITH (dedup_key = 'ID', dedup_window = '2 hours', unknown_fields = 'reject')");
  EXPECT_TRUE(create.if_not_exists);
  auto& stream = create.stream;
  EXPECT_EQ(stream.name, "My Events");
  ASSERT_EQ(stream.columns.size(), 4u);
  EXPECT_TRUE(stream.columns[0].not_null);
  EXPECT_EQ(stream.columns[1].type, duckdb::LogicalType::TIMESTAMP_TZ);
  EXPECT_EQ(stream.columns[2].epoch, EpochUnit::kMillis);
  EXPECT_EQ(stream.columns[3].type.ToString(), "STRUCT(a INTEGER, b DECIMAL(10,2)[])");
  ASSERT_TRUE(stream.watermark);
  EXPECT_EQ(stream.watermark->column, "sent");
  EXPECT_EQ(stream.watermark->delay, 5'000'000);
  EXPECT_EQ(stream.dedup_key, "id");  // as the column is written
  EXPECT_EQ(stream.dedup_window, 7'200'000'000);
  EXPECT_EQ(stream.unknown_fields, UnknownFields::kReject);
}

TEST(Statement, AViewKeepsItsQueryAsWritten) {
  auto create = Only<CreateView>(
      "CREATE OR REPLACE MATERIALIZED VIEW v AS\n  SELECT count(*) -- all\n  FROM s;");
  EXPECT_TRUE(create.or_replace);
  EXPECT_TRUE(create.view.materialized);
  EXPECT_EQ(create.view.query, "SELECT count(*) -- all\n  FROM s");
  EXPECT_FALSE(Only<CreateView>("CREATE VIEW v AS FROM s").view.materialized);
}

TEST(Statement, TheSmallOnes) {
  auto drop = Only<Drop>("DROP MATERIALIZED VIEW IF EXISTS v CASCADE");
  EXPECT_TRUE(drop.kind == ObjectKind::kView && drop.if_exists && drop.cascade);
  EXPECT_EQ(Only<Comment>("COMMENT ON STREAM s IS 'It''s'").text, "It's");
  EXPECT_EQ(Only<Comment>("COMMENT ON VIEW v IS NULL").text, "");
  EXPECT_EQ(Only<Explain>("EXPLAIN v").view, "v");
  EXPECT_EQ(Only<Explain>("EXPLAIN ANALYZE VIEW v").view, "v");
  EXPECT_EQ(Only<Explain>("EXPLAIN SELECT 1").query.text, "SELECT 1");
  EXPECT_EQ(Only<SetTimeZone>("SET TimeZone = 'America/New_York'").zone, "America/New_York");
  EXPECT_EQ(Only<SetTimeZone>("SET TIME ZONE 'UTC'").zone, "UTC");
  EXPECT_EQ(Only<DescribeObject>("DESCRIBE s").name, "s");
  EXPECT_EQ(Only<Show>("SHOW MATERIALIZED VIEWS").what, ShowWhat::kViews);
  EXPECT_EQ(Only<Query>("WITH t AS (SELECT 1) FROM t").sql, "WITH t AS (SELECT 1) FROM t");
}

TEST(Statement, ATableHasAKeyAndAHiddenColumn) {
  auto table = Only<CreateStream>(
                   "CREATE TABLE t (a VARCHAR, b DATE NOT NULL, c INTEGER, PRIMARY KEY (c, a)) "
                   "WITH (source = 'x.csv', refresh = '1 hour')")
                   .stream;
  EXPECT_TRUE(table.IsTable());
  EXPECT_EQ(table.primary_key, (std::vector<size_t>{2, 0}));
  EXPECT_EQ(table.VisibleColumns(), 3u);
  EXPECT_EQ(table.columns.back().name, kDeletedColumn);
  EXPECT_TRUE(table.columns[0].not_null);
  EXPECT_EQ(table.reference->path, "x.csv");
  EXPECT_EQ(table.reference->refresh, 3'600'000'000);
}

TEST(Statement, WritesAreTakenApart) {
  auto insert = Only<Insert>(
      "INSERT INTO t AS x (a, b) VALUES (1, DEFAULT), ($1, 'it''s; b') "
      "ON CONFLICT (a) DO UPDATE SET b = b || x.b || excluded.b WHERE a > 0");
  EXPECT_EQ(insert.columns, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(insert.values.at(0), (std::vector<std::string>{"1", "NULL"}));
  EXPECT_EQ(insert.values.at(1), (std::vector<std::string>{"$1", "'it''s; b'"}));
  EXPECT_EQ(insert.on_conflict, Insert::OnConflict::kUpdate);
  // A name alone is the table's.
  EXPECT_EQ(insert.set.at(0).value, "((x.b || x.b) || excluded.b)");
  EXPECT_EQ(insert.where, "(x.a > 0)");

  auto update = Only<Update>("UPDATE t SET a = 1 FROM u, v WHERE t.b = u.b");
  EXPECT_EQ(update.alias, "t");
  EXPECT_EQ(update.where, "(t.b = u.b)");
  EXPECT_NE(update.from, "");
  EXPECT_EQ(Only<Delete>("TRUNCATE t").where, "");
  auto copy = Only<CopyFrom>("COPY t (a) FROM 'f.csv' (HEADER false, DELIMITER ';')");
  EXPECT_EQ(copy.delimiter, ";");
  EXPECT_FALSE(copy.header);
}

TEST(Statement, WhatIsWrongIsToldWithItsPlace) {
  EXPECT_EQ(Refusal("CREATE STREAM s (a INTEGER,\n  b NOTATYPE)").substr(0, 5), "2:5: ");
  EXPECT_EQ(Refusal("CREATE STREAM s (a INTEGER, A VARCHAR)"), "1:29: column \"A\" is there twice");
  EXPECT_EQ(Refusal("SELECT 1;\nCREATE VIEW v AS SELECT FROM WHERE").substr(0, 2), "2:");
  EXPECT_EQ(Refusal("CREATE VIEW v AS CREATE TABLE t (a INTEGER)"),
            "1:18: a view is made of one SELECT, VALUES or FROM query");
  EXPECT_EQ(Refusal("CREATE STREAM s (a INTEGER) WITH (dedup_kye = 'a')"),
            "1:35: a stream has no option \"dedup_kye\", did you mean \"dedup_key\"?");
  EXPECT_EQ(Refusal("CREATE STREAM s (a INTEGER) WITH (dedup_key = 'b')"),
            "1:47: there is no column \"b\"");
  EXPECT_EQ(Refusal("CREATE STREAM s (_offset BIGINT)"),
            "1:18: \"_offset\" is a column that every stream has by itself");
  EXPECT_EQ(Refusal("CREATE STREAM s (\"_Arrival_Time\" BIGINT)"),
            "1:18: \"_Arrival_Time\" is a column that every stream has by itself");
  EXPECT_EQ(Refusal("CREATE STREAM s ()"), "1:18: expected the name of a column");
  EXPECT_EQ(Refusal("CREATE STREAM s (a TIMESTAMP, WATERMARK FOR a AS a, WATERMARK FOR a AS a)"),
            "1:67: a stream has one WATERMARK");
  EXPECT_EQ(
      Refusal("CREATE STREAM s (a VARCHAR, WATERMARK FOR a AS a)"),
      "1:43: a watermark needs a TIMESTAMP or TIMESTAMPTZ column (of microseconds at the most)");
  EXPECT_EQ(
      Refusal("CREATE STREAM s (a TIMESTAMP_NS, WATERMARK FOR a AS a)"),
      "1:48: a watermark needs a TIMESTAMP or TIMESTAMPTZ column (of microseconds at the most)");
  EXPECT_EQ(Refusal("DROP STREAM s t"), "1:15: unexpected \"t\" after the statement");
  EXPECT_EQ(Refusal("SET threads = 4"),
            "1:5: only the time zone can be set: SET TimeZone = 'America/New_York'");
  EXPECT_NE(Refusal("SELECT 'never closed"), "accepted");
  EXPECT_NE(Refusal("SELECT /* never closed"), "accepted");
}

TEST(Statement, TheHintPointsAtThePlace) {
  try {
    ParseStatements("DROP STREAM s t", "a.sql");
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(error.message.starts_with("a.sql:1:15: ")) << error.message;
    auto caret = error.hint.find('^');
    auto line = error.hint.find("DROP");
    ASSERT_NE(caret, std::string::npos);
    EXPECT_EQ(caret - error.hint.find('\n') - 1, line + 14);  // below the "t"
  }
}

TEST(Statement, WhatStandsBehindAWrongOneIsReadToo) {
  std::vector<WrongStatement> wrong;
  auto statements = ParseStatements(
      "CREATE STREAM a (x INTEGR);\nCREATE STREAM b (x INTEGER);\nCREATE VIEW \"C\" AS SELEC 1;",
      "f.sql", wrong);
  ASSERT_EQ(statements.size(), 1u);
  EXPECT_EQ(std::get<CreateStream>(statements[0].body).stream.name, "b");
  ASSERT_EQ(wrong.size(), 2u);
  EXPECT_TRUE(wrong[0].error.message.starts_with("f.sql:1:20: ")) << wrong[0].error.message;
  EXPECT_TRUE(wrong[1].error.message.starts_with("f.sql:3:")) << wrong[1].error.message;
  EXPECT_NE(std::find(wrong[1].names.begin(), wrong[1].names.end(), "c"), wrong[1].names.end());
}

TEST(Statement, PlacesAreInCharacters) {
  try {
    ParseStatements("CREATE STREAM \"\u00e4\u00f6\" (x INTEGR)");
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(error.message.starts_with("1:23: ")) << error.message;
    EXPECT_TRUE(error.hint.ends_with("\n" + std::string(22, ' ') + "^")) << error.hint;
  }
}

// What is translated once says the same from then on: below the door nobody needs to know.
TEST(KernelSqlTest, IsMadeOnceOfWhatIsWritten) {
  auto create = Only<CreateView>(
      "CREATE MATERIALIZED VIEW v AS SELECT window_start, count(*) FROM TUMBLE(TABLE s, "
      "DESCRIPTOR(t), INTERVAL '1' HOUR) GROUP BY window_start");
  EXPECT_NE(create.view.query.find("TUMBLE"), std::string::npos);
  EXPECT_EQ(create.view.kernel_sql.text.find("TUMBLE"), std::string::npos);
  EXPECT_EQ(create.view.kernel_sql, ToKernelSql(create.view.query));
  EXPECT_EQ(ToKernelSql(create.view.kernel_sql.text), create.view.kernel_sql);
  EXPECT_EQ(NamesIn(create.view.kernel_sql), std::vector<std::string>{"s"});
  EXPECT_EQ(ToKernelSql("SELECT 1 -- as it is").text, "SELECT 1 -- as it is");
}

// A catalog of a version that stored no translation, or another one.
TEST(KernelSqlTest, OfAStoredCatalogIsMadeAnew) {
  CatalogState state;
  auto add = [&](const std::string& name, const std::string& query) {
    View view;
    view.name = name;
    view.query = query;
    view.kernel_sql = KernelSql(query);
    state.views[name] = std::make_shared<View>(view);
  };
  add("plain", "SELECT 1");
  add("windows", "SELECT * FROM TUMBLE(TABLE s, DESCRIPTOR(t), INTERVAL '1' HOUR)");
  add("refused", "SELECT * FROM TUMBLE(TABLE s, DESCRIPTOR(t), INTERVAL '-1' HOUR)");
  auto plain = state.views["plain"];
  TranslateStored(state);
  EXPECT_EQ(state.views["plain"], plain);
  EXPECT_EQ(state.views["windows"]->kernel_sql, ToKernelSql(state.views["windows"]->query));
  EXPECT_EQ(state.views["windows"]->kernel_sql.text.find("TUMBLE"), std::string::npos);
  EXPECT_EQ(state.views["refused"]->kernel_sql.text, state.views["refused"]->query);
}

TEST(TotalOrder, OnlyAnOrderWithALimitNeedsOne) {
  EXPECT_EQ(WithTotalOrder(KernelSql("SELECT a, b FROM s ORDER BY b"), 2).text,
            "SELECT a, b FROM s ORDER BY b");
  EXPECT_EQ(WithTotalOrder(KernelSql("SELECT a, b FROM s LIMIT 3"), 2).text,
            "SELECT a, b FROM s LIMIT 3");
  EXPECT_EQ(WithTotalOrder(KernelSql("SELECT a, b FROM s ORDER BY ALL DESC LIMIT 3"), 2).text,
            "SELECT a, b FROM s ORDER BY ALL DESC LIMIT 3");
  EXPECT_EQ(WithTotalOrder(KernelSql("SELECT a, b FROM s ORDER BY b DESC LIMIT 3"), 2).text,
            "SELECT a, b FROM s ORDER BY b DESC, 1 ASC NULLS LAST, 2 ASC NULLS LAST LIMIT 3");
}

TEST(Statement, AStreamMadeOfAQuery) {
  auto create = Only<CreateStream>("CREATE STREAM s WITH (start = 'now') AS SELECT 1 AS a;");
  EXPECT_EQ(create.query, "SELECT 1 AS a");
  EXPECT_TRUE(create.from_now);
  EXPECT_TRUE(create.stream.columns.empty());
  create = Only<CreateStream>("CREATE STREAM s (a INTEGER, b VARCHAR) AS FROM t");
  EXPECT_EQ(create.stream.columns.size(), 2u);
  EXPECT_FALSE(create.from_now);
  EXPECT_EQ(Refusal("CREATE STREAM s (a INTEGER) WITH (start = 'now')"),
            "1:49: start is an option of a stream made of a query (AS SELECT ...)");
  EXPECT_EQ(Refusal("CREATE STREAM s WITH (start = 'soon') AS SELECT 1"),
            "1:31: start is 'beginning' or 'now'");
  EXPECT_NE(Refusal("CREATE STREAM s AS SELEC 1").find("syntax error"), std::string::npos);
}

TEST(Statement, StandingInserts) {
  auto insert = Only<Insert>("INSERT INTO s (b, \"a\") SELECT 1, 2");
  EXPECT_EQ(insert.table, "s");
  EXPECT_EQ(insert.columns, (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(insert.query_text, "SELECT 1, 2");
  EXPECT_TRUE(Only<Insert>("INSERT INTO s BY NAME FROM t").by_name);
  insert = Only<Insert>("INSERT INTO s ((SELECT 1))");
  EXPECT_TRUE(insert.columns.empty());
  EXPECT_EQ(insert.query_text, "((SELECT 1))");
  auto pump = Only<CreatePump>(
      "CREATE PUMP IF NOT EXISTS p WITH (start = 'now') AS INSERT INTO s WITH x AS (SELECT 1) FROM "
      "x");
  EXPECT_EQ(pump.name, "p");
  EXPECT_TRUE(pump.if_not_exists && pump.from_now);
  EXPECT_EQ(pump.insert.query_text, "WITH x AS (SELECT 1) FROM x");
  EXPECT_NE(
      Refusal("CREATE OR REPLACE PUMP p AS INSERT INTO s SELECT 1").find("cannot be replaced"),
      std::string::npos);
}

TEST(Statement, SubscriptionsAndNewNames) {
  EXPECT_EQ(Only<Subscribe>("SUBSCRIBE (SELECT 1)").query.text, "(SELECT 1)");
  EXPECT_EQ(Only<Subscribe>("SUBSCRIBE TO \"my view\"").query.text, "FROM \"my view\"");
  auto rename = Only<Rename>("ALTER MATERIALIZED VIEW a RENAME TO b");
  EXPECT_EQ(rename.kind, ObjectKind::kView);
  EXPECT_EQ(rename.name + rename.to, "ab");
  EXPECT_NE(Refusal("ALTER VIEW a RENAME COLUMN x TO y").find("only the name can be altered"),
            std::string::npos);
}

std::string Renamed(const std::string& query) {
  std::string why;
  auto renamed = RenameIn(query, ToKernelSql(query), "a", "b", why);
  return renamed ? *renamed : "refused: " + why;
}

TEST(Rename, KeepsWhatAQueryMeans) {
  EXPECT_EQ(Renamed("SELECT a.x, a FROM a"), "SELECT a.x, a FROM b AS a");
  EXPECT_EQ(Renamed("FROM \"A\" AS t JOIN a ON true -- a"), "FROM b AS t JOIN b AS a ON true -- a");
  EXPECT_EQ(Renamed("SELECT (SELECT max(x) FROM a WHERE a.y = c.y) FROM c, (FROM a) s"),
            "SELECT (SELECT max(x) FROM b AS a WHERE a.y = c.y) FROM c, (FROM b AS a) s");
  EXPECT_EQ(Renamed("WITH d AS (SELECT 'a' AS a FROM a) SELECT a FROM d WHERE a IN (FROM a)"),
            "WITH d AS (SELECT 'a' AS a FROM b AS a) SELECT a FROM d WHERE a IN (FROM b AS a)");
  EXPECT_EQ(Renamed("FROM a UNION ALL FROM a EXCEPT SELECT 1"),
            "FROM b AS a UNION ALL FROM b AS a EXCEPT SELECT 1");
  EXPECT_EQ(Renamed("WITH a AS (FROM a) FROM a"), "refused: it has a WITH of that name");
  EXPECT_EQ(Renamed("FROM TUMBLE(TABLE a, DESCRIPTOR(t), INTERVAL '1' HOUR)"),
            "refused: it uses functions of windows in time");
}

TEST(Rename, OfWhatAStatementCreates) {
  EXPECT_EQ(RenameCreated("CREATE VIEW a AS SELECT a FROM c", "a", "b"),
            "CREATE VIEW b AS SELECT a FROM c");
  EXPECT_EQ(RenameCreated("CREATE STREAM IF NOT EXISTS stream (x INTEGER)", "stream", "select"),
            "CREATE STREAM IF NOT EXISTS \"select\" (x INTEGER)");
}

TEST(NamesIn, FindsWhatAQueryReads) {
  EXPECT_EQ(NamesIn(KernelSql("WITH d AS (FROM A) SELECT (SELECT 1 FROM b) FROM d")),
            (std::vector<std::string>{"a", "b", "d"}));
}

TEST(LeftOpen, SaysWhatTwoRunsMayAnswerDifferently) {
  EXPECT_EQ(LeftOpen(KernelSql("SELECT k, sum(v), count(*) FROM e GROUP BY k")), "");
  EXPECT_EQ(LeftOpen(KernelSql("SELECT rank() OVER (ORDER BY v) FROM e")),
            "which of the rows that tie in the ORDER BY of rank OVER (...) comes first");
  EXPECT_EQ(LeftOpen(KernelSql("SELECT 1 WHERE EXISTS (SELECT first(v) FROM e)")),
            "in which order first takes rows that tie");
  EXPECT_EQ(LeftOpen(KernelSql("SELECT * FROM (SELECT DISTINCT ON (k) * FROM e)")),
            "which of the rows that tie in its ORDER BY DISTINCT ON keeps");
  EXPECT_EQ(LeftOpen(KernelSql("SELECT * FROM (SELECT * FROM e ORDER BY v LIMIT 3)")),
            "which of the rows that tie in its ORDER BY a LIMIT keeps");
  EXPECT_EQ(LeftOpen(KernelSql("SELECT random() FROM e")), "what random() says");
  EXPECT_EQ(LeftOpen(KernelSql("SELECT * FROM e USING SAMPLE 10%")), "which rows a SAMPLE picks");
  EXPECT_EQ(LeftOpen(KernelSql("SELECT json_group_object(k, v) FROM e")),
            "in which order json_group_object takes rows that tie");
  EXPECT_EQ(LeftOpen(KernelSql("SELECT * FROM a ASOF JOIN b ON a.t >= b.t")),
            "which of the rows that tie an ASOF JOIN takes");
  EXPECT_EQ(LeftOpen(KernelSql("SELECT DISTINCT v COLLATE NOCASE FROM e")),
            "which of the texts that are equal under a COLLATE stands for them");
  EXPECT_EQ(LeftOpen(KernelSql("SELECT")), "");
}

std::string Times(size_t n, const std::string& text) {
  std::string all;
  for (size_t i = 0; i < n; i++) all += text;
  return all;
}

TEST(Statement, WhatNoHonestTextHasIsRefusedBeforeAnyParserSeesIt) {
  EXPECT_NE(Refusal("SELECT " + Times(251, "(") + "1" + Times(251, ")")).find("nested"),
            std::string::npos);
  EXPECT_EQ(Refusal("SELECT " + Times(200, "(") + "1" + Times(200, ")")), "accepted");
  EXPECT_EQ(Refusal("SELECT " + Times(5'000, "(1),") + "1"), "accepted");
  EXPECT_NE(Refusal("SELECT a" + Times(100'000, ".a")).find("parts"), std::string::npos);
  EXPECT_EQ(Refusal("SELECT " + Times(1'000, "a.b.c.d, ") + "1"), "accepted");
  EXPECT_NE(Refusal(Times(1'100'000, ";")).find("more than 1000000"), std::string::npos);
  EXPECT_THROW(ParseStatements("SELECT '" + std::string(5 << 20, 'x') + "'"), Error);
  EXPECT_EQ(ParseStatements("SELECT '" + std::string(5 << 20, 'x') + "'", "a.sql").size(), 1u);
}

}  // namespace
}  // namespace weir
