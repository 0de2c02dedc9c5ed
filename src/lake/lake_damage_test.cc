// Bytes of the lake that are not what was written: each is found, named, and costs only itself.
#include <chrono>
#include <functional>
#include <thread>

#include "lake/sealed_file.h"
#include "lake/test_lake.h"

namespace weir {
namespace {

constexpr const char* kFile = "lake/events/dt=2023-11-14/hour=22/1-3000.parquet";

// A lake of two streams with a file each, and a log that has forgotten them.
std::unique_ptr<SimulatedDisk> LandedDisk(bool log_kept) {
  World world(std::make_unique<SimulatedDisk>());
  world.Declare(MakeStream(2, "others", {{"x", LogicalType::BIGINT}}));
  world.Open();
  if (log_kept) world.lake->SetRetain({0});
  world.AppendEvents(3000);
  world.Append(*MakeStream(2, "others", {{"x", LogicalType::BIGINT}}),
               {{duckdb::Value::BIGINT(5)}});
  world.lake->LandNow();
  if (!log_kept) {
    for (int i = 0; i < 20; i++) {
      world.Append(*MakeStream(2, "others", {{"x", LogicalType::BIGINT}}),
                   std::vector<std::vector<duckdb::Value>>(2000, {duckdb::Value::BIGINT(5)}));
    }
    world.lake->LandNow();
    EXPECT_GT(world.log->Begin(), Offset{3000});
  }
  world.lake.reset();
  world.log.reset();
  return world.disk->KillState();
}

struct Opened : World {
  explicit Opened(std::unique_ptr<SimulatedDisk> on, uint64_t scrub = 0) : World(std::move(on)) {
    Declare(MakeStream(2, "others", {{"x", LogicalType::BIGINT}}));
    Open(1 << 20, kMinute, scrub);
  }
  void ExpectAllButOthers(uint64_t last) {
    auto events = ScanEvents({0}, Offset{last});
    ASSERT_EQ(events.size(), last);
    for (size_t i = 0; i < events.size(); i++) ASSERT_EQ(events[i].first, i + 1);
  }
  // All columns of the other stream; throws what reading it throws.
  size_t CountOthers() {
    size_t rows = 0;
    lake->Scan(*MakeStream(2, "others", {{"x", LogicalType::BIGINT}}), {0}, {0}, log->End(),
               [&](const Columns& piece, Offset) {
                 rows += piece.rows;
                 return true;
               });
    return rows;
  }
};

std::string WhatReadingSays(Opened& world) {
  try {
    auto events = world.ScanEvents({0}, Offset{3000});
    EXPECT_EQ(events.size(), 3000u);
    for (size_t i = 0; i < events.size(); i++) {
      EXPECT_EQ(events[i].second, static_cast<int64_t>(i + 1));
    }
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kCorruption) << error.message;
    return error.message;
  }
}

TEST(LakeDamage, AFlippedBitAnywhereIsFoundByWhoReadsIt) {
  auto disk = LandedDisk(false);
  uint64_t size = disk->FileSize(kFile);
  ASSERT_GT(size, 1000u);
  uint64_t stride = size / 60;
  for (uint64_t position = 0; position < size; position += stride) {
    SCOPED_TRACE("byte " + std::to_string(position));
    auto copy = disk->KillState();
    copy->FlipByte(kFile, position, 4);
    Opened world(std::move(copy));
    std::string said = WhatReadingSays(world);
    EXPECT_NE(said.find("1-3000.parquet"), std::string::npos) << said;
    EXPECT_NE(said.find("stream \"events\""), std::string::npos) << said;
    EXPECT_NE(said.find("offsets 1 to 3000"), std::string::npos) << said;
    auto health = world.lake->Health();
    ASSERT_EQ(health.damaged.size(), 1u);
    EXPECT_EQ(health.damaged[0].stream, StreamId{1});
    EXPECT_EQ(world.CountOthers(), 40001u);  // the other stream is read as before
  }
}

TEST(LakeDamage, AMissingAndACutFileAreNamedWhenTheLakeOpens) {
  for (bool missing : {true, false}) {
    auto disk = LandedDisk(false);
    if (missing) {
      disk->Remove(kFile);
    } else {
      disk->Open(kFile, OpenMode::kReadWrite)->Truncate(1000);
    }
    Opened world(std::move(disk));
    auto health = world.lake->Health();
    ASSERT_EQ(health.damaged.size(), 1u);
    EXPECT_EQ(health.damaged[0].path, "events/dt=2023-11-14/hour=22/1-3000.parquet");
    EXPECT_NE(health.damaged[0].reason.find(missing ? "missing" : "1000 bytes"), std::string::npos);
    EXPECT_NE(WhatReadingSays(world), "");
    EXPECT_EQ(world.CountOthers(), 40001u);
    // Landing goes on, and a merge keeps off the damage.
    world.AppendEvents(10);
    world.clock.Advance(2 * kHour);
    world.lake->LandNow();
    EXPECT_EQ(world.lake->Landed(), world.log->End());
  }
}

TEST(LakeDamage, WhatTheLogStillHoldsIsMended) {
  auto disk = LandedDisk(true);
  disk->FlipByte(kFile, 500, 1);
  Opened world(std::move(disk));
  world.lake->SetRetain({0});
  EXPECT_NE(WhatReadingSays(world), "");
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Health().mended, 1u);
  EXPECT_TRUE(world.lake->Health().damaged.empty());
  EXPECT_EQ(WhatReadingSays(world), "");
  EXPECT_TRUE(world.disk->Exists("lake/events/dt=2023-11-14/hour=22/1-3000-mended.parquet"));
  EXPECT_FALSE(world.disk->Exists(kFile));
}

