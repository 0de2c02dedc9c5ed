// Trouble that is not the disk's refusal: rows, files and definitions that are not what they should
// be cost what they must and nothing else.
#include <chrono>
#include <functional>
#include <thread>

#include "lake/scrub.h"
#include "lake/test_lake.h"

namespace weir {
namespace {

constexpr const char* kHourFolder = "lake/events/dt=2023-11-14/hour=22/";

// Calls somebody whenever a file is opened to be read.
struct RottingDisk : SimulatedDisk {
  std::unique_ptr<File> Open(const std::string& path, OpenMode mode) override {
    if (mode == OpenMode::kRead && on_read) on_read(path);
    return SimulatedDisk::Open(path, mode);
  }
  std::function<void(const std::string&)> on_read;
};

// The log forgets what a file holds on the strength of the file: it is read back before.
TEST(LakeTrouble, AFileThatIsNotAsItWasWrittenIsNotPublished) {
  auto disk = std::make_unique<RottingDisk>();
  auto& watched = *disk;
  World world(std::move(disk));
  world.Declare(MakeStream(2, "others", {{"x", LogicalType::BIGINT}}));
  world.Open();
  world.AppendEvents(100);
  world.Append(*MakeStream(2, "others", {{"x", LogicalType::BIGINT}}),
               {{duckdb::Value::BIGINT(5)}});
  int rotten = 0;
  watched.on_read = [&](const std::string& path) {
    if (path != std::string(kHourFolder) + ".1-100.parquet.tmp") return;
    watched.FlipByte(path, watched.FileSize(path) - 20, 1);
    rotten++;
  };
  world.lake->LandNow();
  EXPECT_GT(rotten, 0);
  EXPECT_EQ(world.lake->LandedOf({1}), Offset{0});
  EXPECT_EQ(world.lake->LandedOf({2}), Offset{101});
  ASSERT_EQ(world.lake->Health().held.size(), 1u);
  EXPECT_TRUE(Contains(world.lake->Health().held[0].why, "is damaged"));
  EXPECT_FALSE(watched.Exists(std::string(kHourFolder) + "1-100.parquet"));
  EXPECT_EQ(world.ScanEvents().size(), 100u);
  watched.on_read = nullptr;
  world.lake->LandNow();
  EXPECT_EQ(world.lake->LandedOf({1}), Offset{101});
  EXPECT_EQ(world.ScanEvents().size(), 100u);
}

TEST(LakeTrouble, ALogThatIsNotOfTheLakesAgeIsRefused) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  auto empty_log = world.disk->KillState();
  for (int i = 0; i < 20; i++) world.AppendEvents(1000);
  world.lake->LandNow();
  EXPECT_GT(world.log->Begin(), Offset{1});
  world.lake.reset();
  world.log.reset();
  auto whole = world.disk->KillState();
  auto refusal = [](World& old) {
    try {
      old.Open(1 << 20);
    } catch (const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::kCorruption);
      return error.message;
    }
    return std::string();
  };
  {
    World lost_log(whole->KillState());
    for (auto& name : lost_log.disk->List("log")) {
      if (name.starts_with("segment")) lost_log.disk->LoseFile("log/" + name);
    }
    EXPECT_EQ(refusal(lost_log),
              "the lake is complete up to offset 20000 but the log holds 1 to 0");
  }
  {
    World lost_lake(whole->KillState());
    for (auto& name : lost_lake.disk->List("lake")) {
      if (name.starts_with("manifest")) lost_lake.disk->LoseFile("lake/" + name);
    }
    EXPECT_TRUE(
        Contains(refusal(lost_lake), "the lake is complete up to offset 0 but the log holds"));
  }
}

TEST(LakeTrouble, ARecordWithAnotherNumberOfRowsThanItSaysIsHeldBack) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  auto events = Events();
  AppendAndWait(
      *world.log,
      Unit(MakeRecord(EncodeBlock(Rows(*events, {{duckdb::Value::BIGINT(1), duckdb::Value("a")}}),
                                  events->Types()),
                      2)));
  world.lake->LandNow();
  auto health = world.lake->Health();
  ASSERT_EQ(health.held.size(), 1u);
  EXPECT_TRUE(Contains(health.held[0].why, "a log record of 2 rows holds 1")) << health.held[0].why;
}

