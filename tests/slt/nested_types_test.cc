// Each type, by itself and inside of every kind of value that holds others: from the door through
// the log into a view and a query, over checkpoints and crashes, as NDJSON, as a field of CSV and
// as a constant of an INSERT.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "formats/results.h"
#include "world.h"

namespace weir {
namespace {

struct Sample {
  const char* type;
  const char* json;   // as a producer writes it
  const char* shown;  // as an answer shows it, with 64-bit integers and decimals as texts
};

const std::vector<Sample> kSamples = {
    {"BOOLEAN", "true", "true"},
    {"TINYINT", "-128", "-128"},
    {"SMALLINT", "-32768", "-32768"},
    {"INTEGER", "5e3", "5000"},
    {"BIGINT", "-9223372036854775808", "\"-9223372036854775808\""},
    {"HUGEINT", "\"170141183460469231731687303715884105727\"",
     "\"170141183460469231731687303715884105727\""},
    {"UTINYINT", "255", "255"},
    {"USMALLINT", "65535", "65535"},
    {"UINTEGER", "4294967295", "4294967295"},
    {"UBIGINT", "18446744073709551615", "\"18446744073709551615\""},
    {"FLOAT", "1.5", "1.5"},
    {"DOUBLE", "1e-300", "1e-300"},
    {"DECIMAL(4,1)", "12.34", "\"12.3\""},
    {"DECIMAL(9,2)", "9e-07", "\"0.00\""},
    {"DECIMAL(18,2)", "100000000000000.07", "\"100000000000000.07\""},
    {"DECIMAL(38,10)", "1234567890123456789012345678.0123456789",
     "\"1234567890123456789012345678.0123456789\""},
    {"VARCHAR", "123456789.123456789", "\"123456789.123456789\""},
    {"VARCHAR", "\"longer than what stands in a vector\"",
     "\"longer than what stands in a vector\""},
    {"UUID", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
     "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""},
    {"DATE", "\"2024-02-29\"", "\"2024-02-29\""},
    {"TIME", "\"23:59:59.999999\"", "\"23:59:59.999999\""},
    {"TIMESTAMP", "\"2024-02-29T12:34:56.789\"", "\"2024-02-29 12:34:56.789\""},
    {"INTERVAL", "\"3 days 02:00:00\"", "\"3 days 02:00:00\""},
    {"ENUM('small', 'large')", "\"large\"", "\"large\""},
    {"JSON", R"({"a":[1e400,1.50,null],"b":"x"})", R"({"a":[1e400,1.50,null],"b":"x"})"},
};

// A type that holds another, and its values: `around` says how a text of a value is put in.
struct Nesting {
  std::function<std::string(const std::string& type)> type;
  std::function<std::string(const std::string& value)> around;
};

Nesting Around(const std::string& before, const std::string& after, const std::string& open,
               const std::string& close) {
  return {[=](const std::string& type) { return before + type + after; },
          [=](const std::string& value) { return open + value + close; }};
}

const std::vector<Nesting> kNestings = {
    Around("", "", "", ""),
    Around("", "[]", "[", ",null]"),
    Around("", "[1]", "[", "]"),
    Around("STRUCT(a ", ")", "{\"a\":", "}"),
    Around("MAP(VARCHAR, ", ")", "{\"k\":", ",\"l\":null}"),
    Around("STRUCT(a ", "[], b INTEGER)", "{\"a\":[", "],\"b\":null}"),
    Around("", "[][]", "[[", "],[],null]"),
    Around("MAP(VARCHAR, STRUCT(a ", "[1])[])", "{\"k\":[{\"a\":[", "]}]}"),
};

std::string InCsv(const std::string& value) {
  std::string field = "\"";
  for (char c : value) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

TEST(NestedTypes, GoAllTheWayInEveryNesting) {
  World world;
  std::string ddl, columns;
  struct Kept {
    std::string stream, json, shown;
    bool text;  // a JSON text, which CSV has without quotes
  };
  std::vector<Kept> all;
  for (size_t nesting = 0; nesting < kNestings.size(); nesting++) {
    for (size_t sample = 0; sample < kSamples.size(); sample++) {
      auto& [type, json, shown] = kSamples[sample];
      std::string name = "s_" + std::to_string(nesting) + "_" + std::to_string(sample);
      auto& around = kNestings[nesting];
      world.Execute("CREATE STREAM " + name + " (x " + around.type(type) +
                    "); CREATE MATERIALIZED VIEW v_" + name + " AS SELECT x, count(*) AS n FROM " +
                    name + " GROUP BY x;");
      all.push_back({name, around.around(json), around.around(shown), nesting > 0});
    }
  }
  for (auto& kept : all) {
    SCOPED_TRACE(kept.stream + " " + kept.json);
    auto answer = world.Ingest(kept.stream, RowFormat::kNdjson, "{\"x\":" + kept.json + "}\n");
    EXPECT_EQ(answer.accepted, 1u) << (answer.rejected.empty() ? "" : answer.rejected[0].reason);
    answer = world.Ingest(kept.stream, RowFormat::kJson, "[{\"x\":" + kept.json + "},{}]");
    EXPECT_EQ(answer.accepted, 2u);
    if (kept.text) {
      answer = world.Ingest(kept.stream, RowFormat::kCsv, "x\n" + InCsv(kept.json) + "\n");
      EXPECT_EQ(answer.accepted, 1u) << (answer.rejected.empty() ? "" : answer.rejected[0].reason);
    }
  }
  auto check = [&](const std::string& when) {
    world.Settle();
    for (auto& kept : all) {
      SCOPED_TRACE(when + ": " + kept.stream + " " + kept.json);
      std::string copies = kept.text ? "3" : "2";
      std::string row = "[" + kept.shown + ",\"" + copies + "\"]";
      auto rows = JsonRowsOf(world.Read("v_" + kept.stream).rows, true);
      EXPECT_TRUE(rows == "[" + row + ",[null,\"1\"]]" || rows == "[[null,\"1\"]," + row + "]")
          << rows;
      auto batch = world.Batch("SELECT x FROM " + kept.stream + " WHERE x IS NOT NULL LIMIT 1");
      EXPECT_EQ(JsonRowsOf(batch, true), "[[" + kept.shown + "]]");
    }
  };
  check("at first");
  world.Restart();
  check("after a restart");
  SeededRandom random(7);
  world.Crash(random);
  check("after a crash");
}

TEST(NestedTypes, FieldsOfJsonInsideOfOthersAreAskedForAsThoseOfColumns) {
  World world;
  world.Execute(
      "CREATE STREAM s (p STRUCT(e JSON), l JSON[], m MAP(VARCHAR, JSON));"
      "CREATE MATERIALIZED VIEW v AS SELECT p.e ->> 'x' AS a, (p.e -> 'y' ->> 0)::INTEGER AS b, "
      "l[2] ->> 'z' AS c, m['k'] ->> '$.w' AS d FROM s;");
  world.Ingest("s", RowFormat::kNdjson,
               R"({"p":{"e":{"x":"one","y":[2]}},"l":[null,{"z":"three"}],"m":{"k":{"w":4}}})");
  world.Execute("INSERT INTO s VALUES ({'e': '{\"x\":\"five\"}'::JSON}, ['1'::JSON], NULL)");
  world.Settle();
  auto rows = RowsAsText(world.Read("v").rows);
  std::sort(rows.begin(), rows.end());
  EXPECT_EQ(rows, (std::vector<std::string>{"five|NULL|NULL|NULL", "one|2|three|4"}));
  auto deep = std::string(64, '[') + std::string(64, ']');
  EXPECT_THROW(world.Execute("INSERT INTO s VALUES ({'e': '" + deep + "'::JSON}, NULL, NULL)"),
               Error);
}

TEST(NestedTypes, WhatCannotGoAllTheWayIsRefusedByCreate) {
  World world;
  for (auto* type : {"VARIANT", "STRUCT(a VARIANT)", "VARIANT[]", "MAP(VARCHAR, VARIANT)",
                     "UNION(a INTEGER, b JSON)", "GEOMETRY", "STRUCT(a INTEGER, A INTEGER)",
                     "ENUM('x', 'x')[]", "STRUCT(a NOTHING)", "INTEGER[0]"}) {
    try {
      world.Execute(std::string("CREATE STREAM s (x ") + type + ")");
      ADD_FAILURE() << type << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::kInvalidSql) << type;
    }
  }
}

}  // namespace
}  // namespace weir
