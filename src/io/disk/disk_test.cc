// The machine's disk, and the whole-file calls that stand on any disk.
#include "io/disk/disk.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "io/disk/simulated_disk.h"

namespace weir {
namespace {

class RealDiskTest : public testing::Test {
 protected:
  RealDiskTest() {
    std::string name = testing::TempDir() + "weir-disk-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~RealDiskTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::unique_ptr<Disk> disk_ = MakeRealDisk();
};

TEST_F(RealDiskTest, AFileGivesBackWhatWasWrittenWhereItWasWritten) {
  auto file = disk_->Open(folder_ + "/f", OpenMode::kCreate);
  file->Allocate(100'000);
  EXPECT_EQ(file->Size(), 100'000u);
  file->Write(5000, "hello");
  file->Sync();
  char buffer[10] = {};
  EXPECT_EQ(file->Read(4998, buffer), 10u);
  EXPECT_EQ(std::string(buffer, 10), std::string("\0\0hello\0\0\0", 10));
  file->Truncate(5003);
  EXPECT_EQ(file->Read(4998, buffer), 5u);
  EXPECT_EQ(file->Read(9000, buffer), 0u);
}

TEST_F(RealDiskTest, MorePartsThanOneCallTakesAreWrittenInOrder) {
  auto file = disk_->Open(folder_ + "/f", OpenMode::kCreate);
  std::vector<std::string> owned;
  std::string all;
  for (int i = 0; i < 3000; i++) {
    owned.push_back(std::string(i % 5, char('a' + i % 26)));
    all += owned.back();
  }
  std::vector<std::string_view> parts(owned.begin(), owned.end());
  file->WriteDurably(7, parts);
  EXPECT_EQ(ReadWholeFile(*disk_, folder_ + "/f"), std::string(7, '\0') + all);
}

TEST_F(RealDiskTest, CreateRefusesAFileThatExists) {
  disk_->Open(folder_ + "/f", OpenMode::kCreate);
  EXPECT_THROW(disk_->Open(folder_ + "/f", OpenMode::kCreate), DiskFailure);
}

TEST_F(RealDiskTest, AFolderIsLockedThoughItsLockFileIsRemoved) {
  auto held = disk_->LockFolder(folder_);
  ASSERT_TRUE(held);
  auto file = disk_->Lock(folder_ + "/LOCK");
  std::filesystem::remove(folder_ + "/LOCK");
  auto other = MakeRealDisk();
  try {
    other->LockFolder(folder_);
    FAIL() << "locked twice";
  } catch (const Error& error) {
    EXPECT_EQ(error.message, "\"" + folder_ + "\" is held by process ?");
  }
  held.reset();
  EXPECT_TRUE(other->LockFolder(folder_));
}

TEST_F(RealDiskTest, WhatCannotBeMadeAFolderIsSaid) {
  disk_->MakeDirectories(folder_ + "/a/b");
  disk_->MakeDirectories(folder_ + "/a/b");
  EXPECT_TRUE(std::filesystem::is_directory(folder_ + "/a/b"));
  disk_->Open(folder_ + "/a/f", OpenMode::kCreate);
  EXPECT_THROW(disk_->MakeDirectories(folder_ + "/a/f/b"), DiskFailure);
}

TEST_F(RealDiskTest, AMissingFileIsAnErrorThatNamesIt) {
  try {
    disk_->Open(folder_ + "/nothing", OpenMode::kRead);
    FAIL();
  } catch (const DiskFailure& failure) {
    EXPECT_NE(failure.message.find("nothing"), std::string::npos);
  }
}

TEST_F(RealDiskTest, FoldersAreMadeWithTheirParentsAndListedInOrder) {
  disk_->MakeDirectories(folder_ + "/a/b/c");
  disk_->MakeDirectories(folder_ + "/a/b/c");
  for (const char* name : {"z", "x", "y"}) {
    disk_->Open(folder_ + "/a/b/" + name, OpenMode::kCreate);
  }
  EXPECT_EQ(disk_->List(folder_ + "/a/b"), (std::vector<std::string>{"c", "x", "y", "z"}));
}

TEST_F(RealDiskTest, ALockIsHeldByOneUntilItIsLetGo) {
  auto lock = disk_->Lock(folder_ + "/LOCK");
  try {
    disk_->Lock(folder_ + "/LOCK");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    EXPECT_NE(error.message.find(std::to_string(getpid())), std::string::npos);
  }
  lock.reset();
  EXPECT_NE(disk_->Lock(folder_ + "/LOCK"), nullptr);
}

TEST_F(RealDiskTest, AWholeFileIsReplaced) {
  WriteFileAtomically(*disk_, folder_ + "/f", "old and long");
  WriteFileAtomically(*disk_, folder_ + "/f", "new");
  EXPECT_EQ(ReadWholeFile(*disk_, folder_ + "/f"), "new");
  EXPECT_EQ(ReadWholeFile(*disk_, folder_ + "/missing"), "");
  EXPECT_EQ(disk_->List(folder_), std::vector<std::string>{"f"});
}

TEST_F(RealDiskTest, ADeviceWithoutSpaceIsUnavailableWithAHintNotAFailure) {
  auto full = disk_->Open("/dev/full", OpenMode::kReadWrite);
  try {
    full->Write(0, "x");
    FAIL();
  } catch (const DiskFailure&) {
    FAIL() << "a full disk is not a broken one";
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    EXPECT_FALSE(error.hint.empty());
  }
}

TEST(WriteFileAtomically, LeavesTheOldOrTheNewFileAfterACrashAtAnyCall) {
  for (uint64_t n = 1; n < 8; n++) {
    for (uint64_t seed = 0; seed < 50; seed++) {
      SimulatedDisk disk;
      SeededRandom random(seed);
      disk.MakeDirectories("d");
      WriteFileAtomically(disk, "d/f", std::string(9000, 'o'));
      bool written = false;
      disk.FailCall(n, SimulatedDisk::Fault::kPowerCut);
      try {
        WriteFileAtomically(disk, "d/f", std::string(7000, 'n'));
        written = true;
      } catch (const DiskFailure&) {
      }
      auto after = disk.CrashState(random);
      std::string found = ReadWholeFile(*after, "d/f");
      ASSERT_TRUE(found == std::string(7000, 'n') || (!written && found == std::string(9000, 'o')))
          << "call " << n << " seed " << seed;
    }
  }
}

TEST(WriteFileAtomically, OnAFullDiskKeepsTheOldFileAndNoRemains) {
  SimulatedDisk disk;
  disk.MakeDirectories("d");
  WriteFileAtomically(disk, "d/f", "old");
  disk.SetCapacity(1000);
  EXPECT_THROW(WriteFileAtomically(disk, "d/f", std::string(5000, 'n')), Error);
  EXPECT_EQ(ReadWholeFile(disk, "d/f"), "old");
  EXPECT_EQ(disk.List("d"), std::vector<std::string>{"f"});
}

}  // namespace
}  // namespace weir
