// Idempotency keys on the disk: read back as they were, and refused when they are not.
#include "ingest/keys_file.h"

#include <gtest/gtest.h>

#include "io/disk/simulated_disk.h"

namespace weir {
namespace {

std::string Refusal(Disk& disk) {
  try {
    KeysFile(disk, "keys").Load();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kCorruption);
    EXPECT_NE(error.hint.find("--start-without idempotency-keys"), std::string::npos);
    return error.message;
  }
  return "";
}

TEST(KeysFile, GivesBackWhatWasSavedAndUpToWhere) {
  SimulatedDisk disk;
  EXPECT_EQ(KeysFile(disk, "keys").Load().keys, "");
  KeysFile file(disk, "keys");
  file.Save("", Offset{0});
  EXPECT_TRUE(disk.Exists("keys")) << "none is an answer, too";
  file.Save(std::string("a\0b", 3), Offset{77});
  auto read = KeysFile(disk, "keys").Load();
  EXPECT_EQ(read.keys, std::string("a\0b", 3));
  EXPECT_EQ(read.covered, Offset{77});
  uint64_t calls = disk.Calls();
  file.Save(std::string("a\0b", 3), Offset{99});
  EXPECT_EQ(disk.Calls(), calls) << "the same keys";
}

TEST(KeysFile, ReadsTheFileOfAnEarlierVersion) {
  SimulatedDisk disk;
  WriteFileAtomically(disk, "keys", "old keys");
  auto read = KeysFile(disk, "keys").Load();
  EXPECT_EQ(read.keys, "old keys");
  EXPECT_EQ(read.covered, Offset{0});
}

TEST(KeysFile, EveryCutAndAnEmptyFileAreRefused) {
  SimulatedDisk disk;
  KeysFile(disk, "keys").Save("some keys", Offset{5});
  for (uint64_t at = 0; at < disk.FileSize("keys"); at++) {
    auto cut = disk.KillState();
    cut->CutFile("keys", at);
    EXPECT_NE(Refusal(*cut).find("\"keys\" is damaged"), std::string::npos) << at;
  }
  // Whole, but too short for what it should say.
  SmallFile(disk, "keys", {"idempotency-keys", 1, ""}).Save("1234567");
  EXPECT_EQ(Refusal(disk), "\"keys\" is damaged: it is cut short");
}

}  // namespace
}  // namespace weir
