#include "ingest/dedup.h"

#include <gtest/gtest.h>

#include <map>

#include "catalog/catalog.h"
#include "duckdb/common/types/value.hpp"
#include "io/random.h"

namespace weir {
namespace {

constexpr Micros kSecond = 1'000'000;
constexpr Micros kStart = 1'700'000'000 * kSecond;

constexpr int64_t kChunk = 2048;

std::vector<std::optional<DedupWindow::Hash>> Keys(int64_t first, int64_t count) {
  duckdb::Vector column(duckdb::LogicalType::BIGINT);
  for (int64_t i = 0; i < count; i++) {
    column.SetValue(static_cast<duckdb::idx_t>(i), duckdb::Value::BIGINT(first + i));
  }
  return DedupWindow::HashesOf(column, static_cast<duckdb::idx_t>(count));
}

size_t CountNew(DedupWindow& window, int64_t first, int64_t count, Micros now) {
  size_t fresh = 0;
  for (int64_t done = 0; done < count; done += kChunk) {
    auto claimed = window.Claim(Keys(first + done, std::min(kChunk, count - done)), now);
    for (bool is_new : claimed.fresh) fresh += is_new;
  }
  return fresh;
}

TEST(DedupWindow, TheSameKeyTwiceWithinTheWindowIsNewOnce) {
  DedupWindow window(60 * kSecond);
  EXPECT_EQ(CountNew(window, 0, 5000, kStart), 5000u);
  EXPECT_EQ(CountNew(window, 0, 5000, kStart + 59 * kSecond), 0u);
  EXPECT_EQ(CountNew(window, 4000, 2000, kStart + 59 * kSecond), 1000u);
}

// Equal values are one key and different ones are two, whatever their type.
TEST(DedupWindow, KeysOfEachTypeAreToldApart) {
  for (const char* type : {"INTEGER", "HUGEINT", "UUID", "VARCHAR", "BLOB", "DOUBLE", "INTERVAL",
                           "INTEGER[]", "STRUCT(a VARCHAR)"}) {
    SCOPED_TRACE(type);
    std::string name = type;
    std::vector<std::string> texts = {"1", "2", "1"};
    if (name == "UUID") {
      texts = {"00000000-0000-0000-0000-000000000001", "00000000-0000-0001-0000-000000000001",
               "00000000-0000-0000-0000-000000000001"};
    } else if (name == "HUGEINT") {
      texts = {"1", "18446744073709551617", "1"};  // the same lower half
    } else if (name == "INTERVAL") {
      texts = {"1 month", "30 days", "1 month"};
    } else if (name == "INTEGER[]") {
      texts = {"[1, 2]", "[1, 3]", "[1, 2]"};
    } else if (name == "STRUCT(a VARCHAR)") {
      texts = {"{'a': x}", "{'a': y}", "{'a': x}"};
    }
    auto parsed = ParseColumnType(type);
    duckdb::Vector column(parsed);
    for (size_t i = 0; i < 3; i++) {
      column.SetValue(i, duckdb::Value(texts[i]).DefaultCastAs(parsed));
    }
    column.SetValue(3, duckdb::Value(parsed));
    DedupWindow window(60 * kSecond);
    auto hashes = DedupWindow::HashesOf(column, 4);
    EXPECT_FALSE(hashes[3]);
    EXPECT_EQ(window.Claim(hashes, kStart).fresh, (std::vector<bool>{true, true, false, true}));
  }
}

TEST(DedupWindow, AKeyTwiceInOneBatchIsNewOnce) {
  DedupWindow window(60 * kSecond);
  auto keys = Keys(1, 1);
  keys.push_back(keys[0]);
  EXPECT_EQ(window.Claim(keys, kStart).fresh, (std::vector<bool>{true, false}));
}

TEST(DedupWindow, AKeyIsNewAgainAfterTheWindow) {
  DedupWindow window(60 * kSecond);
  EXPECT_EQ(CountNew(window, 0, 100, kStart), 100u);
  EXPECT_EQ(CountNew(window, 50, 100, kStart + 30 * kSecond), 50u);
  EXPECT_EQ(CountNew(window, 0, 150, kStart + 63 * kSecond), 100u);
}

TEST(DedupWindow, KeysOfManyWindowsAgoAreNewAgain) {
  // Parts of one second each; their numbers come round after 255.
  for (int pause : {66, 100, 254, 255, 256, 257, 300, 510, 1000}) {
    DedupWindow window(64 * kSecond);
    EXPECT_EQ(CountNew(window, 7, 1, kStart), 1u);
    for (int second = 1; second < pause; second++) {
      CountNew(window, 1'000 + second, 1, kStart + second * kSecond);
      if (second == 30) {
        EXPECT_EQ(CountNew(window, 7, 1, kStart + second * kSecond), 0u);
      }
    }
    EXPECT_EQ(CountNew(window, 7, 1, kStart + pause * kSecond), 1u) << pause;
  }
}

TEST(DedupWindow, NullsAreNeverDuplicates) {
  DedupWindow window(60 * kSecond);
  EXPECT_EQ(window.Claim({std::nullopt, std::nullopt}, kStart).fresh,
            (std::vector<bool>{true, true}));
}

TEST(DedupWindow, WhatIsTakenBackIsNewAgain) {
  DedupWindow window(60 * kSecond);
  auto keys = Keys(0, kChunk);
  auto fresh = window.Claim(keys, kStart);
  window.TakeBack(keys, fresh);
  EXPECT_EQ(CountNew(window, 0, kChunk, kStart), static_cast<size_t>(kChunk));
  EXPECT_EQ(CountNew(window, 0, kChunk, kStart), 0u);
}

// Of two that came with one key a window apart, the first fails after the second came.
TEST(DedupWindow, WhatIsTakenBackLateIsWhoeverHasItThen) {
  for (int later : {40, 63, 64, 65, 66, 100, 254, 255, 256, 510}) {  // parts of one second each
    DedupWindow window(64 * kSecond);
    auto keys = Keys(0, kChunk);
    auto first = window.Claim(keys, kStart);
    for (int second = 1; second < later; second++) {
      CountNew(window, 1'000'000 + second, 1, kStart + second * kSecond);
    }
    Micros now = kStart + later * kSecond;
    bool is_over = CountNew(window, 0, kChunk, now) > 0;
    EXPECT_EQ(is_over, later > 64) << later;
    window.TakeBack(keys, first);
    EXPECT_EQ(CountNew(window, 0, kChunk, now), is_over ? 0u : kChunk) << later;
  }
}

TEST(DedupWindow, MemoryIsBoundedAndTheNewestKeysAreKept) {
  DedupWindow window(64 * kSecond, 1 << 14);
  for (int second = 0; second < 60; second++) {
    CountNew(window, second * 1000, 1000, kStart + second * kSecond);
    EXPECT_LE(window.Bytes(), (size_t{1} << 14) * 16);
  }
  EXPECT_GT(window.Shortened(), 0u);
  EXPECT_EQ(CountNew(window, 59'000, 1000, kStart + 60 * kSecond), 0u);
}

TEST(DedupWindow, MoreInOneMomentThanTheTableHoldsStillGoesThrough) {
  DedupWindow window(60 * kSecond, 4096);
  for (int batch = 0; batch < 5; batch++) {
    EXPECT_EQ(CountNew(window, batch * 10'000, 2048, kStart), 2048u);
  }
}

TEST(DedupWindow, ABurstThatFillsTheTableForgetsItsOldestKeysOnly) {
  DedupWindow window(600 * kSecond, 1 << 14);
  for (int64_t batch = 0; batch < 100; batch++) {
    ASSERT_EQ(CountNew(window, batch * 1000, 1000, kStart + batch), 1000u);
    int64_t before = std::max<int64_t>(0, batch - 4);
    ASSERT_EQ(CountNew(window, before * 1000, (batch - before + 1) * 1000, kStart + batch), 0u);
    EXPECT_LE(window.Bytes(), (size_t{1} << 14) * 16);
  }
  EXPECT_GT(window.Shortened(), 0u);
}

TEST(DedupWindow, ManyBurstsOverManyWindowsKeepTheirKeysForAWindow) {
  DedupWindow window(64 * kSecond, 1 << 14);
  for (int64_t second = 0; second < 2000; second++) {
    Micros now = kStart + second * kSecond;
    int64_t keys = second % 40 < 3 ? 1500 : 3;  // at most 4,500 and some within a window
    ASSERT_EQ(CountNew(window, second * 2000, keys, now), static_cast<size_t>(keys)) << second;
    int64_t before = std::max<int64_t>(0, second - 63);
    ASSERT_EQ(CountNew(window, before * 2000, 3, now), 0u) << second;
    if (second >= 66) {
      ASSERT_EQ(CountNew(window, (second - 66) * 2000 + 2, 1, now), 1u) << second;
    }
  }
  EXPECT_EQ(window.Shortened(), 0u);
}

// A small table that is swept again and again, against a map.
TEST(DedupWindow, ASweptTableKnowsItsKeysAndNoOthers) {
  constexpr Micros kWindow = 64 * kSecond;
  constexpr int64_t kAtOnce = 40;  // twenty times that in a window: the table never grows
  SeededRandom random(7);
  DedupWindow window(kWindow, 4096);
  std::map<int64_t, Micros> seen;
  Micros now = kStart;
  int64_t next = 0;
  for (int step = 0; step < 20'000; step++, now += 3 * kSecond) {
    for (int64_t i = 0; i < kAtOnce; i++) {
      // A new one, or one of some time ago; near the window's end either answer is right.
      int64_t key = random.OneIn(3) ? next - static_cast<int64_t>(random.Below(1500)) : next++;
      auto before = seen.find(key);
      Micros age = before == seen.end() ? INT64_MAX : now - before->second;
      bool is_new = window.Claim(Keys(key, 1), now).fresh[0];
      if (age <= kWindow) {
        ASSERT_FALSE(is_new) << "step " << step << ", key " << key << " of " << age / kSecond;
      } else if (age > kWindow + 2 * kSecond) {
        ASSERT_TRUE(is_new) << "step " << step << ", key " << key;
      }
      if (is_new) seen[key] = now;
    }
  }
  EXPECT_EQ(window.Shortened(), 0u);
  EXPECT_EQ(window.Bytes(), 4096u * 16);
}

TEST(DedupWindow, MemoryIsGivenBackWhenNothingComes) {
  DedupWindow window(60 * kSecond);
  CountNew(window, 0, 100'000, kStart);
  EXPECT_GT(window.Bytes(), 1'000'000u);
  window.Forget(kStart + 30 * kSecond);
  EXPECT_EQ(CountNew(window, 0, 10, kStart + 30 * kSecond), 0u);
  for (int second = 31; second < 120; second++) {
    CountNew(window, 1'000'000 + second, 1, kStart + second * kSecond);
    window.Forget(kStart + second * kSecond);
  }
  EXPECT_LT(window.Bytes(), 1'000'000u);
  window.Forget(kStart + 400 * kSecond);
  EXPECT_EQ(window.Bytes(), 0u);
}

}  // namespace
}  // namespace weir