// A merge that fails leaves its files as they are, and is not tried again and again.
TEST(LakeTrouble, FilesThatCannotBeMergedStayAndStopNothing) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  for (int i = 0; i < 3; i++) {
    world.AppendEvents(10);
    world.lake->LandNow();
  }
  world.disk->FlipByte(std::string(kHourFolder) + "11-20.parquet", 10, 1);  // nobody knows yet
  world.clock.Advance(kHour);
  world.AppendEvents(10);
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Landed(), Offset{40});
  EXPECT_EQ(world.ParquetFiles().size(), 4u);
  // What is read, not what is written: the log writes a mark when it has been idle for a while.
  uint64_t looks = world.disk->Looks();
  world.lake->LandNow();
  EXPECT_EQ(world.disk->Looks(), looks) << "there is nothing to do";
  EXPECT_EQ(world.ScanEvents({20}).size(), 20u);
}

// What a crash left over may be what a missing file was made of, or into.
TEST(LakeTrouble, LeftoversStayWhileAFileIsMissing) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.AppendEvents(10);
  world.lake->LandNow();
  world.lake->SetRetain({0});
  world.AppendEvents(10);
  std::string left = std::string(kHourFolder) + ".11-20.parquet.tmp";
  for (uint64_t call = 1; !world.disk->Exists(left); call++) {
    ASSERT_LT(call, 50u);
    world.lake.reset();
    world.log.reset();
    auto copy = world.disk->KillState();
    World crashed(std::move(copy));
    crashed.Open();
    crashed.disk->FailCall(call, SimulatedDisk::Fault::kPowerCut);
    try {
      crashed.lake->LandNow();
    } catch (const std::exception&) {
    }
    if (crashed.disk->Exists(left)) world.disk = crashed.disk->KillState();
  }
  auto left_over = world.disk->KillState();
  std::string lost = std::string(kHourFolder) + "1-10.parquet";
  std::string kept_bytes = ReadWholeFile(*world.disk, lost);
  world.disk->LoseFile(lost);
  for (int life = 0; life < 2; life++) {  // they are known in the next life, too
    World damaged(world.disk->KillState());
    damaged.Open();
    EXPECT_EQ(damaged.lake->Health().damaged.size(), 1u);
    EXPECT_TRUE(damaged.disk->Exists(left)) << life;
    damaged.AppendEvents(1);
    damaged.lake.reset();
    damaged.log.reset();
    world.disk = damaged.disk->KillState();
  }
  world.disk->Open(lost, OpenMode::kCreate)->Write(0, kept_bytes);  // put back
  World mended(world.disk->KillState());
  mended.Open();
  EXPECT_TRUE(mended.lake->Health().damaged.empty());
  EXPECT_FALSE(mended.disk->Exists(left));
  mended.ExpectAllEvents();
}

// A full disk keeps nobody from opening what is there: leftovers wait for room.
TEST(LakeTrouble, AFullDiskWhileItOpensOnlyDelays) {
  std::unique_ptr<SimulatedDisk> crashed;
  for (uint64_t call = 1; !crashed; call++) {
    World world(std::make_unique<SimulatedDisk>());
    world.Open();
    world.AppendEvents(100);
    world.disk->FailCall(call, SimulatedDisk::Fault::kPowerCut);
    ASSERT_THROW(world.lake->LandNow(), std::exception);
    if (!world.ParquetFiles().empty()) crashed = world.disk->KillState();
  }
  uint64_t opened = 0;
  for (uint64_t call = 1; call <= 12; call++) {
    SCOPED_TRACE(call);
    World full(crashed->KillState());
    LogOptions options;
    options.directory = "log";
    options.segment_bytes = 64 << 10;
    full.log = Log::Open(*full.disk, full.clock, options);
    full.disk->FailCall(call, SimulatedDisk::Fault::kNoSpace);
    LakeOptions lake;
    lake.directory = "lake";
    try {
      full.lake = Lake::Open(*full.disk, full.clock, full.catalog, *full.log, lake);
      opened++;
    } catch (const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::kUnavailable);
      full.lake = Lake::Open(*full.disk, full.clock, full.catalog, *full.log, lake);
    }
    full.ExpectAllEvents();
    full.lake->LandNow();
    EXPECT_EQ(full.ParquetFiles().size(), 1u);
    full.ExpectAllEvents();
  }
  EXPECT_GT(opened, 4u);
}

// ---- the writer's thread ------------------------------------------------------------------------

