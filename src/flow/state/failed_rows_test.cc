#include "flow/state/failed_rows.h"

#include <gtest/gtest.h>

#include <vector>

namespace weir {
namespace {

FailedRow Row(const std::string& text) { return {text, "too large", "filter x > 1"}; }

struct Change {
  std::string row;
  uint64_t first;
  int64_t count;
  bool operator==(const Change&) const = default;
};

std::vector<Change> Take(FailedRows& rows, uint64_t position) {
  std::vector<Change> changes;
  rows.TakeChanges(Offset{position}, [&](const FailedRow& row, Offset first, int64_t count) {
    changes.push_back({row.row, first.value, count});
  });
  rows.CheckInvariants();
  return changes;
}

TEST(FailedRows, KeepTheOffsetTheyFailedFirstAt) {
  FailedRows rows;
  rows.Add(Row("a"), 1);
  EXPECT_EQ(Take(rows, 7), (std::vector<Change>{{"a", 7, 1}}));
  rows.Add(Row("a"), 2);
  EXPECT_EQ(Take(rows, 9), (std::vector<Change>{{"a", 7, 2}}));
  EXPECT_EQ(rows.count(), 3u);
}

TEST(FailedRows, GoWithTheirRow) {
  FailedRows rows;
  rows.Add(Row("a"), 1);
  Take(rows, 1);
  rows.Add(Row("a"), -1);
  rows.Add(Row("b"), 1);
  rows.Add(Row("b"), -1);  // within one step: never seen
  EXPECT_EQ(rows.New(), nullptr);
  EXPECT_EQ(Take(rows, 2), (std::vector<Change>{{"a", 1, -1}}));
  EXPECT_EQ(rows.count(), 0u);
  EXPECT_EQ(rows.Bytes(), 0u);
}

TEST(FailedRows, AreTakenBackAsAWhole) {
  FailedRows rows;
  rows.Add(Row("a"), 2);
  Take(rows, 1);
  rows.Add(Row("a"), 1);
  rows.Add(Row("b"), 1);
  rows.WithdrawAll();
  rows.Add(Row("b"), 1);
  EXPECT_EQ(rows.New()->row, "b");
  EXPECT_EQ(Take(rows, 2), (std::vector<Change>{{"a", 1, -2}, {"b", 2, 1}}));
}

TEST(FailedRows, LongTextsAreCutBetweenCharacters) {
  FailedRows rows;
  std::string text(999, 'x');
  rows.Add(Row(text + "\xc3\xa4" + "more"), 1);
  rows.Add(Row(text + "\xc3\xa4" + "less"), 1);
  EXPECT_EQ(Take(rows, 1), (std::vector<Change>{{text + "...", 1, 2}}));
}

TEST(FailedRows, AreSavedAndLoaded) {
  FailedRows rows;
  rows.Add(Row("a"), 2);
  rows.Add(Row("b"), 1);
  Take(rows, 5);
  StateWriter writer;
  rows.Save(writer);
  FailedRows loaded;
  StateReader reader(writer.bytes());
  loaded.Load(reader);
  EXPECT_TRUE(reader.AtEnd());
  EXPECT_EQ(loaded.count(), 3u);
  EXPECT_EQ(loaded.Bytes(), rows.Bytes());
  loaded.Add(Row("a"), -1);
  EXPECT_EQ(Take(loaded, 9), (std::vector<Change>{{"a", 5, -1}}));
}

TEST(FailedRows, AreOnlyCountedBeyondTenThousand) {
  FailedRows rows;
  for (int i = 0; i < 10'003; i++) rows.Add(Row(std::to_string(i)), 1);
  EXPECT_EQ(Take(rows, 1).size(), 10'001u);
  EXPECT_EQ(rows.count(), 10'003u);
  auto others = [&] {
    int64_t many = 0;
    rows.ForEach([&](const FailedRow& row, Offset, int64_t count) {
      if (row.row == "(and others)") many = count;
    });
    return many;
  };
  EXPECT_EQ(others(), 3);
  size_t bytes = rows.Bytes();
  for (int i = 20'000; i < 30'000; i++) rows.Add(Row(std::to_string(i)), 1);
  Take(rows, 2);
  EXPECT_EQ(rows.Bytes(), bytes);
  // Those that go are taken from where they are counted.
  for (int i = 20'000; i < 30'000; i++) rows.Add(Row(std::to_string(i)), -1);
  rows.Add(Row("10001"), -1);
  rows.Add(Row("0"), -1);
  Take(rows, 3);
  EXPECT_EQ(others(), 2);
  EXPECT_EQ(rows.count(), 10'001u);
  for (int i = 1; i < 10'003; i++) {
    if (i != 10'001) rows.Add(Row(std::to_string(i)), -1);
  }
  Take(rows, 4);
  EXPECT_EQ(rows.count(), 0u);
  EXPECT_EQ(rows.Bytes(), 0u);
}

}  // namespace
}  // namespace weir
