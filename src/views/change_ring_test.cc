#include "views/change_ring.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

class ChangeRingTest : public testing::Test {
 protected:
  void Add(uint64_t offset, bool by_events) {
    auto change = std::make_shared<ViewChange>();
    change->sequence = ring.Last() + 1;
    change->offset = {offset};
    ring.Add(std::move(change), ++step, by_events);
    ring.CheckInvariants();
  }
  ChangeRing ring;
  uint64_t step = 0;
};

TEST_F(ChangeRingTest, WhoSawAnOffsetGetsWhatCameAfterIt) {
  ring.StartAt(100, {10}, true);
  Add(11, true);
  Add(13, true);
  EXPECT_EQ(ring.SequenceAtOffset({10}), 100u);
  EXPECT_EQ(ring.SequenceAtOffset({11}), 101u);
  EXPECT_EQ(ring.SequenceAtOffset({12}), 101u);
  EXPECT_EQ(ring.SequenceAtOffset({13}), 102u);
  EXPECT_EQ(ring.Since(101)->size(), 1u);
}

TEST_F(ChangeRingTest, WhoLeftBeforeTheBeginningIsNotKnown) {
  ring.StartAt(100, {10}, true);
  EXPECT_FALSE(ring.SequenceAtOffset({9}));
}

// The offset stands still while time passes: it does not say which of two contents was seen.
TEST_F(ChangeRingTest, AnOffsetAtWhichTimeChangedTheViewDoesNotSayWhatWasSeen) {
  ring.StartAt(100, {10}, true);
  Add(11, true);
  Add(11, false);
  EXPECT_FALSE(ring.SequenceAtOffset({11}));
  Add(12, true);
  EXPECT_FALSE(ring.SequenceAtOffset({11}));
  EXPECT_EQ(ring.SequenceAtOffset({12}), 103u);
}

TEST_F(ChangeRingTest, AfterARestartAViewOfTheClockMayHaveChangedAtTheSameOffset) {
  ring.StartAt(100, {10}, false);
  EXPECT_FALSE(ring.SequenceAtOffset({10}));
  Add(11, true);
  EXPECT_EQ(ring.SequenceAtOffset({11}), 101u);
}

// Bytes of a change of one row of a few columns are some hundred times the bytes of the row.
TEST_F(ChangeRingTest, TakesNoMoreThanTheContentDoes) {
  auto add_rows = [&](size_t rows) {
    auto change = std::make_shared<ViewChange>();
    change->sequence = ring.Last() + 1;
    for (; rows > 0; rows--) {
      auto chunk = std::make_unique<duckdb::DataChunk>();
      chunk->Initialize(duckdb::Allocator::DefaultAllocator(),
                        {duckdb::LogicalType::BIGINT, duckdb::LogicalType::VARCHAR}, 1);
      chunk->SetCardinality(1);
      change->added.chunks.push_back(std::move(chunk));
      change->added.rows++;
    }
    ring.Add(std::move(change), ++step, true);
    ring.CheckInvariants();
  };
  for (int i = 0; i < 5'000; i++) add_rows(1);
  EXPECT_LE(ring.Bytes(), ChangeRing::kBytesMin);
  ring.SetRoom(1 << 20);
  for (int i = 0; i < 5'000; i++) add_rows(1);
  EXPECT_GT(ring.Bytes(), size_t{512} << 10);
  EXPECT_LE(ring.Bytes(), size_t{1} << 20);
  ring.SetRoom(100);  // most rows went
  EXPECT_LE(ring.Bytes(), ChangeRing::kBytesMin);
  EXPECT_TRUE(ring.Since(ring.Last()));
  add_rows(2'000);  // the last one is kept however large
  EXPECT_EQ(ring.Since(ring.Last() - 1)->size(), 1u);
}

}  // namespace
}  // namespace weir
