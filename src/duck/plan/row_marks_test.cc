#include "duck/plan/row_marks.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "duck/plan/row_subqueries.h"
#include "duck/test_connection.h"
#include "duckdb.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/select_statement.hpp"

namespace weir {
namespace {

using Column = std::optional<int>;
using Row = std::vector<Column>;
using Truth = std::optional<bool>;

// SQL's logic, and PostgreSQL's row-wise comparison, said by themselves.
Truth And(Truth a, Truth b) {
  if (a == false || b == false) return false;
  return a && b ? Truth(true) : std::nullopt;
}
Truth Not(Truth a) { return a ? Truth(!*a) : std::nullopt; }
Truth Or(Truth a, Truth b) { return Not(And(Not(a), Not(b))); }

Truth Compare(const std::string& op, const Row& a, const Row& b) {
  Truth equal = true, less = false;
  for (size_t i = a.size(); i-- > 0;) {
    Truth same = a[i] && b[i] ? Truth(*a[i] == *b[i]) : std::nullopt;
    Truth below = a[i] && b[i] ? Truth(*a[i] < *b[i]) : std::nullopt;
    equal = And(same, equal);
    less = Or(below, And(same, less));
  }
  if (op == "=") return equal;
  if (op == "<>") return Not(equal);
  if (op == "<") return less;
  if (op == ">=") return Not(less);
  return op == "<=" ? Or(less, equal) : And(Not(less), Not(equal));
}

Truth Any(const std::string& op, const Row& a, const std::vector<Row>& rows) {
  Truth any = false;
  for (auto& row : rows) any = Or(any, Compare(op, a, row));
  return any;
}

std::string Text(Truth truth) { return !truth ? "NULL" : *truth ? "true" : "false"; }

std::string Written(const Row& row) {
  std::string text;
  for (auto& column : row) {
    text += (text.empty() ? "(" : ", ") + (column ? std::to_string(*column) : "NULL");
  }
  return text + ")";
}

// Rows of so many columns of NULL, 1 and 2.
std::vector<Row> AllRows(size_t columns) {
  std::vector<Row> rows{{}};
  for (size_t c = 0; c < columns; c++) {
    std::vector<Row> more;
    for (auto& row : rows) {
      for (Column value : {Column(), Column(1), Column(2)}) {
        more.push_back(row);
        more.back().push_back(value);
      }
    }
    rows = more;
  }
  return rows;
}

class RowMarks : public testing::Test {
 protected:
  RowMarks() : connection_(database_) {
    InstallRowMarks(database_);
    InstallRowSubqueries(database_);
    UseOneThreadUnderTsan(connection_);
  }

  // A table of the rows, numbered; types even of none.
  void Make(const std::string& table, const std::vector<Row>& rows, size_t columns) {
    std::string types, values;
    for (size_t c = 0; c < columns; c++) types += ", " + std::string(1, 'a' + c) + " INTEGER";
    Ask("CREATE OR REPLACE TABLE " + table + " (id INTEGER" + types + ")");
    for (size_t i = 0; i < rows.size(); i++) {
      values += (i ? ", (" : "(") + std::to_string(i) + ", " + Written(rows[i]).substr(1);
    }
    if (!rows.empty()) Ask("INSERT INTO " + table + " VALUES " + values);
  }

  std::string Ask(const std::string& sql) {
    auto& context = *connection_.context;
    duckdb::Parser parser;
    parser.ParseQuery(sql);
    if (parser.statements[0]->type == duckdb::StatementType::SELECT_STATEMENT) {
      context.RunFunctionInTransaction([&] {
        RewriteRowSubqueries(context, parser.statements[0]->Cast<duckdb::SelectStatement>());
      });
    }
    auto result = connection_.Query(std::move(parser.statements[0]));
    if (result->HasError()) return "error: " + result->GetError();
    std::string text;
    for (auto& row : static_cast<duckdb::MaterializedQueryResult&>(*result).Collection().Rows()) {
      for (duckdb::idx_t c = 0; c < result->ColumnCount(); c++) {
        text += row.GetValue(c).ToString() + (c + 1 == result->ColumnCount() ? "\n" : "|");
      }
    }
    return text;
  }

