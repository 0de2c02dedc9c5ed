// Pump marks on the disk: read back as they were, and refused when they are not.
#include "views/marks_file.h"

#include <gtest/gtest.h>

#include "io/disk/simulated_disk.h"

namespace weir {
namespace {

std::string Refusal(Disk& disk) {
  try {
    MarksFile(disk, "marks").Load();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kCorruption);
    EXPECT_NE(error.hint.find("--start-without pump-marks"), std::string::npos);
    return error.message;
  }
  return "";
}

TEST(MarksFile, GivesBackWhatWasSaved) {
  SimulatedDisk disk;
  EXPECT_TRUE(MarksFile(disk, "marks").Load().by_pump.empty());
  SavedMarks marks;
  marks.at = Offset{120};
  marks.by_pump[3] = {Offset{100}, 1'700'000'000'000'000, -1};
  marks.by_pump[9] = {Offset{120}, 5, 6};
  MarksFile file(disk, "marks");
  file.Save(marks);
  auto read = MarksFile(disk, "marks").Load();
  EXPECT_EQ(read.at, marks.at);
  EXPECT_EQ(read.by_pump, marks.by_pump);
  uint64_t calls = disk.Calls();
  file.Save(marks);
  EXPECT_EQ(disk.Calls(), calls) << "nothing new, nothing written";
  marks.by_pump.clear();
  file.Save(marks);
  EXPECT_TRUE(MarksFile(disk, "marks").Load().by_pump.empty());
}

TEST(MarksFile, ReadsTheFileOfAnEarlierVersion) {
  SimulatedDisk disk;
  WriteFileAtomically(disk, "marks", "weir pump marks 2\n3 100 7 8\n9 120 5 6\n");
  auto read = MarksFile(disk, "marks").Load();
  EXPECT_EQ(read.at, Offset{0});
  EXPECT_EQ(read.by_pump,
            (std::map<uint32_t, InputMark>{{3, {Offset{100}, 7, 8}}, {9, {Offset{120}, 5, 6}}}));
}

TEST(MarksFile, WholeFilesThatMakeNoSenseAreRefusedWithTheirReason) {
  for (auto [text, reason] : std::vector<std::pair<std::string, std::string>>{
           {"", "it does not say up to where it goes"},
           {"3 100 7 8\n", "it does not say up to where it goes"},
           {"at 5\n3 100 7\n", "the line \"3 100 7\" is no mark"},
           {"at 5\n3 100 7 8 9\n", "the line \"3 100 7 8 9\" is no mark"},
           {"at 5\n3 100 7 8", "its last line is cut short"}}) {
    SimulatedDisk disk;
    SmallFile(disk, "marks", {"pump-marks", 1, ""}).Save(text);
    EXPECT_EQ(Refusal(disk), "\"marks\" is damaged: " + reason);
  }
  SimulatedDisk disk;
  WriteFileAtomically(disk, "marks", "weir pump marks 1\n");
  EXPECT_EQ(Refusal(disk), "\"marks\" is damaged: it does not begin as it should");
}

TEST(MarksFile, EveryFlippedBitEveryCutAndAnEmptyFileAreRefused) {
  SimulatedDisk disk;
  SavedMarks marks;
  marks.at = Offset{120};
  marks.by_pump[3] = {Offset{100}, 7, 8};
  MarksFile(disk, "marks").Save(marks);
  for (uint64_t at = 0; at < disk.FileSize("marks"); at++) {
    for (int bit = 0; bit < 8; bit++) {
      auto damaged = disk.KillState();
      damaged->FlipByte("marks", at, static_cast<uint8_t>(1 << bit));
      EXPECT_NE(Refusal(*damaged).find("\"marks\" is damaged"), std::string::npos) << at;
    }
    auto cut = disk.KillState();
    cut->CutFile("marks", at);
    EXPECT_NE(Refusal(*cut).find("\"marks\" is damaged"), std::string::npos) << at;
  }
  for (const char* text : {"weir pump marks 2\n3 100 7\n", "weir pump marks 2\n3 100 7 8",
                           "weir pump marks 2\nx\n", "weir pump marks 3\n", "3 100 7 8\n"}) {
    SimulatedDisk other;
    WriteFileAtomically(other, "marks", text);
    EXPECT_NE(Refusal(other).find("\"marks\" is damaged"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace weir
