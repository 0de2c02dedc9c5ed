// The simulated disk must be at least as unkind as it claims: a test on a kind one proves nothing.
#include "io/disk/simulated_disk.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace weir {
namespace {

using Fault = SimulatedDisk::Fault;

// All the contents of "d/f" that crashes may leave; "-" for no file.
std::set<std::string> AfterCrashes(const SimulatedDisk& disk) {
  std::set<std::string> states;
  for (uint64_t seed = 0; seed < 300; seed++) {
    SeededRandom random(seed);
    auto after = disk.CrashState(random);
    states.insert(after->Exists("d/f") ? ReadWholeFile(*after, "d/f") : "-");
  }
  return states;
}

class SimulatedDiskTest : public testing::Test {
 protected:
  SimulatedDiskTest() { disk_.MakeDirectories("d"); }
  std::unique_ptr<File> MakeDurable(std::string_view bytes) {
    auto file = disk_.Open("d/f", OpenMode::kCreate);
    file->Write(0, bytes);
    file->Sync();
    disk_.SyncDirectory("d");
    return file;
  }
  SimulatedDisk disk_;
};

TEST_F(SimulatedDiskTest, WhatWasSyncedSurvivesEveryCrash) {
  MakeDurable("kept");
  EXPECT_EQ(AfterCrashes(disk_), std::set<std::string>{"kept"});
}

TEST_F(SimulatedDiskTest, AFileIsNotThereUntilItsFolderIsSynced) {
  auto file = disk_.Open("d/f", OpenMode::kCreate);
  file->Write(0, "x");
  file->Sync();
  EXPECT_EQ(AfterCrashes(disk_), (std::set<std::string>{"-", "x"}));
}

TEST_F(SimulatedDiskTest, UnsyncedPagesMayBeOldNewOrTornEachForItself) {
  auto file = MakeDurable(std::string(8192, 'o'));
  file->Write(0, std::string(8192, 'n'));
  bool first_only = false, second_only = false, torn = false;
  for (const std::string& state : AfterCrashes(disk_)) {
    std::string first = state.substr(0, 4096), second = state.substr(4096);
    bool first_new = first.find('o') == std::string::npos;
    bool second_new = second.find('o') == std::string::npos;
    first_only |= first_new && second.find('n') == std::string::npos;
    second_only |= second_new && first.find('n') == std::string::npos;
    torn |= !first_new && first[0] == 'n';
  }
  EXPECT_TRUE(first_only && second_only && torn);
}

TEST_F(SimulatedDiskTest, AFailedSyncLosesItsPagesThoughTheNextOneSucceeds) {
  auto file = MakeDurable("old");
  file->Write(0, "new");
  disk_.FailCall(1, Fault::kIoError);
  EXPECT_THROW(file->Sync(), DiskFailure);
  file->Sync();
  EXPECT_EQ(ReadWholeFile(disk_, "d/f"), "new") << "the cache still has it";
  EXPECT_EQ(AfterCrashes(disk_), std::set<std::string>{"old"});
}

TEST_F(SimulatedDiskTest, NameChangesMayBeLostOrComeWithoutEachOther) {
  MakeDurable("x");
  disk_.Rename("d/f", "d/g");
  disk_.Open("d/h", OpenMode::kCreate);
  std::set<std::vector<std::string>> states;
  for (uint64_t seed = 0; seed < 100; seed++) {
    SeededRandom random(seed);
    states.insert(disk_.CrashState(random)->List("d"));
  }
  EXPECT_EQ(states, (std::set<std::vector<std::string>>{{"f"}, {"g"}, {"f", "h"}, {"g", "h"}}));
}

TEST_F(SimulatedDiskTest, AKillLosesNothingButWhatIsUnsyncedStaysUnsynced) {
  auto file = MakeDurable("old");
  file->Write(0, "new");
  auto after = disk_.KillState();
  EXPECT_EQ(ReadWholeFile(*after, "d/f"), "new");
  EXPECT_TRUE(AfterCrashes(*after).contains("old"));
}

TEST_F(SimulatedDiskTest, AfterAPowerCutNothingChangesAnyMore) {
  auto file = MakeDurable("old");
  disk_.FailCall(1, Fault::kPowerCut);
  EXPECT_THROW(file->Truncate(0), DiskFailure);
  EXPECT_THROW(file->Write(0, "new"), DiskFailure);
  EXPECT_THROW(file->Sync(), DiskFailure);
  EXPECT_THROW(disk_.Remove("d/f"), DiskFailure);
  EXPECT_EQ(AfterCrashes(disk_), std::set<std::string>{"old"});
}

TEST_F(SimulatedDiskTest, AFullDiskRefusesGrowthButNotRewriting) {
  auto file = MakeDurable(std::string(5000, 'o'));
  disk_.SetCapacity(6000);
  EXPECT_THROW(file->Write(5000, std::string(5000, 'x')), Error);
  EXPECT_THROW(file->Allocate(10'000), Error);
  file->Write(0, std::string(5000, 'n'));
  EXPECT_EQ(ReadWholeFile(disk_, "d/f"), std::string(5000, 'n'));
}

TEST_F(SimulatedDiskTest, AFolderWhoseNameWasNotSyncedMayGoWithAllThatIsInIt) {
  MakeDurable("kept");
  disk_.FailCall(3, Fault::kIoError);  // the sync of its name; that of "d" comes first
  EXPECT_THROW(disk_.MakeDirectories("d/e"), DiskFailure);
  disk_.Open("d/e/f", OpenMode::kCreate)->Sync();
  disk_.SyncDirectory("d/e");
  auto outcomes = [&] {
    std::set<bool> there;
    for (uint64_t seed = 0; seed < 100; seed++) {
      SeededRandom random(seed);
      auto after = disk_.CrashState(random);
      there.insert(after->Exists("d/e/f"));
      EXPECT_EQ(after->Exists("d/e"), after->Exists("d/e/f"));
      EXPECT_TRUE(after->Exists("d/f"));
    }
    return there;
  };
  EXPECT_EQ(outcomes(), (std::set<bool>{false, true}));
  disk_.MakeDirectories("d/e");  // is there, and is synced now
  EXPECT_EQ(outcomes(), std::set<bool>{true});
}

TEST_F(SimulatedDiskTest, EveryLookCanFailOnce) {
  auto file = MakeDurable("x");
  char byte[1];
  std::vector<std::function<void()>> looks = {
      [&] { disk_.Exists("d/f"); },  [&] { disk_.List("d"); },
      [&] { disk_.TryOpen("d/f"); }, [&] { disk_.Open("d/f", OpenMode::kRead); },
      [&] { file->Size(); },         [&] { file->Read(0, byte); },
      [&] { disk_.OpenFolder("d"); }};
  for (auto& look : looks) {
    disk_.FailLook(1);
    EXPECT_THROW(look(), DiskFailure);
    EXPECT_NO_THROW(look());
  }
}

}  // namespace
}  // namespace weir
