#include "base/ranked_mutex.h"

#include <gtest/gtest.h>

#include <mutex>
#include <shared_mutex>
#include <thread>

namespace weir {
namespace {

TEST(HeldLocks, OnlyHigherRanksMayBeTaken) {
  EXPECT_TRUE(HeldLocks::MayTake(LockRank::kViews));
  HeldLocks::Took(LockRank::kViews);
  EXPECT_TRUE(HeldLocks::MayTake(LockRank::kKept));
  EXPECT_FALSE(HeldLocks::MayTake(LockRank::kFeed));
  EXPECT_FALSE(HeldLocks::MayTake(LockRank::kViews));
  std::thread([] { EXPECT_TRUE(HeldLocks::MayTake(LockRank::kFeed)); }).join();
  HeldLocks::Took(LockRank::kKept);
  HeldLocks::Released(LockRank::kViews);  // in whatever order
  EXPECT_FALSE(HeldLocks::MayTake(LockRank::kViews));
  EXPECT_TRUE(HeldLocks::MayTake(LockRank::kEngine));
  HeldLocks::Released(LockRank::kKept);
  EXPECT_TRUE(HeldLocks::MayTake(LockRank::kReconcile));
}

TEST(RankedDeathTest, AWrongOrderStopsADebugBuild) {
  Ranked<std::mutex> engine(LockRank::kEngine);
  Ranked<std::shared_mutex> views(LockRank::kViews);
  auto wrong = [&] {
    std::lock_guard first(engine);
    std::shared_lock second(views);
  };
  if constexpr (kLocksAreChecked) {
    EXPECT_DEATH(wrong(), "MayTake");
  } else {
    wrong();
  }
  std::shared_lock first(views);
  std::lock_guard second(engine);
}

}  // namespace
}  // namespace weir
