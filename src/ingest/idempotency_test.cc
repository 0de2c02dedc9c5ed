#include "ingest/idempotency.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

IngestAnswer Accepted(uint64_t rows, uint64_t offset) {
  IngestAnswer answer;
  answer.accepted = rows;
  answer.offset = Offset{offset};
  return answer;
}

TEST(IdempotencyWindow, TheSameKeyAgainGetsTheFirstAnswer) {
  IdempotencyWindow window;
  IngestAnswer got;
  auto keep = [&](IngestAnswer answer) { got = std::move(answer); };
  EXPECT_TRUE(window.Begin("a", 1, keep));
  EXPECT_FALSE(window.Begin("a", 1, keep));  // while the first is on its way
  window.Finish("a", Accepted(3, 9), 100);
  EXPECT_EQ(got.accepted, 3u);
  got = {};
  EXPECT_FALSE(window.Begin("a", 1, keep));
  EXPECT_EQ(got.offset, Offset{9});
}

TEST(IdempotencyWindow, TheSameKeyWithAnotherBodyIsAConflict) {
  IdempotencyWindow window;
  IngestAnswer got;
  window.Begin("a", 1, [](IngestAnswer) {});
  window.Finish("a", Accepted(1, 1), 100);
  EXPECT_FALSE(window.Begin("a", 2, [&](IngestAnswer answer) { got = std::move(answer); }));
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, ErrorCode::kConflict);
}

TEST(IdempotencyWindow, AKeyWhoseBodyCameToNothingIsFreeAgain) {
  IdempotencyWindow window;
  EXPECT_TRUE(window.Begin("a", 1, [](IngestAnswer) {}));
  window.Abandon("a", {});
  EXPECT_TRUE(window.Begin("a", 2, [](IngestAnswer) {}));
}

TEST(IdempotencyWindow, SavedKeysComeBackWithTheirAnswers) {
  IdempotencyWindow window, other;
  window.Begin("a", 1, [](IngestAnswer) {});
  auto answer = Accepted(2, 7);
  answer.rejected.push_back({4, "column", "value", "reason"});
  answer.rejected_total = 1;
  window.Finish("a", answer, 100);
  window.Begin("in flight", 5, [](IngestAnswer) {});
  other.Load(window.Save());
  other.Load(window.Save());  // what the log has, too, is there once
  EXPECT_EQ(other.Save(), window.Save());
  IngestAnswer got;
  EXPECT_FALSE(other.Begin("a", 1, [&](IngestAnswer found) { got = std::move(found); }));
  EXPECT_EQ(got.accepted, 2u);
  EXPECT_EQ(got.offset, Offset{7});
  EXPECT_EQ(got.rejected.at(0).line, 4u);
  EXPECT_TRUE(other.Begin("in flight", 5, [](IngestAnswer) {}));
}

TEST(IdempotencyWindow, DamagedBytesAreAnError) {
  IdempotencyWindow window;
  window.Begin("a", 1, [](IngestAnswer) {});
  window.Finish("a", Accepted(2, 7), 100);
  std::string bytes = window.Save();
  for (size_t size = 1; size < bytes.size(); size++) {
    EXPECT_THROW(IdempotencyWindow().Load(std::string_view(bytes).substr(0, size)), Error);
  }
}

}  // namespace
}  // namespace weir