TEST(LakeDamage, AScrubFindsWhatNobodyReads) {
  auto disk = LandedDisk(false);
  disk->FlipByte(kFile, 500, 1);
  Opened world(std::move(disk), 100 << 20);
  EXPECT_TRUE(world.lake->Health().damaged.empty());
  world.lake->Start();
  EXPECT_TRUE(Soon([&] { return world.lake->Health().damaged.size() == 1; }));
  EXPECT_EQ(world.lake->Health().damaged[0].first, Offset{1});
  EXPECT_EQ(world.lake->Health().damaged[0].last, Offset{3000});
  // Put back, it is found sound when it is read again.
  world.disk->FlipByte(kFile, 500, 1);
  world.lake->Suspect({1});
  EXPECT_TRUE(Soon([&] { return world.lake->Health().damaged.empty(); }));
  EXPECT_GT(world.lake->Health().checked_bytes, 0u);
  world.lake->Stop();
  EXPECT_EQ(WhatReadingSays(world), "");
}

TEST(LakeDamage, AManifestOfWhichAnyByteIsWrongIsRefused) {
  auto disk = LandedDisk(false);
  uint64_t size = disk->FileSize("lake/manifest.json");
  for (uint64_t position = 0; position < size; position += 7) {
    auto copy = disk->KillState();
    copy->FlipByte("lake/manifest.json", position, 1);
    try {
      Opened world(std::move(copy));
      FAIL() << "opened with a wrong byte " << position;
    } catch (const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::kCorruption);
      EXPECT_NE(error.message.find("manifest"), std::string::npos) << error.message;
    }
  }
  for (uint64_t length : {uint64_t{1}, size / 2, size - 1}) {
    auto copy = disk->KillState();
    copy->Open("lake/manifest.json", OpenMode::kReadWrite)->Truncate(length);
    EXPECT_THROW(Opened(std::move(copy)), Error) << length;
  }
}

// Changes to the manifest: the last may be torn, if nothing that came after speaks against it.
TEST(LakeDamage, AChangeOfTheManifestOfWhichAnyByteIsWrongIsFound) {
  for (bool log_kept : {false, true}) {
    auto disk = LandedDisk(log_kept);
    std::string path = "lake/manifest.changes-1";
    std::string text = ReadWholeFile(*disk, path);
    size_t last = text.rfind('\n', text.size() - 2) + 1;  // 0 when it is the only one
    for (uint64_t position = 0; position < text.size(); position += 5) {
      SCOPED_TRACE("byte " + std::to_string(position));
      auto copy = disk->KillState();
      copy->FlipByte(path, position, 1);
      try {
        Opened world(std::move(copy));
        // Then it is as if the last landing had not been.
        EXPECT_TRUE(log_kept && position >= last);
        world.ExpectAllButOthers(3000);
        world.lake->LandNow();
        world.ExpectAllButOthers(3000);
      } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::kCorruption) << error.message;
        EXPECT_FALSE(log_kept && position >= last) << error.message;
      }
    }
  }
}

TEST(LakeDamage, ADamagedLastChangeThatReplacedFilesRemovesNothing) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  for (int i = 0; i < 8; i++) {
    world.AppendEvents(10);
    world.lake->LandNow();
  }
  std::string merged = "lake/events/dt=2023-11-14/hour=22/1-80.parquet";
  ASSERT_EQ(world.ParquetFiles(), std::set<std::string>{merged});
  world.lake.reset();
  world.log.reset();
  auto disk = world.disk->KillState();
  std::string path = "lake/manifest.changes-1";
  disk->FlipByte(path, disk->FileSize(path) - 10, 1);
  World opened(disk->KillState());
  EXPECT_THROW(opened.Open(), Error);
  EXPECT_TRUE(opened.disk->Exists(merged));
}

