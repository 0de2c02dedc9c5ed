// Small files on a disk that fails: the old content or the new, and never a third thing; damage is
// said; an unknown outcome is final.
#include "io/disk/small_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "io/disk/simulated_disk.h"

namespace weir {
namespace {

using Fault = SimulatedDisk::Fault;

const SmallFileKind kKind{"things", 2, "Make it anew."};

std::string MessageOf(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.message;
  }
  return "";
}

class SmallFileTest : public testing::Test {
 protected:
  SmallFileTest() { disk_.MakeDirectories("d"); }
  // What is read afterwards by another process.
  static std::string Read(Disk& disk) {
    auto content = SmallFile(disk, "d/f", kKind).Load();
    return content ? content->bytes : "-";
  }
  SimulatedDisk disk_;
  SmallFile file_{disk_, "d/f", kKind};
};

TEST_F(SmallFileTest, GivesBackWhatWasSaved) {
  EXPECT_FALSE(file_.Load().has_value());
  for (std::string bytes : {std::string(), std::string("one\ntwo\n"), std::string(100'000, '\0')}) {
    file_.Save(bytes);
    auto content = file_.Load();
    ASSERT_TRUE(content.has_value());
    EXPECT_EQ(content->bytes, bytes);
    EXPECT_EQ(content->version, 2u);
  }
}

TEST_F(SmallFileTest, TheFirstLineSaysWhatTheFileIs) {
  file_.Save("abc");
  std::string bytes = ReadWholeFile(disk_, "d/f");
  // The CRC-32C, by another program, of: things", "version": 2, "bytes": 3, "crc32c": "abc
  EXPECT_EQ(
      bytes,
      "{\"weir_file\": \"things\", \"version\": 2, \"bytes\": 3, \"crc32c\": \"0e0d6ad6\"}\nabc");
}

TEST_F(SmallFileTest, AFileWithoutAFirstLineIsGivenBackAsVersionNought) {
  WriteFileAtomically(disk_, "d/f", "{\"format\": 1}");
  auto content = file_.Load();
  EXPECT_EQ(content->bytes, "{\"format\": 1}");
  EXPECT_EQ(content->version, 0u);
}

TEST_F(SmallFileTest, EveryFlippedBitAndEveryCutIsSeen) {
  file_.Save("some content of a file");
  uint64_t size = disk_.FileSize("d/f");
  for (uint64_t at = 0; at < size; at++) {
    for (int bit = 0; bit < 8; bit++) {
      auto other = disk_.KillState();
      other->FlipByte("d/f", at, static_cast<uint8_t>(1 << bit));
      SmallFile damaged(*other, "d/f", kKind);
      std::string message = MessageOf([&] {
        // A damaged beginning makes it a file without a first line; its reader sees that it is none
        // of its own, as it begins with most of one.
        auto content = damaged.Load();
        if (content && content->version == 0 && at < 15) {
          EXPECT_EQ(content->bytes.size(), size);
          damaged.ThrowDamaged("no first line");
        }
      });
      EXPECT_NE(message.find("\"d/f\" is"), std::string::npos) << at << "." << bit << message;
    }
    auto other = disk_.KillState();
    other->CutFile("d/f", at);
    EXPECT_NE(MessageOf([&] { Read(*other); }).find("\"d/f\" is damaged"), std::string::npos) << at;
  }
}

TEST_F(SmallFileTest, AFileOfAnotherKindOrOfANewerVersionIsRefused) {
  SmallFile(disk_, "d/f", {"others", 1, ""}).Save("x");
  EXPECT_EQ(MessageOf([&] { file_.Load(); }),
            "\"d/f\" is damaged: it is a file of kind \"others\", not \"things\"");
  SmallFile(disk_, "d/f", {"things", 3, ""}).Save("x");
  EXPECT_EQ(MessageOf([&] { file_.Load(); }),
            "\"d/f\" is of version 3, and this Weir reads up to 2");
}

TEST_F(SmallFileTest, WhatCannotBeReadIsNotTakenForMissing) {
  file_.Save("there");
  uint64_t before = disk_.Looks();
  EXPECT_EQ(Read(disk_), "there");
  uint64_t looks = disk_.Looks() - before;
  ASSERT_GE(looks, 3u);  // open, size, read
  for (uint64_t n = 1; n <= looks; n++) {
    disk_.FailLook(n);
    EXPECT_THROW(Read(disk_), DiskFailure) << n;
  }
  disk_.ShortReads(true);
  EXPECT_THROW(Read(disk_), DiskFailure);
  disk_.ShortReads(false);
  EXPECT_EQ(Read(disk_), "there");
}

// Each call of a Save meets each fault, and the process lives on: it either knows that nothing has
// changed, and the next Save works, or it knows that it does not know, and serves nothing more.
TEST_F(SmallFileTest, ASaveThatFailsAtAnyCallChangesNothingOrIsFinal) {
  file_.Save("old");
  auto base = disk_.KillState();
  uint64_t calls = 0;
  {
    auto disk = base->KillState();
    SmallFile(*disk, "d/f", kKind).Save("new");
    calls = disk->Calls();
  }
  ASSERT_GE(calls, 5u);  // create, write, write, sync, rename, sync of the folder
  int final_outcomes = 0;
  for (Fault fault : {Fault::kNoSpace, Fault::kIoError, Fault::kLostWord, Fault::kPowerCut}) {
    for (uint64_t n = 1; n <= calls; n++) {
      SCOPED_TRACE(testing::Message() << "fault " << static_cast<int>(fault) << " at call " << n);
      auto disk = base->KillState();
      std::string told;
      SmallFile file(*disk, "d/f", kKind, [&](const std::string& why) { told = why; });
      disk->FailCall(n, fault);
      bool unknown = false, failed = false;
      try {
        file.Save("new");
      } catch (const OutcomeUnknown& error) {
        unknown = failed = true;
      } catch (const Error& error) {
        failed = true;
      }
      ASSERT_TRUE(failed);
      EXPECT_EQ(!told.empty(), unknown);
      if (unknown) {
        final_outcomes++;
        EXPECT_THROW(file.Save("newer"), OutcomeUnknown);
        EXPECT_THROW(file.Load(), OutcomeUnknown);
      } else if (fault != Fault::kPowerCut) {
        EXPECT_EQ(Read(*disk), "old");
        file.Save("newer");
        EXPECT_EQ(Read(*disk), "newer");
      }
      for (uint64_t seed = 0; seed < 20; seed++) {
        SeededRandom random(seed);
        std::string after = Read(*disk->CrashState(random));
        if (unknown) {
          EXPECT_TRUE(after == "old" || after == "new") << after;
        } else {
          EXPECT_EQ(after, fault == Fault::kPowerCut ? "old" : "newer");
        }
      }
    }
  }
  EXPECT_GE(final_outcomes, 4);
}

TEST_F(SmallFileTest, AFullDiskGetsItsRoomBack) {
  file_.Save("old");
  disk_.SetCapacity(disk_.FileSize("d/f") + 1000);
  EXPECT_THROW(file_.Save(std::string(5000, 'x')), Error);
  EXPECT_FALSE(disk_.Exists("d/f.tmp"));
  EXPECT_EQ(Read(disk_), "old");
}

// On the machine's own disk.
class SmallFileOnDisk : public testing::Test {
 protected:
  SmallFileOnDisk() {
    std::string name = testing::TempDir() + "weir-small-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~SmallFileOnDisk() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
  std::unique_ptr<Disk> disk_ = MakeRealDisk();
};

TEST_F(SmallFileOnDisk, OnlyWhatIsNotThereIsMissing) {
  SmallFile file(*disk_, folder_ + "/f", kKind);
  EXPECT_FALSE(file.Load().has_value());
  // A link that leads nowhere, a folder in the file's place, a file in the folder's place.
  std::filesystem::create_symlink("nowhere", folder_ + "/f");
  EXPECT_THROW(file.Load(), DiskFailure);
  std::filesystem::remove(folder_ + "/f");
  std::filesystem::create_directory(folder_ + "/f");
  EXPECT_THROW(file.Load(), DiskFailure);
  std::filesystem::remove(folder_ + "/f");
  file.Save("x");
  EXPECT_EQ(file.Load()->bytes, "x");
  EXPECT_THROW(SmallFile(*disk_, folder_ + "/f/g", kKind).Load(), DiskFailure);
  EXPECT_THROW(disk_->Exists(folder_ + "/f/g"), DiskFailure);
}

}  // namespace
}  // namespace weir
