#include "duck/plan/subquery_joins.h"

#include <gtest/gtest.h>

#include "duckdb.hpp"

namespace weir {
namespace {

const std::vector<std::string> kComparisons = {
    "=", "<>", "<", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"};

// Small tables with NULLs, the same each time.
void Fill(duckdb::Connection& connection) {
  for (auto* table : {"o", "r"}) {
    auto made =
        connection.Query(std::string("CREATE TABLE ") + table +
                         " AS SELECT i AS id, CASE WHEN h % 5 < 4 THEN h % 5 END AS k,"
                         " CASE WHEN h // 7 % 4 < 3 THEN chr((97 + h // 7 % 4)::INT) END AS g,"
                         " CASE WHEN h // 31 % 4 > 0 THEN h // 31 % 4 END AS v"
                         " FROM (SELECT i, hash('" +
                         table + "' || i) AS h FROM range(12) t(i))");
    ASSERT_FALSE(made->HasError()) << made->GetError();
  }
}

std::string Answer(duckdb::Connection& connection, const std::string& query) {
  auto result = connection.Query(query);
  return result->HasError() ? "error: " + result->GetError() : result->ToString();
}

// All correlated subqueries of these shapes over up to three columns, told by DuckDB without the
// rule.
TEST(SubqueryJoins, CorrelatedComparisonsAreWhatTheySayWithoutTheRule) {
  duckdb::DuckDB database, exact;
  InstallSubqueryJoins(database, true);
  duckdb::Connection mended(database), plain(exact);
  Fill(mended);
  Fill(plain);
  for (auto* connection : {&mended, &plain}) {
    ASSERT_FALSE(connection->Query("SET threads = 1")->HasError());
  }
  ASSERT_FALSE(plain.Query("SET disabled_optimizers = 'deliminator'")->HasError());
  const std::vector<std::string> columns = {"k", "g", "v"};
  const std::vector<std::pair<std::string, std::string>> shapes = {
      {"SELECT id FROM o WHERE EXISTS (SELECT 1 FROM r x WHERE ", ")"},
      {"SELECT id FROM o WHERE NOT EXISTS (SELECT 1 FROM r x WHERE ", ")"},
      {"SELECT id, EXISTS (SELECT 1 FROM r x WHERE ", ") FROM o"},
      {"SELECT id, (SELECT count(*) FROM r x WHERE ", ") FROM o"},
      {"SELECT id, (SELECT max(id) FROM r x WHERE ", ") FROM o"},
      {"SELECT id FROM o WHERE id < 4 OR NOT EXISTS (SELECT 1 FROM r x WHERE ", ")"},
      {"SELECT id, id NOT IN (SELECT x.k FROM r x WHERE ", ") FROM o"}};
  size_t compared = 0;
  for (size_t set = 1; set < 8; set++) {
    std::vector<std::string> conditions{""};
    for (size_t column = 0; column < 3; column++) {
      if (!(set >> column & 1)) continue;
      std::vector<std::string> more;
      for (auto& condition : conditions) {
        for (auto& comparison : kComparisons) {
          more.push_back(condition + (condition.empty() ? "" : " AND ") + "x." + columns[column] +
                         " " + comparison + " o." + columns[column]);
        }
      }
      conditions = more;
    }
    for (auto& condition : conditions) {
      // Of three columns every fifth.
      if (set == 7 && std::hash<std::string>()(condition) % 5 != 0) continue;
      for (auto& [begin, end] : shapes) {
        std::string query = begin + condition + end + " ORDER BY ALL";
        ASSERT_EQ(Answer(mended, query), Answer(plain, query)) << query;
        compared++;
      }
    }
  }
  EXPECT_GT(compared, 1000u);
}

}  // namespace
}  // namespace weir
