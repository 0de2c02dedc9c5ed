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

}  // namespace
}  // namespace weir
