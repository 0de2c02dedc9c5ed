#include "session/plain_read.h"

#include <gtest/gtest.h>

#include <memory>

namespace weir {
namespace {

CatalogState WithViews() {
  CatalogState state;
  auto kept = std::make_shared<View>();
  kept->name = "Totals";
  kept->materialized = true;
  state.views["totals"] = kept;
  auto named = std::make_shared<View>();
  named->name = "named";
  named->materialized = false;
  state.views["named"] = named;
  return state;
}

std::optional<PlainRead> Read(const std::string& sql) { return AsPlainRead(sql, WithViews()); }

TEST(PlainRead, OfAWholeView) {
  for (auto* sql : {"SELECT * FROM totals", "from totals", " select  *\nfrom TOTALS ; "}) {
    auto read = Read(sql);
    ASSERT_TRUE(read) << sql;
    EXPECT_EQ(read->view, "Totals");
    EXPECT_TRUE(read->options.equals.empty());
    EXPECT_FALSE(read->options.limit);
    EXPECT_EQ(read->options.rows_max, kViewRowsMax);
  }
}

TEST(PlainRead, OfRowsWithAValue) {
  auto text = Read("SELECT * FROM totals WHERE name = 'a b' LIMIT 10");
  ASSERT_TRUE(text);
  ASSERT_EQ(text->options.equals.size(), 1u);
  EXPECT_EQ(text->options.equals[0], std::make_pair(std::string("name"), std::string("a b")));
  EXPECT_TRUE(text->is_text);
  EXPECT_EQ(text->options.limit, 10u);
  auto number = Read("SELECT * FROM totals WHERE hour=-12");
  ASSERT_TRUE(number);
  EXPECT_EQ(number->options.equals[0].second, "-12");
  EXPECT_FALSE(number->is_text);
}

TEST(PlainRead, NothingElseIsOne) {
  for (auto* sql :
       {"SELECT name FROM totals", "SELECT * FROM totals, totals", "SELECT * FROM named",
        "SELECT * FROM missing", "SELECT * FROM totals WHERE a = 'it''s'",
        "SELECT * FROM totals WHERE a = 1.5", "SELECT * FROM totals WHERE a = 1 AND b = 2",
        "SELECT * FROM totals WHERE a = 99999999999999999999", "SELECT * FROM totals LIMIT 1, 2",
        "SELECT * FROM totals ORDER BY 1", "SELECT * FROM totals -- all",
        "SELECT * FROM \"totals\"", "SELECT DISTINCT * FROM totals", ""}) {
    EXPECT_FALSE(Read(sql)) << sql;
  }
  EXPECT_FALSE(Read("SELECT * FROM totals WHERE a = '" + std::string(600, 'x') + "'"));
}

}  // namespace
}  // namespace weir