TEST(LakeTrouble, ARoundThatFailsIsToldAndTheRowsAreReadFromTheLog) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open(1000);
  world.disk->SetCapacity(200'000);
  world.lake->Start();
  world.AppendEvents(1000);
  world.disk->SetCapacity(1);
  world.lake->Stop();
  world.lake.reset();
  world.log.reset();
  World full(world.disk->KillState());
  full.disk->SetCapacity(1);
  full.Open(1000, 1000);
  full.lake->Start();
  EXPECT_TRUE(Soon([&] { return full.lake->Health().failures == 1; }));
  EXPECT_TRUE(Contains(full.lake->Health().failure, "no space left"))
      << full.lake->Health().failure;
  full.ExpectAllEvents();
  full.lake->Stop();
}

// The log does not take what landing needs to make room.
TEST(LakeTrouble, ADiskThatIsFullOfLogIsMadeRoomOn) {
  for (uint64_t keep_free : {0, 400'000}) {
    World world(std::make_unique<SimulatedDisk>());
    world.disk->SetCapacity(2'000'000);
    world.keep_free = keep_free;
    world.Open();
    uint64_t before = 0;
    for (int round = 0; round < 3; round++) {
      EXPECT_THROW(
          {
            while (true) world.AppendEvents(100);
          },
          Error);
      EXPECT_FALSE(world.log->Failed());
      EXPECT_GT(world.log->End().value, before);
      before = world.log->End().value;
      if (keep_free == 0) {
        EXPECT_THROW(world.lake->LandNow(), Error);  // and so it stays
        break;
      }
      EXPECT_GT(world.disk->SpaceOf("log").free, keep_free / 2);
      world.lake->LandNow();
      EXPECT_GT(world.log->Begin(), Offset{1});
    }
    world.disk->SetCapacity(UINT64_MAX);
    world.ExpectAllEvents();
  }
}

// Nothing comes in any more, and yet the small files of an hour that is over become one.
TEST(LakeTrouble, TheWriterMergesAnHoursFilesOnceItIsOver) {
  Micros hour_end = Micros{1'700'000'000'000'000} / kHour * kHour + kHour;
  World world(std::make_unique<SimulatedDisk>(), hour_end - 100'000);
  world.Open(1 << 20, 20'000);
  for (int i = 0; i < 3; i++) {
    world.AppendEvents(10);
    world.lake->LandNow();
  }
  ASSERT_EQ(world.ParquetFiles().size(), 3u);
  world.clock.Advance(200'000);
  world.lake->Start();
  EXPECT_TRUE(Soon([&] { return world.lake->Info().at(0).files == 1; }));
  world.lake->Stop();
  world.ExpectAllEvents();
}

// ---- files that are damaged ---------------------------------------------------------------------

std::unique_ptr<SimulatedDisk> DiskWithFile() {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.lake->SetRetain({0});
  world.AppendEvents(3000);
  world.lake->LandNow();
  world.lake.reset();
  world.log.reset();
  return world.disk->KillState();
}
const std::string kLanded = std::string(kHourFolder) + "1-3000.parquet";

// The definition is lost, too: then the file stays as it is, and the lake goes on.
TEST(LakeTrouble, AFileThatCannotBeMadeAgainStaysDamaged) {
  World world(DiskWithFile());
  world.catalog.Change([](CatalogState& state) { state.streams.clear(); });
  world.disk->CutFile(kLanded, 1000);
  world.Open();
  world.lake->SetRetain({0});
  auto other = MakeStream(2, "others", {{"x", LogicalType::BIGINT}});
  world.Declare(other);
  world.Append(*other, {{duckdb::Value::BIGINT(5)}});
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Landed(), world.log->End());
  EXPECT_EQ(world.lake->Health().mended, 0u);
  EXPECT_EQ(world.lake->Health().damaged.size(), 1u);
}

// The log has those rows, but their bytes are no better.
TEST(LakeTrouble, AFileWhoseRowsAreDamagedInTheLogStaysDamaged) {
  World world(DiskWithFile());
  world.disk->CutFile(kLanded, 1000);
  world.Open();
  world.lake->SetRetain({0});
  auto segment = world.log->Segments(Offset{0}, Offset{1}).segments.at(0).path;
  world.disk->FlipByte(segment, 8192 + 1000, 1);
  world.AppendEvents(1);
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Landed(), Offset{3001});
  EXPECT_EQ(world.lake->Health().mended, 0u);
  ASSERT_EQ(world.lake->Health().damaged.size(), 1u);
  EXPECT_TRUE(world.disk->Exists(kLanded));
}

// Files of versions before there were checksums: Parquet says what it can of them.
TEST(LakeTrouble, AFileWithoutChecksumsIsReadAndItsCutIsSeen) {
  auto disk = DiskWithFile();
  {
    ManifestStore store(*disk, "lake");
    Manifest manifest = store.Load();
    ASSERT_EQ(manifest.files.size(), 1u);
    manifest.files[0].seal.reset();
    store.SaveSnapshot(manifest);
  }
  World world(std::move(disk));
  world.Open();
  world.ExpectAllEvents();
  world.AppendEvents(10);
  world.clock.Advance(kHour);
  world.AppendEvents(10);
  world.lake->LandNow();
  EXPECT_TRUE(world.disk->Exists(kLanded)) << "it is not merged";
  world.ExpectAllEvents();
  world.disk->CutFile(kLanded, 1000);
  EXPECT_THROW(world.ScanEvents(), std::exception);
  EXPECT_EQ(world.ScanEvents({3000}).size(), 20u);
}

TEST(LakeTrouble, AFullDiskDelaysMendingAndTheOldFileStaysUntilThen) {
  World world(DiskWithFile());
  world.disk->CutFile(kLanded, 1000);
  world.Open();
  world.lake->SetRetain({0});
  world.disk->SetCapacity(1);
  EXPECT_THROW(world.lake->LandNow(), std::exception);
  EXPECT_TRUE(world.disk->Exists(kLanded));
  EXPECT_EQ(world.lake->Health().damaged.size(), 1u);
  world.disk->SetCapacity(UINT64_MAX);
  world.lake.reset();  // a start looks at all files
  world.log.reset();
  World again(world.disk->KillState());
  again.Open();
  again.lake->SetRetain({0});
  again.lake->LandNow();
  EXPECT_EQ(again.lake->Health().mended, 1u);
  again.ExpectAllEvents();
  EXPECT_FALSE(again.disk->Exists(kLanded));
}

// A disk that cannot be read at the moment says nothing about the bytes on it.
TEST(LakeTrouble, AScrubThatCannotReadNowBlamesNoFile) {
  World world(DiskWithFile());
  world.Open(1 << 20, kMinute, 100 << 20);
  world.disk->FailReads(true);
  world.lake->Start();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(world.lake->Health().checked_bytes, 0u);
  EXPECT_TRUE(world.lake->Health().damaged.empty());
  world.disk->FailReads(false);
  world.lake->Suspect({1});
  EXPECT_TRUE(
      Soon([&] { return world.lake->Health().checked_bytes >= world.disk->FileSize(kLanded); }));
  EXPECT_TRUE(world.lake->Health().damaged.empty());
}

TEST(LakeTrouble, NothingIsReadAgainAfterTheLakeWasStopped) {
  World world(DiskWithFile());
  world.Open(1 << 20, kMinute, 100 << 20);
  world.lake->Start();
  EXPECT_TRUE(Soon([&] { return world.lake->Health().checked_bytes > 0; }));
  world.lake->Stop();
  uint64_t looks = world.disk->Looks();
  world.lake->Suspect({1});
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(world.disk->Looks(), looks);
}

TEST(LakeTrouble, ADiskThatCannotBeReadIsNoDamageToAFile) {
  World world(DiskWithFile());
  world.Open();
  world.disk->FailReads(true);
  EXPECT_THROW(world.ScanEvents(), std::exception);
  world.disk->FailReads(false);
  EXPECT_TRUE(world.lake->Health().damaged.empty());
  world.ExpectAllEvents();
}

TEST(LakeTrouble, AScrubGoesNoFasterThanItIsTold) {
  World world(DiskWithFile());
  uint64_t size = world.disk->FileSize(kLanded);
  world.Open(1 << 20, kMinute, size * 4);  // a quarter of a second
  auto begin = std::chrono::steady_clock::now();
  world.lake->Start();
  EXPECT_TRUE(Soon([&] { return world.lake->Health().checked_bytes == size; }));
  world.lake->Suspect({1});
  EXPECT_TRUE(Soon([&] { return world.lake->Health().checked_bytes == 2 * size; }));
  EXPECT_GT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(200));
}

}  // namespace
}  // namespace weir
