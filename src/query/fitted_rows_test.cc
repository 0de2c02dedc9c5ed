#include "query/fitted_rows.h"

#include <gtest/gtest.h>

#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/materialized_query_result.hpp"

namespace weir {
namespace {

using duckdb::LogicalType;

struct Fitted : testing::Test {
  // All rows as text; a NULL is "NULL".
  std::vector<std::vector<std::string>> Rows(const std::string& sql, uint64_t held = 32 << 20) {
    asked = 0;
    FittedRows rows(
        *connection.context,
        [&]() -> std::unique_ptr<duckdb::QueryResult> {
          asked++;
          auto result = connection.SendQuery(sql);
          if (result->HasError()) result->ThrowError();
          return result;
        },
        held);
    types.clear();
    for (auto& type : rows.types()) types.push_back(type.ToString());
    std::vector<std::vector<std::string>> all;
    while (auto* chunk = rows.Next()) {
      for (duckdb::idx_t i = 0; i < chunk->size(); i++) {
        auto& row = all.emplace_back();
        for (size_t c = 0; c < chunk->ColumnCount(); c++) {
          row.push_back(chunk->GetValue(c, i).ToString());
        }
      }
    }
    return all;
  }
  using Row = std::vector<std::string>;

  duckdb::DuckDB database{nullptr};
  duckdb::Connection connection{database};
  std::vector<std::string> types;
  int asked = 0;
};

TEST_F(Fitted, AHugeIntegerIsADecimalWhenAllOfThemFit) {
  EXPECT_EQ(
      Rows(
          "SELECT sum(x) AS s, min(x::HUGEINT) FROM (VALUES (9007199254740992::BIGINT), (1)) t(x)"),
      (std::vector<Row>{{"9007199254740993", "1"}}));
  EXPECT_EQ(types, (Row{"DECIMAL(38,0)", "DECIMAL(38,0)"}));
  EXPECT_EQ(asked, 1);
  std::string most(38, '9');
  EXPECT_EQ(Rows("SELECT " + most + "::HUGEINT, -" + most + "::HUGEINT, NULL::HUGEINT"),
            (std::vector<Row>{{most, "-" + most, "NULL"}}));
  EXPECT_EQ(types, (Row{"DECIMAL(38,0)", "DECIMAL(38,0)", "DECIMAL(38,0)"}));
}

TEST_F(Fitted, AHugeIntegerThatDoesNotFitMakesItsColumnText) {
  std::string more = "1" + std::string(38, '0');
  EXPECT_EQ(Rows("FROM (VALUES (1::HUGEINT, 1::HUGEINT), (" + more + "::HUGEINT, 2::HUGEINT))"),
            (std::vector<Row>{{"1", "1"}, {more, "2"}}));
  EXPECT_EQ(types, (Row{"VARCHAR", "DECIMAL(38,0)"}));
  Rows("SELECT -" + more + "::HUGEINT");
  EXPECT_EQ(types, (Row{"VARCHAR"}));
}

TEST_F(Fitted, ALongAnswerIsAskedForTwiceAndIsWhole) {
  // The value that does not fit is the last.
  std::string sql =
      "SELECT i, CASE WHEN i = 99999 THEN 170141183460469231731687303715884105727::HUGEINT "
      "ELSE i::HUGEINT END FROM range(100000) t(i)";
  for (uint64_t held : {uint64_t{1000}, uint64_t{1} << 30}) {
    auto rows = Rows(sql, held);
    EXPECT_EQ(asked, held == 1000 ? 2 : 1);
    EXPECT_EQ(types, (Row{"BIGINT", "VARCHAR"}));
    ASSERT_EQ(rows.size(), 100'000u);
    EXPECT_EQ(rows[5], (Row{"5", "5"}));
    EXPECT_EQ(rows.back(), (Row{"99999", "170141183460469231731687303715884105727"}));
  }
  // Nothing is asked for twice, or held back, where no type depends on it.
  Rows("SELECT i FROM range(100000) t(i)", 1000);
  EXPECT_EQ(asked, 1);
}

TEST_F(Fitted, WhatAFormatWouldRoundIsText) {
  EXPECT_EQ(
      Rows("SELECT INTERVAL '1 month 2 days 00:00:00.000001', '01:02:03+05:30'::TIMETZ, "
           "340282366920938463463374607431768211455::UHUGEINT, [1::HUGEINT, NULL], '0101'::BIT"),
      (std::vector<Row>{{"1 month 2 days 00:00:00.000001", "01:02:03+05:30",
                         "340282366920938463463374607431768211455", "[1, NULL]", "0101"}}));
  EXPECT_EQ(types, (Row{"VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR[]", "VARCHAR"}));
}

TEST_F(Fitted, AUnionIsAStructThatSaysWhichMemberCounts) {
  auto rows = Rows(
      "SELECT union_value(a := NULL::INTEGER)::UNION(a INTEGER, b VARCHAR) UNION ALL "
      "SELECT 'x'::UNION(a INTEGER, b VARCHAR) UNION ALL SELECT NULL::UNION(a INTEGER, b VARCHAR)");
  EXPECT_EQ(rows, (std::vector<Row>{{"{'tag': 0, 'a': NULL, 'b': NULL}"},
                                    {"{'tag': 1, 'a': NULL, 'b': x}"},
                                    {"NULL"}}));
}

TEST_F(Fitted, AnErrorInTheMiddleIsThrown) {
  EXPECT_THROW(Rows("SELECT ('x' || i)::INTEGER FROM range(3000) t(i)"), std::exception);
  EXPECT_THROW(Rows("SELECT CASE WHEN i = 90000 THEN ('x' || i)::HUGEINT ELSE i END "
                    "FROM range(100000) t(i)",
                    1000),
               std::exception);
}

}  // namespace
}  // namespace weir
