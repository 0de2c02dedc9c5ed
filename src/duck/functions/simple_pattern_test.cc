#include "duck/functions/simple_pattern.h"

#include <gtest/gtest.h>

#include <random>

#include "duck/session.h"
#include "duckdb.hpp"

namespace weir {
namespace {

const std::vector<std::string> kSimple = {"(&|^)channel_id=([^&]*)",
                                          "id=([0-9]+)",
                                          "^[a-z]*",
                                          "^([a-z]*)",
                                          "a",
                                          "(a)",
                                          "(a|ab)b([^a]*)",
                                          "(^|a)a",
                                          "(a|^|b)b[ab]*",
                                          "(ab|a)(b)([a-c]*)",
                                          "=([^=&]*)",
                                          "^a([^b]+)",
                                          "\\.([a-z]+)",
                                          "a\\d*",
                                          "(b)()a(&[a-]*)",
                                          "([-a]*)",
                                          "a[^&]+",
                                          "(a|b|^)([^ab]*)"};

// Texts of few characters, in which patterns are found often and nearly found more often.
std::vector<std::string> Texts() {
  std::mt19937 random(11);
  const std::vector<std::string> pieces = {"a", "b", "&",  "=", "id=",         "1", "-",
                                           ".", "c", "\n", "é", "channel_id=", "ab"};
  std::vector<std::string> texts = {""};
  for (int i = 0; i < 3000; i++) {
    std::string text;
    for (size_t left = random() % 9; left; left--) text += pieces[random() % pieces.size()];
    texts.push_back(text);
  }
  return texts;
}

TEST(SimplePattern, FindsWhatDuckDbFinds) {
  Kernel kernel;
  duckdb::Connection connection(kernel.database());
  connection.Query("CREATE TABLE texts (i INTEGER, text VARCHAR)");
  auto texts = Texts();
  {
    duckdb::Appender appender(connection, "texts");
    for (size_t i = 0; i < texts.size(); i++) {
      appender.AppendRow(static_cast<int32_t>(i), texts[i].c_str());
    }
  }
  size_t simple = 0, found = 0;
  for (auto& pattern : kSimple) {
    auto parsed = SimplePattern::Parse(pattern);
    if (!parsed) continue;
    simple++;
    for (size_t group = 0; group < parsed->groups(); group++) {
      auto result = connection.Query("SELECT regexp_extract(text, '" + pattern + "', " +
                                     std::to_string(group) + ") FROM texts ORDER BY i");
      ASSERT_FALSE(result->HasError()) << result->GetError();
      for (size_t i = 0; i < texts.size(); i++) {
        auto expected = result->GetValue(0, i).ToString();
        EXPECT_EQ(parsed->Extract(texts[i], group), expected)
            << "group " << group << " of " << pattern << " in '" << texts[i] << "'";
        found += !expected.empty();
      }
    }
  }
  EXPECT_EQ(simple, 17u);
  EXPECT_GT(found, 10'000u);
}

TEST(SimplePattern, LeavesTheOthersToRe2) {
  for (const char* pattern :
       {"",          "a*",           "a|b",      "(a|b)|c", "a+b",  "[a-z]*x",     "a[b]*?",
        "(?i)a",     "a$",           "a.b",      "\\w+",    "é",    "(a",          "a)",
        "a{2}",      "[[:alpha:]]+", "[]a]*",    "a[b-a]*", "(a)+", "(a|b)[0-9]+", "((a)b)",
        "a[a-c-e]*", "[a][b]*",      "(a|[b])c", "(a|b)?c", "^*a"}) {
    EXPECT_FALSE(SimplePattern::Parse(pattern)) << pattern;
  }
}

}  // namespace
}  // namespace weir
