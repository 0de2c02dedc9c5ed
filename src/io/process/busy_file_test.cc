#include "io/process/busy_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"

namespace weir {
namespace {

class BusyFileTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  // Leaves the file as a process that ended in the middle of two pieces of work.
  void End(int32_t by, uint64_t stalled_ms, BusyFile::Slot number = BusyFile::kEngine) {
    BusyFile file(path_);
    auto& slot = file[number];
    slot.position = 7;
    BusyThread thread(slot);
    alignas(BusyWork) char outer[sizeof(BusyWork)], inner[sizeof(BusyWork)];
    new (outer) BusyWork(11);
    new (inner) BusyWork(12);
    slot.ended_by = by;
    slot.stalled = 11;
    slot.stalled_ms = stalled_ms;
  }

  std::string path_ =
      std::filesystem::temp_directory_path() / ("weir_busy_" + std::to_string(getpid()));
};

TEST_F(BusyFileTest, ASignalTellsTheInnermostWork) {
  End(11, 0);
  BusyFile file(path_);
  ASSERT_EQ(file.found().size(), 1u);
  EXPECT_EQ(file.found()[0].work, 12u);
  EXPECT_EQ(file.found()[0].position, 7u);
  EXPECT_EQ(file.found()[0].ended_by, 11);
}

TEST_F(BusyFileTest, TheWatchdogTellsTheWorkThatTookSoLong) {
  End(BusyFile::kEndedByWatchdog, 60'000);
  BusyFile file(path_);
  ASSERT_EQ(file.found().size(), 1u);
  EXPECT_EQ(file.found()[0].work, 11u);
}

TEST_F(BusyFileTest, AKillInShortWorkTellsNothing) {
  End(0, 0);
  EXPECT_TRUE(BusyFile(path_).found().empty());
}

TEST_F(BusyFileTest, OnlyTheSecondKillAtTheSamePlaceIsOne) {
  End(0, 5'000);
  {
    BusyFile file(path_);
    ASSERT_EQ(file.found().size(), 1u);
    EXPECT_FALSE(file.WasThereTwice(file.found()[0]));
  }
  // In between the process ended with nothing to do: it starts anew.
  EXPECT_TRUE(BusyFile(path_).found().empty());
  End(0, 5'000);
  EXPECT_FALSE(BusyFile(path_).WasThereTwice({BusyFile::kEngine, 11, 7, 0}));
  End(0, 5'000);
  End(0, 5'000);
  BusyFile file(path_);
  EXPECT_TRUE(file.WasThereTwice(file.found()[0]));
}

TEST_F(BusyFileTest, AKillInTheFillerIsAtTheSamePlaceAsOneInTheEngine) {
  End(0, 5'000, BusyFile::kEngine);
  End(0, 5'000, BusyFile::kFiller);
  {
    BusyFile file(path_);
    EXPECT_TRUE(file.WasThereTwice(file.found().at(0)));
  }
  End(0, 5'000, BusyFile::kEngine);
  End(0, 5'000, BusyFile::kPlanner);
  BusyFile file(path_);
  EXPECT_FALSE(file.WasThereTwice(file.found().at(0)));
}

TEST_F(BusyFileTest, ADamagedFileIsNone) {
  End(11, 0);
  std::filesystem::resize_file(path_, 100);
  EXPECT_TRUE(BusyFile(path_).found().size() <= 1);
  std::filesystem::resize_file(path_, 0);
  EXPECT_TRUE(BusyFile(path_).found().empty());
}

TEST_F(BusyFileTest, TheWorkThatIsMeantGivesUpWithAllItsParts) {
  BusyFile file("");
  auto& slot = file[BusyFile::kFiller];
  BusyThread thread(slot);
  BusyWork outer(1);
  BusyWork meant(2);
  slot.interrupt = slot.frames[1].call.load();
  {
    BusyWork part(3);
    EXPECT_THROW(StopIfInterrupted(), Error);
  }
  EXPECT_THROW(StopIfInterrupted(), Error);
  slot.interrupt = slot.frames[1].call.load() + 100;
  EXPECT_NO_THROW(StopIfInterrupted());
}

}  // namespace
}  // namespace weir