  duckdb::DuckDB database_{nullptr};
  duckdb::Connection connection_;
};

const std::vector<std::string> kColumnLists = {"",        "a",          "a, b",
                                               "a, b, c", "a, b, c, d", "a, b, c, d, e"};

// All left rows against all sets of up to two right rows of two columns, and some of three to five.
TEST_F(RowMarks, RowsOfSubqueriesAreComparedColumnByColumn) {
  for (size_t columns : {2, 3, 5}) {
    auto left = AllRows(columns), rows = AllRows(columns);
    Make("l", left, columns);
    std::vector<std::vector<Row>> sets{{}};
    size_t stride = columns == 2 ? 1 : columns == 3 ? 5 : 61;
    for (size_t i = 0; i < rows.size(); i += stride) {
      for (size_t k = i; k < rows.size(); k += stride) sets.push_back({rows[i], rows[k]});
    }
    std::string row = "(" + kColumnLists[columns] + ")",
                some = " (SELECT " + kColumnLists[columns] + " FROM r";
    for (auto& set : sets) {
      Make("r", set, columns);
      std::string values, in, not_in, either;
      for (size_t i = 0; i < left.size(); i++) {
        auto found = Any("=", left[i], set);
        auto id = std::to_string(i);
        values += id + "|" + Text(found) + "|" + Text(Not(found)) + "\n";
        if (found == true) in += id + "\n";
        if (found == false) not_in += id + "\n";
        if (Or(found, i < 2) == true) either += id + "\n";
      }
      std::string about;
      for (auto& one : set) about += Written(one) + " ";
      // The second subquery knows the outer row, and says the same.
      for (auto& end : {std::string(")"), std::string(" WHERE l.id >= r.id - 10)")}) {
        EXPECT_EQ(Ask("SELECT id, " + row + " IN" + some + end + ", " + row + " NOT IN" + some +
                      end + " FROM l ORDER BY id"),
                  values)
            << about << end;
        EXPECT_EQ(Ask("SELECT id FROM l WHERE " + row + " IN" + some + end + " ORDER BY id"), in)
            << about << end;
        EXPECT_EQ(Ask("SELECT id FROM l WHERE " + row + " NOT IN" + some + end + " ORDER BY id"),
                  not_in)
            << about << end;
        EXPECT_EQ(
            Ask("SELECT id FROM l WHERE " + row + " IN" + some + end + " OR id < 2 ORDER BY id"),
            either)
            << about << end;
      }
    }
  }
}

TEST_F(RowMarks, CorrelatedSubqueriesAreComparedByTheRowsTheyHave) {
  auto left = AllRows(2);
  std::vector<Row> right;
  for (auto& row : left) {
    if ((right.size() + (row[0] ? *row[0] : 0)) % 4 != 1) right.push_back(row);
    right.push_back(row);
  }
  Make("l", left, 2);
  Make("r", right, 2);
  for (std::string op : {"=", "<>", "<", "<=", ">", ">="}) {
    std::string expected;
    for (size_t i = 0; i < left.size(); i++) {
      std::vector<Row> some;
      for (size_t k = 0; k < right.size(); k++) {
        if (k % 9 == i) some.push_back(right[k]);
      }
      auto all = Truth(true);
      for (auto& row : some) all = And(all, Compare(op, left[i], row));
      expected += std::to_string(i) + "|" + Text(Any(op, left[i], some)) + "|" + Text(all) + "\n";
    }
    std::string rows = "(SELECT a, b FROM r WHERE r.id % 9 = l.id) ";
    EXPECT_EQ(Ask("SELECT id, (a, b) " + op + " ANY " + rows + ", (a, b) " + op + " ALL " + rows +
                  "FROM l ORDER BY id"),
              expected)
        << op;
  }
}

TEST_F(RowMarks, EveryComparisonWithAnyAndAllIsRowWise) {
  auto left = AllRows(2);
  Make("l", left, 2);
  for (auto& row : left) {
    std::vector<Row> set{row, left[4]};
    Make("r", set, 2);
    for (std::string op : {"=", "<>", "<", "<=", ">", ">="}) {
      std::string expected;
      for (size_t i = 0; i < left.size(); i++) {
        auto all = And(Compare(op, left[i], set[0]), Compare(op, left[i], set[1]));
        expected += std::to_string(i) + "|" + Text(Any(op, left[i], set)) + "|" + Text(all) + "\n";
      }
      EXPECT_EQ(Ask("SELECT id, (a, b) " + op + " ANY (SELECT a, b FROM r), (a, b) " + op +
                    " ALL (SELECT a, b FROM r) FROM l ORDER BY id"),
                expected)
          << op << Written(row);
    }
  }
}

TEST_F(RowMarks, ListedRowsAreComparedColumnByColumn) {
  auto left = AllRows(2);
  Make("l", left, 2);
  for (auto& first : left) {
    for (auto& second : left) {
      std::string expected, list = " (" + Written(first) + ", " + Written(second) + ")";
      for (size_t i = 0; i < left.size(); i++) {
        auto found = Any("=", left[i], {first, second});
        expected += std::to_string(i) + "|" + Text(found) + "|" + Text(Not(found)) + "\n";
      }
      EXPECT_EQ(
          Ask("SELECT id, (a, b) IN" + list + ", (a, b) NOT IN" + list + " FROM l ORDER BY id"),
          expected)
          << list;
    }
  }
}

// Of groups, of windows, within others, and of types that have to be brought together.
TEST_F(RowMarks, RowsMayStandAnywhere) {
  Make("l", AllRows(2), 2);
  Make("r", {{1, std::nullopt}, {2, 2}}, 2);
  EXPECT_EQ(Ask("SELECT a, (max(b), count(*)) NOT IN (SELECT a, b FROM r) FROM l GROUP BY a "
                "HAVING (a, min(b)) NOT IN (SELECT a, b FROM r) ORDER BY a"),
            "2|true\n");
  EXPECT_EQ(Ask("SELECT a, (min(b), count(*)) NOT IN (SELECT a, b FROM r) FROM l GROUP BY a "
                "ORDER BY a"),
            "1|NULL\n2|NULL\nNULL|NULL\n");
  EXPECT_EQ(Ask("SELECT id FROM l WHERE EXISTS (SELECT 1 FROM r WHERE (l.a, r.b) NOT IN "
                "(SELECT a, b FROM r) AND r.id <= l.id) ORDER BY id"),
            "");
  EXPECT_EQ(Ask("SELECT id FROM l WHERE EXISTS (SELECT 1 FROM r WHERE (r.b, l.a) NOT IN "
                "(SELECT a + 5, b FROM r) AND r.id <= l.id) ORDER BY id"),
            "1\n2\n3\n4\n5\n6\n7\n8\n");
  EXPECT_EQ(Ask("SELECT (1::TINYINT, 2.0::DOUBLE) IN (SELECT a::BIGINT, b::DECIMAL(10, 1) FROM l), "
                "(1, 'x') NOT IN ((2, NULL), (NULL, 'y'))"),
            "true|true\n");
  EXPECT_EQ(Ask("SELECT (7, 7) IN (SELECT a, b FROM r WHERE a > 5), (NULL, 7) NOT IN (SELECT a, b "
                "FROM r WHERE a > 5)"),
            "false|true\n");
}

}  // namespace
}  // namespace weir
