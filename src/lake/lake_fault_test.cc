// The lake on a disk that fails at each of its calls: in one life and over a crash, and in lives
// that go on after the failure, as the program does, and meet the next one while they try again.
//
// Which calls are tried is a spread; WEIR_LAKE_TRIES=100000 tries every one.
#include <cstdlib>

#include "lake/test_lake.h"

namespace weir {
namespace {

uint64_t Tries(uint64_t otherwise) {
  const char* text = std::getenv("WEIR_LAKE_TRIES");
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// One life under load: appends, landings, an hour that ends.  Returns the last offset acknowledged.
Offset Live(World& world) {
  Offset acknowledged{0};
  try {
    world.Open(2000);
    acknowledged = world.log->End();
    for (int round = 0; round < 3; round++) {
      for (int i = 0; i < 3; i++) acknowledged = world.AppendEvents(700);
      world.lake->LandNow();
    }
    for (int hour = 0; hour < 3; hour++) {  // the last one is of the next day
      world.clock.Advance(kHour);
      acknowledged = world.AppendEvents(10);
      world.lake->LandNow();
    }
  } catch (const Error&) {
  } catch (const std::exception&) {
    // DuckDB wraps what the disk throws.
  }
  return acknowledged;
}

void CrashAtEveryCall(SimulatedDisk::Fault fault) {
  bool power_cut = fault == SimulatedDisk::Fault::kPowerCut;
  SeededRandom random(42);
  uint64_t calls = 0;
  {
    World world(std::make_unique<SimulatedDisk>());
    Live(world);
    world.ExpectAllEvents();
    calls = world.disk->Calls();
  }
  ASSERT_GT(calls, 50u);
  uint64_t stride = std::max<uint64_t>(1, calls / Tries(40));
  for (uint64_t call = 1; call <= calls; call += stride) {
    SCOPED_TRACE("fault at call " + std::to_string(call));
    World world(std::make_unique<SimulatedDisk>());
    world.disk->FailCall(call, fault);
    Offset acknowledged = Live(world);
    world.lake.reset();
    world.log.reset();
    World after(power_cut ? world.disk->CrashState(random) : world.disk->KillState());
    after.clock.Advance(4 * kHour);
    after.Open(2000);
    EXPECT_GE(after.log->End(), acknowledged);
    after.ExpectAllEvents();
    after.AppendEvents(5);
    after.lake->LandNow();
    after.ExpectAllEvents();
    // Nothing half-made is left: what is on the disk is what the lake knows.
    uint64_t files = after.lake->Info().empty() ? 0 : after.lake->Info()[0].files;
    EXPECT_EQ(after.ParquetFiles().size(), files);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(Lake, APowerCutAtAnyStepLosesAndDoublesNothing) {
  CrashAtEveryCall(SimulatedDisk::Fault::kPowerCut);
}

TEST(Lake, AFailedCallAtAnyStepLosesAndDoublesNothing) {
  CrashAtEveryCall(SimulatedDisk::Fault::kIoError);
}

TEST(Lake, ACallAtAnyStepThatFailsThoughItIsDoneLosesAndDoublesNothing) {
  CrashAtEveryCall(SimulatedDisk::Fault::kLostWord);
}

// A disk with something to do in one round: rows to land in two hours or more and of two streams,
// an hour of small files to merge, a log to trim; with three hours, a day to merge that is over.
std::shared_ptr<Stream> Others() { return MakeStream(2, "others", {{"x", LogicalType::BIGINT}}); }

struct Work {
  std::unique_ptr<SimulatedDisk> disk;
  Micros now;
  Offset end;
};

Work DiskWithWork(int hours = 2) {
  World world(std::make_unique<SimulatedDisk>());  // 22:13
  world.Declare(Others());
  world.Open(2000);
  for (int i = 0; i < 3; i++) {
    world.AppendEvents(600);
    world.lake->LandNow();
  }
  world.AppendEvents(300);
  for (int hour = 1; hour < hours; hour++) {
    world.clock.Advance(kHour);
    world.AppendEvents(300);
  }
  Offset end = world.log->End();
  world.lake.reset();
  world.log.reset();
  return {world.disk->KillState(), world.clock.Now(), end};
}

// The calls of one round when nothing fails.
uint64_t CallsOfARound(const Work& work) {
  World world(work.disk->KillState(), work.now);
  world.Open(2000);
  uint64_t before = world.disk->Calls();
  world.lake->LandNow();
  // Of five: merged, and the last hour's.  Of six: an hour as full as a file may be, what is left
  // of the day, and the next day's.
  EXPECT_EQ(world.lake->Info().at(0).files, 3u);
  return world.disk->Calls() - before;
}

// False when it failed.
bool Round(World& world) {
  try {
    world.lake->LandNow();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void ExpectWholeAndClean(std::unique_ptr<SimulatedDisk> disk, const Work& work) {
  World after(std::move(disk), work.now);
  after.Open(2000);
  EXPECT_TRUE(after.lake->Health().damaged.empty());
  after.ExpectAllEvents();
  ASSERT_EQ(after.log->End(), work.end);
  after.lake->LandNow();
  after.ExpectAllEvents();
  EXPECT_EQ(after.lake->Landed(), work.end);
  EXPECT_EQ(after.ParquetFiles().size(), after.lake->Info().at(0).files);
}

// A call fails, the round is tried again in the same life, and the power goes at a call of the
// retry.
void FailThenCut(const Work& work, SimulatedDisk::Fault fault, uint64_t tries) {
  uint64_t calls = CallsOfARound(work);
  ASSERT_GT(calls, 20u);
  SeededRandom random(7);
  for (uint64_t first = 1; first <= calls; first++) {
    uint64_t stride = std::max<uint64_t>(1, calls / tries);
    for (uint64_t cut = 1 + random.Below(stride); cut <= 2 * calls; cut += stride) {
      SCOPED_TRACE("fault at call " + std::to_string(first) + ", power cut at call " +
                   std::to_string(cut) + " of the retry");
      World world(work.disk->KillState(), work.now);
      world.Open(2000);
      world.disk->FailCall(first, fault);
      bool failed = !Round(world);
      // The rows are there in the meantime, too.
      world.ExpectAllEvents();
      world.disk->FailCall(cut, SimulatedDisk::Fault::kPowerCut);
      bool retried = Round(world);
      world.lake.reset();
      world.log.reset();
      ExpectWholeAndClean(world.disk->CrashState(random), work);
      if (testing::Test::HasFatalFailure()) return;
      if (failed && retried) break;  // the retry has no more calls to cut
    }
  }
}

TEST(LakeFaults, AFailedCallThenAPowerCutInTheRetryLosesNothing) {
  FailThenCut(DiskWithWork(), SimulatedDisk::Fault::kIoError, Tries(2));
}

TEST(LakeFaults, AFailedCallWhileADayIsMergedThenAPowerCutLosesNothing) {
  FailThenCut(DiskWithWork(3), SimulatedDisk::Fault::kIoError, Tries(2));
}

TEST(LakeFaults, APowerCutAtEachCallWhileADayIsMergedLosesNothing) {
  Work work = DiskWithWork(3);
  uint64_t calls = CallsOfARound(work);
  SeededRandom random(17);
  uint64_t stride = std::max<uint64_t>(1, calls / Tries(60));
  for (uint64_t cut = 1; cut <= calls; cut += stride) {
    SCOPED_TRACE("power cut at call " + std::to_string(cut));
    World world(work.disk->KillState(), work.now);
    world.Open(2000);
    world.disk->FailCall(cut, SimulatedDisk::Fault::kPowerCut);
    Round(world);
    world.lake.reset();
    world.log.reset();
    ExpectWholeAndClean(world.disk->CrashState(random), work);
    if (testing::Test::HasFatalFailure()) return;
  }
}

// What failed may stand on the disk all the same: nobody may go on as if it had not happened.
TEST(LakeFaults, ACallThatFailsThoughItIsDoneThenAPowerCutInTheRetryLosesNothing) {
  FailThenCut(DiskWithWork(3), SimulatedDisk::Fault::kLostWord, Tries(2));
}

TEST(LakeFaults, AFullDiskThenAPowerCutInTheRetryLosesNothing) {
  FailThenCut(DiskWithWork(), SimulatedDisk::Fault::kNoSpace, Tries(1));
}

TEST(LakeFaults, ARoundThatFailsAgainAndAgainLosesNothing) {
  Work work = DiskWithWork();
  SeededRandom random(11);
  for (uint64_t life = 0; life < Tries(12); life++) {
    SCOPED_TRACE("life " + std::to_string(life));
    World world(work.disk->KillState(), work.now);
    world.Open(2000);
    int failures = 0;
    for (int round = 0; round < 8; round++) {
      world.disk->FailCall(1 + random.Below(30), random.OneIn(2) ? SimulatedDisk::Fault::kIoError
                                                                 : SimulatedDisk::Fault::kNoSpace);
      failures += !Round(world);
      world.ExpectAllEvents();
    }
    EXPECT_GT(failures, 0);
    world.disk->FailCall(1 + random.Below(30), SimulatedDisk::Fault::kPowerCut);
    Round(world);
    world.lake.reset();
    world.log.reset();
    ExpectWholeAndClean(random.OneIn(3) ? world.disk->KillState() : world.disk->CrashState(random),
                        work);
    if (testing::Test::HasFatalFailure()) return;
  }
}

// Sweeping, power cut at each call while the lake opens: what is left over must be found again.
TEST(LakeFaults, APowerCutWhileItOpensLosesNothing) {
  Work work = DiskWithWork();
  uint64_t calls = CallsOfARound(work);
  SeededRandom random(13);
  uint64_t stride = std::max<uint64_t>(1, calls / Tries(10));
  for (uint64_t call = 1; call <= calls; call += stride) {
    SCOPED_TRACE("power cut at call " + std::to_string(call));
    World world(work.disk->KillState(), work.now);
    world.Open(2000);
    world.disk->FailCall(call, SimulatedDisk::Fault::kPowerCut);
    Round(world);
    world.lake.reset();
    world.log.reset();
    for (uint64_t cut = 1; cut <= 6; cut++) {
      World opening(world.disk->CrashState(random), work.now);
      opening.disk->FailCall(cut, SimulatedDisk::Fault::kPowerCut);
      try {
        opening.Open(2000);
      } catch (const std::exception&) {
      }
      opening.lake.reset();
      opening.log.reset();
      ExpectWholeAndClean(opening.disk->CrashState(random), work);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace weir