TEST(LakeDamage, SnapshotsTakeTheirTurnAndChangesStayShort) {
  World world(std::make_unique<SimulatedDisk>());
  world.Declare(MakeStream(2, "others", {{"x", LogicalType::BIGINT}}));
  world.Open();
  std::string path = "lake/manifest.changes-1";
  Manifest manifest;
  ManifestStore store(*world.disk, "lake");
  EXPECT_TRUE(store.Load().files.empty());
  EXPECT_FALSE(store.Certain());
  store.SaveSnapshot(manifest);
  uint64_t snapshots = 1;
  ManifestFile file;
  file.stream = {1};
  for (uint64_t i = 1; i <= 10'000; i++) {
    file.path = "events/dt=2023-11-14/hour=22/" + std::to_string(i) + ".parquet";
    file.first = file.last = {i};
    file.rows = 1;
    ManifestChange change;
    change.landed = manifest.landed = {i};
    if (i == 1) change.folders[1] = manifest.folders[1] = "events";
    change.added = {file};
    manifest.files.push_back(file);
    store.Append(change);
    if (store.WantsSnapshot()) {
      store.SaveSnapshot(manifest);
      snapshots++;
    }
  }
  EXPECT_GT(snapshots, 2u);
  EXPECT_LT(snapshots, 12u);
  ManifestStore again(*world.disk, "lake");
  Manifest read = again.Load();
  EXPECT_FALSE(again.Torn());
  EXPECT_EQ(read.landed, Offset{10'000});
  EXPECT_EQ(read.folders.at(1), "events");
  ASSERT_EQ(read.files.size(), 10'000u);
  EXPECT_EQ(read.files[9'998].first, Offset{9'999});
  size_t kept = 0;
  for (auto& name : world.disk->List("lake")) kept += name.starts_with("manifest.changes");
  EXPECT_LE(kept, 1u);
}

ManifestFile FileOf(uint64_t first, uint64_t last, uint64_t rows, int64_t hour) {
  ManifestFile file;
  file.stream = {1};
  file.path = "events/" + std::to_string(first);
  file.first = {first};
  file.last = {last};
  file.rows = rows;
  file.arrived_first = hour * kHour;
  file.arrived_last = hour * kHour + 1;
  return file;
}

TEST(LakeDamage, AManifestThatContradictsItselfIsRefused) {
  auto loads = [](std::vector<ManifestFile> files, uint64_t held = 100) {
    Manifest manifest;
    manifest.landed = {100};
    if (held < 100) manifest.held[1] = {held};
    manifest.files = std::move(files);
    try {
      Manifest read = LoadManifest(SaveManifest(manifest));
      EXPECT_EQ(read.held, manifest.held);
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  EXPECT_TRUE(loads({FileOf(1, 50, 50, 7), FileOf(51, 100, 10, 7)}));
  EXPECT_TRUE(loads({FileOf(1, 50, 50, 7)}, 50));
  EXPECT_FALSE(loads({FileOf(1, 50, 50, 7), FileOf(50, 100, 10, 7)}));  // overlap
  EXPECT_FALSE(loads({FileOf(1, 50, 51, 7)}));                          // more rows than offsets
  EXPECT_FALSE(loads({FileOf(1, 50, 0, 7)}));
  EXPECT_FALSE(loads({FileOf(0, 50, 50, 7)}));
  EXPECT_FALSE(loads({FileOf(50, 1, 1, 7)}));
  EXPECT_FALSE(loads({FileOf(1, 101, 50, 7)}));  // beyond what has landed
  EXPECT_FALSE(loads({FileOf(1, 50, 50, 7)}, 49));
  EXPECT_FALSE(loads({FileOf(1, 50, 50, 7), FileOf(51, 100, 10, 6)}));  // back in time
  ManifestFile hours = FileOf(1, 50, 50, 7);
  hours.arrived_last += 2 * kHour;
  EXPECT_TRUE(loads({hours, FileOf(51, 100, 10, 9)}));
  EXPECT_FALSE(loads({hours, FileOf(51, 100, 10, 8)}));
  ManifestFile days = FileOf(1, 50, 50, 23);
  days.arrived_last += 2 * kHour;
  EXPECT_FALSE(loads({days}));  // days stay apart
  ManifestFile backwards = FileOf(1, 50, 50, 7);
  backwards.arrived_last = backwards.arrived_first - 1;
  EXPECT_FALSE(loads({backwards}));
}

// A Parquet file as far as seals are concerned.
std::string PlainFile(size_t data, const std::string& footer = "footer") {
  std::string bytes(data, '\0');
  for (size_t i = 0; i < data; i++) bytes[i] = static_cast<char>(i * 31 + i / 251);
  bytes += footer;
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(footer.size() >> shift);
  return bytes + "PAR1";
}

TEST(SealedFile, ReadsWhatWasSealedInPiecesOfAnySize) {
  for (size_t data :
       {size_t{0}, size_t{1}, size_t{65535}, size_t{65536}, size_t{65537}, size_t{300'000}}) {
    SimulatedDisk disk;
    std::string plain = PlainFile(data);
    auto file = disk.Open("f", OpenMode::kCreate);
    file->Write(0, plain);
    Seal seal = SealFile(*file, "f");
    EXPECT_EQ(file->Size(), seal.bytes);
    auto sealed = OpenSealed(disk, {"f", "\"f\"", seal});
    std::string whole(seal.bytes, '\0');
    ASSERT_EQ(sealed->Read(0, whole), seal.bytes);
    EXPECT_EQ(whole.substr(0, data), plain.substr(0, data));
    EXPECT_EQ(whole.substr(whole.size() - 14), plain.substr(data));  // the footer is the end again
    for (size_t size : {size_t{1}, size_t{13}, size_t{65536}, size_t{100'000}}) {
      size_t step = size < 20 ? 40'009 : size;
      for (size_t position = 0; position <= seal.bytes; position += step) {
        std::string piece(size, '\0');
        piece.resize(sealed->Read(position, piece));
        ASSERT_EQ(piece, whole.substr(position, size)) << position;
      }
    }
  }
}

// What follows the data is read at once when it is short, and in pieces when it is not.
TEST(SealedFile, AFooterMayBeLongerThanABlock) {
  for (size_t length : {size_t{65'400}, size_t{65'500}, size_t{65'536}, size_t{200'000}}) {
    SimulatedDisk disk;
    std::string plain = PlainFile(100'000, std::string(length, 'f'));
    auto file = disk.Open("f", OpenMode::kCreate);
    file->Write(0, plain);
    Seal seal = SealFile(*file, "f");
    std::string whole(seal.bytes, '\0');
    ASSERT_EQ(OpenSealed(disk, {"f", "\"f\"", seal})->Read(0, whole), seal.bytes);
    EXPECT_EQ(whole.substr(0, 100'000), plain.substr(0, 100'000));
    EXPECT_EQ(whole.substr(whole.size() - length - 8), plain.substr(100'000));
    disk.FlipByte("f", seal.bytes - length, 1);
    EXPECT_THROW(OpenSealed(disk, {"f", "\"f\"", seal}), LakeFileDamaged);
  }
}

TEST(SealedFile, WhatIsNoParquetIsNotSealed) {
  SimulatedDisk disk;
  auto file = disk.Open("f", OpenMode::kCreate);
  EXPECT_THROW(SealFile(*file, "f"), LakeFileDamaged);
  file->Write(0, "1234567");
  EXPECT_THROW(SealFile(*file, "f"), LakeFileDamaged);
  file->Write(0, std::string("\x01\0\0\0PAR1", 8));
  EXPECT_THROW(SealFile(*file, "f"), LakeFileDamaged) << "a footer longer than the file";
  file->Write(0, std::string("\0\0\0\0PAR1", 8));
  EXPECT_NO_THROW(SealFile(*file, "f"));
  EXPECT_THROW(OpenSealed(disk, {"f", "\"f\"", Seal{8, 0}}), LakeFileDamaged);
}

TEST(SealedFile, NoBitAndNoLengthMayChange) {
  SimulatedDisk disk;
  auto file = disk.Open("f", OpenMode::kCreate);
  file->Write(0, PlainFile(200'000));
  Seal seal = SealFile(*file, "f");
  auto wrong = [&](const SimulatedDisk& as) {
    auto copy = as.KillState();
    try {
      auto sealed = OpenSealed(*copy, {"f", "\"f\"", seal});
      std::string whole(seal.bytes, '\0');
      sealed->Read(0, whole);
      return false;
    } catch (const LakeFileDamaged& damaged) {
      EXPECT_EQ(damaged.path, "f");
      EXPECT_EQ(damaged.code, ErrorCode::kCorruption);
      return true;
    }
  };
  EXPECT_FALSE(wrong(disk));
  for (uint64_t position = 0; position < seal.bytes;
       position += position + 200 < 200'000 ? 997 : 1) {
    disk.FlipByte("f", position, static_cast<uint8_t>(1 << position % 8));
    EXPECT_TRUE(wrong(disk)) << position;
    disk.FlipByte("f", position, static_cast<uint8_t>(1 << position % 8));
  }
  EXPECT_FALSE(wrong(disk));
  for (uint64_t length : {uint64_t{0}, uint64_t{5}, uint64_t{100'000}, seal.bytes - 1}) {
    auto copy = disk.KillState();
    copy->Open("f", OpenMode::kReadWrite)->Truncate(length);
    EXPECT_TRUE(wrong(*copy)) << length;
  }
  file->Write(seal.bytes, "x");
  EXPECT_TRUE(wrong(disk));
}

}  // namespace
}  // namespace weir
