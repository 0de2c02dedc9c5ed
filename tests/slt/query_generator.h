// Random queries over the streams of random/streams.sql: joins, subqueries, groups, windows, sets,
// the clock, nested in each other.  Every query has one right answer: orders are total, what
// depends on the order of rows has one.  After SQLsmith and SQLancer.
//
// A query may have expressions that fail on some rows.  Then what the view must be is the answer of
// another query, in which such rows are left out.
#pragma once

#include <string>
#include <vector>

#include "io/random.h"

namespace weir {

class QueryGenerator {
 public:
  explicit QueryGenerator(Random& random) : random_(random) {}
  struct Generated {
    std::string query;
    std::string expected;  // the same query, unless rows may fail
  };
  Generated Query();

 private:
  // kLengths: lists of intervals; kHuge: floats whose sums leave their type and lose all digits.
  enum class Type {
    kInteger,
    kText,
    kBoolean,
    kTime,
    kDecimal,
    kDouble,
    kList,
    kInterval,
    kLengths,
    kHuge
  };
  static constexpr uint64_t kTypes = 10;
  struct Column {
    std::string name;
    Type type;
  };
  struct Relation {
    std::string sql;  // a SELECT
    std::vector<Column> columns;
  };

  Relation Any(int depth);
  Relation Base();
  Relation Select(int depth);
  Relation Join(int depth);
  Relation Chain(int depth);
  Relation Star(int depth);
  Relation Group(int depth);
  Relation Set(int depth);
  Relation Window(int depth);
  Relation Top(int depth);
  Relation Numbered(int depth);
  Relation Recursion(int depth);
  Relation Lateral(int depth);
  Relation Pivot(int depth);
  // What stands at the top of a query only: nothing above it can do without the column that fails.
  Relation Failing(int depth);

  // Text that differs between the query and what it must be: see Generated.
  static std::string Either(const std::string& query, const std::string& expected);

  std::string Predicate(const std::vector<Column>& columns, int depth);
  std::string Comparison(const std::vector<Column>& columns);
  std::string Subquery(const std::vector<Column>& columns, int depth);
  // One that is looked up by: mostly of a type with few values.
  Type KeyType();
  std::string Integer(const std::vector<Column>& columns);
  Column Output(const std::vector<Column>& columns, std::string& list, Type type);

  const Column* Find(const std::vector<Column>& columns, Type type);
  std::string NewName() { return "c" + std::to_string(next_name_++); }
  std::string NewAlias() { return "t" + std::to_string(next_alias_++); }
  template <class... Choices>
  std::string Pick(Choices... choices) {
    const char* all[] = {choices...};
    return all[random_.Below(sizeof...(choices))];
  }

  Random& random_;
  int next_name_ = 0, next_alias_ = 0;
};

}  // namespace weir
