// Small files become larger ones: within the hour, when it is over, and when the day is.
#include <atomic>
#include <thread>

#include "base/test_allocations.h"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "io/disk/small_file.h"
#include "lake/compaction.h"
#include "lake/disk_file_system.h"
#include "lake/storage.h"
#include "lake/test_lake.h"

namespace weir {
namespace {

// 2023-11-14 22:13:20: two hours of that day, then the next one.
void AppendThreeHours(World& world) {
  for (int hour = 0; hour < 3; hour++) {
    world.AppendEvents(10);
    world.clock.Advance(kHour);
  }
}

const std::set<std::string> kMerged = {
    "lake/events/dt=2023-11-14/hour=__HIVE_DEFAULT_PARTITION__/1-20.parquet",
    "lake/events/dt=2023-11-15/hour=00/21-30.parquet"};

TEST(LakeMerges, HoursOfADayBecomeOneFileWhenItIsOver) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  AppendThreeHours(world);
  world.lake->LandNow();
  EXPECT_EQ(world.ParquetFiles(), kMerged);
  // The hours' folders are gone with their files.
  EXPECT_EQ(world.disk->List("lake/events/dt=2023-11-14"),
            std::vector<std::string>{"hour=__HIVE_DEFAULT_PARTITION__"});
  world.ExpectAllEvents();
  EXPECT_EQ(world.ScanEvents({5}, Offset{15}).size(), 10u);
  EXPECT_EQ(world.lake->Info().at(0).files, 2u);
  EXPECT_EQ(world.lake->Info().at(0).rows, 30u);
  // And all that after a restart.
  world.lake.reset();
  world.log.reset();
  world.Open();
  EXPECT_EQ(world.lake->Info().at(0).rows, 30u);
  world.ExpectAllEvents();
}

TEST(LakeMerges, HoursStayApartUntilTheirDayIsOver) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.AppendEvents(10);
  world.clock.Advance(kHour);
  world.AppendEvents(10);
  world.lake->LandNow();
  world.lake->LandNow();
  EXPECT_EQ(world.ParquetFiles().size(), 2u);
  world.clock.Advance(kHour);
  world.lake->LandNow();
  EXPECT_EQ(world.ParquetFiles(), std::set<std::string>{*kMerged.begin()});
}

TEST(LakeMerges, AYearOfAFewEventsAnHourIsAFileADay) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  constexpr int kDays = 5;  // as good as a year
  for (int hour = 0; hour < 24 * kDays; hour++) {
    world.AppendEvents(3);
    world.clock.Advance(kHour);
    world.lake->LandNow();
  }
  // It began at 22:13 and ends at 22:13.
  EXPECT_LE(world.lake->Info().at(0).files, kDays + 23u);
  size_t whole_days = 0;
  for (auto& path : world.ParquetFiles()) whole_days += path.find("__HIVE") != std::string::npos;
  EXPECT_EQ(whole_days, size_t{kDays});
  world.ExpectAllEvents();
}

TEST(LakeMerges, WhatWasHeldBackIsMergedWhenItComes) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  AppendThreeHours(world);
  world.lake->LandNow();
  // A stream that the catalog does not know yet.
  auto other = MakeStream(2, "other", {{"value", LogicalType::DOUBLE}});
  for (int i = 0; i < 3; i++) {
    world.Append(*other, {{duckdb::Value::DOUBLE(0.5)}});
    world.clock.Advance(kHour);
    world.lake->LandNow();
  }
  world.clock.Advance(24 * kHour);
  world.Declare(other);
  world.lake->LandNow();
  EXPECT_TRUE(world.lake->Health().held.empty());
  EXPECT_TRUE(world.ParquetFiles().contains(
      "lake/other/dt=2023-11-15/hour=__HIVE_DEFAULT_PARTITION__/31-33.parquet"));
}

// DuckDB as anybody has it: what it says of the partitions of these files.
std::string AskOfPartitions(SimulatedDisk& disk, const std::set<std::string>& paths,
                            const std::string& select) {
  duckdb::DuckDB database(nullptr);
  DiskFiles files;
  database.GetFileSystem().RegisterSubSystem(MakeDiskFileSystem(disk, files));
  duckdb::Connection connection(database);
  std::string list;
  for (auto& path : paths) list += (list.empty() ? "" : ", ") + QuotedText(kDiskPrefix + path);
  auto result = connection.Query("SELECT string_agg(r::VARCHAR, ' ' ORDER BY r) FROM (" + select +
                                 " FROM read_parquet([" + list +
                                 "], hive_partitioning = true) GROUP BY ALL) r");
  return result->HasError() ? result->GetError() : result->GetValue(0, 0).ToString();
}

TEST(LakeMerges, OthersReadTheDayAndNoHourOfAWholeDay) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  AppendThreeHours(world);
  world.lake->LandNow();
  EXPECT_EQ(AskOfPartitions(*world.disk, world.ParquetFiles(),
                            "SELECT dt, hour::INTEGER AS hour, count(*) AS n"),
            "{'dt': 2023-11-14, 'hour': NULL, 'n': 20} {'dt': 2023-11-15, 'hour': 0, 'n': 10}");
  // The hour is to be had of the rows.
  EXPECT_EQ(
      AskOfPartitions(*world.disk, world.ParquetFiles(),
                      "SELECT epoch_us(_arrival_time) // 3600000000 % 24 AS h, count(*) AS n"),
      "{'h': 0, 'n': 10} {'h': 22, 'n': 10} {'h': 23, 'n': 10}");
}

TEST(LakeMerges, APinnedFileOutlivesTheMergeOfItsDay) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.AppendEvents(10);
  world.lake->LandNow();
  auto pinned = world.lake->Pin({{1}}, world.log->End());
  world.clock.Advance(kHour);
  world.AppendEvents(10);
  world.clock.Advance(kHour);
  world.lake->LandNow();
  EXPECT_TRUE(world.disk->Exists("lake/events/dt=2023-11-14/hour=22/1-10.parquet"));
  EXPECT_FALSE(world.disk->Exists("lake/events/dt=2023-11-14/hour=23"));
  pinned.pin.reset();
  world.lake->LandNow();
  EXPECT_FALSE(world.disk->Exists("lake/events/dt=2023-11-14/hour=22"));
  EXPECT_EQ(world.ParquetFiles(), std::set<std::string>{*kMerged.begin()});
}

TEST(LakeMerges, WhoReadsMeanwhileSeesEveryRowOnce) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  std::atomic<uint64_t> last = world.AppendEvents(10).value;
  std::atomic<bool> done = false;
  std::thread reader([&] {
    for (int scans = 0; !done || scans == 0; scans++) {
      uint64_t up_to = last;
      auto events = world.ScanEvents({0}, Offset{up_to});
      ASSERT_EQ(events.size(), up_to);
      for (size_t i = 0; i < events.size(); i++) ASSERT_EQ(events[i].first, i + 1);
    }
  });
  for (int hour = 0; hour < 75; hour++) {
    world.clock.Advance(kHour);
    last = world.AppendEvents(10).value;
    world.lake->LandNow();
  }
  done = true;
  reader.join();
  EXPECT_LE(world.lake->Info().at(0).files, 3u + 24u);
}

PublishedFilePtr PublishedOf(uint64_t first, uint64_t rows, uint64_t bytes, int64_t hour) {
  auto file = std::make_shared<PublishedFile>();
  file->stream = {1};
  file->path = "events/dt=1970-01-11/hour=00/" + std::to_string(first);
  file->first = {first};
  file->last = {first + rows - 1};
  file->rows = rows;
  file->bytes = bytes;
  file->arrived_first = hour * kHour;
  file->arrived_last = hour * kHour + kMinute;
  return file;
}

TEST(LakeMerges, WhatIsMergedHasABoundInRowsAndInBytes) {
  auto any = [](const PublishedFile&) { return true; };
  FileList files;
  for (int i = 0; i < 10; i++) files.push_back(PublishedOf(1 + 10 * i, 10, 1000, 240 + i));
  EXPECT_EQ(PlanMerges(files, 264, {1000, 100'000}, any).size(), 1u);
  EXPECT_EQ(PlanMerges(files, 264, {50, 100'000}, any).size(), 2u);
  auto runs = PlanMerges(files, 264, {1000, 3500}, any);
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].size(), 3u);
  EXPECT_TRUE(PlanMerges(files, 264, {1000, 2000}, any).empty());     // each has half of it
  EXPECT_TRUE(PlanMerges(files, 263, {1000, 100'000}, any).empty());  // the day is not over
}

TEST(LakeMerges, TenThousandFilesCostAPublicationNothing) {
  SimulatedDisk disk;
  Manifest manifest;
  constexpr uint64_t kFiles = 10'000;
  manifest.landed = {kFiles};
  manifest.folders[1] = "events";
  disk.MakeDirectories("lake/events");
  for (uint64_t i = 0; i < kFiles; i++) {
    ManifestFile file = *PublishedOf(i + 1, 1, 1, static_cast<int64_t>(i));
    file.path = "events/" + std::to_string(i);
    disk.Open("lake/" + file.path, OpenMode::kCreate)->Write(0, "x");
    manifest.files.push_back(file);
  }
  ManifestStore(disk, "lake").SaveSnapshot(manifest);
  LakeFiles files(disk, "lake");
  files.Settle();
  EXPECT_EQ(files.TakeTouched().size(), (kFiles + 23) / 24);  // once
  EXPECT_TRUE(files.TakeTouched().empty());
  EXPECT_EQ(files.Totals().at(1).rows, kFiles);
  // One more file: nothing but its day is looked at, and what is read of it is its day.
  ManifestFile more = *PublishedOf(kFiles + 1, 1, 1, kFiles);
  files.Intend({more.path});
  files.Publish({{kFiles + 1}, {}, {more}, {}});
  auto touched = files.TakeTouched();
  ASSERT_EQ(touched.size(), 1u);
  EXPECT_LE(files.OfDay(*touched.begin())->size(), 24u);
  EXPECT_EQ(files.Totals().at(1).files, kFiles + 1);
  EXPECT_EQ(files.Totals().at(1).last, Offset{kFiles + 1});
  // And one file's worth of a range is found without the others.
  auto part = files.Of({{1}}, Offset{5000}, Offset{5001});
  ASSERT_EQ(part.files[0].size(), 1u);
  EXPECT_EQ(part.files[0][0]->first, Offset{5001});
  EXPECT_EQ(files.Of({{1}}, Offset{4990}, Offset{5020}).files[0].size(), 30u);
  EXPECT_EQ(files.ArrivedBefore({1}, 5000 * kHour), Offset{5000});
  EXPECT_EQ(files.All().size(), kFiles + 1);
}

// Of files that become one, while memory is wanting at each point in turn: they are there or not,
// in all that is told of them alike, and once it is done again all is well.
TEST(LakeMerges, APublicationWithoutMemoryMidwayIsCountedOnce) {
  int failed = 0;
  for (int64_t n = 0;; n++) {
    SimulatedDisk disk;
    Manifest manifest;
    manifest.landed = {40};
    manifest.folders[1] = "events";
    for (uint64_t i = 0; i < 3; i++) {
      ManifestFile file = *PublishedOf(10 * i + 1, 10, 1, 5);
      file.path = "events/" + std::to_string(i);
      manifest.files.push_back(file);
    }
    disk.MakeDirectories("lake/events");
    for (auto& file : manifest.files) {
      disk.Open("lake/" + file.path, OpenMode::kCreate)->Write(0, "x");
    }
    ManifestStore(disk, "lake").SaveSnapshot(manifest);
    LakeFiles files(disk, "lake");
    files.Settle();
    ManifestFile merged = *PublishedOf(1, 20, 2, 5), more = *PublishedOf(41, 10, 1, 400);
    merged.path = "events/merged";
    more.path = "events/more";
    files.Intend({merged.path, more.path});
    for (auto* file : {&merged, &more}) {
      disk.Open("lake/" + file->path, OpenMode::kCreate)->Write(0, "x");
    }
    auto publish = [&] {
      auto all = files.All();
      files.Publish({{50}, {{7, {45}}}, {merged, more}, {all[0], all[1]}});
    };
    auto check = [&](bool done) {
      auto part = files.Of({{1}}, Offset{0}, Offset{50});
      uint64_t rows = 0, bytes = 0;
      for (auto& file : part.files[0]) {
        rows += file->rows;
        bytes += file->bytes;
      }
      EXPECT_EQ(part.files[0].size(), 3u);
      EXPECT_EQ(rows, done ? 40u : 30u);
      EXPECT_EQ(part.landed[0], Offset{done ? 50u : 40u});
      auto total = files.Totals().at(1);
      EXPECT_EQ(total.files, 3u);
      EXPECT_EQ(total.rows, rows);
      EXPECT_EQ(total.bytes, bytes);
    };
    FailingAllocations::After(n);
    bool done = false;
    try {
      publish();
      done = true;
    } catch (const std::bad_alloc&) {
      failed++;
    }
    FailingAllocations::Never();
    check(files.Landed() == Offset{50});
    files.Settle();
    if (files.Landed() != Offset{50}) {
      EXPECT_FALSE(done);
      files.Intend({merged.path, more.path});
      for (auto* file : {&merged, &more}) {
        disk.Open("lake/" + file->path, OpenMode::kCreate)->Write(0, "x");
      }
      publish();
    }
    check(true);
    if (!FailingAllocations::Happened()) break;
  }
  EXPECT_GT(failed, 30);
}

TEST(LakeMerges, AnEntryThatSaysOnlyItsHourIsOfTheWholeHour) {
  std::string json =
      R"({"version": 2, "number": 1, "landed": 10, "held": [], "folders": [], "files": [
      {"stream": 1, "first": 1, "last": 10, "rows": 10, "bytes": 5, "hour": 7, "path": "a"}]})";
  auto file = LoadManifest(json).files.at(0);
  EXPECT_EQ(file.arrived_first, 7 * kHour);
  EXPECT_EQ(file.arrived_last, 8 * kHour - 1);
  EXPECT_EQ(file.FirstHour(), 7);
  EXPECT_EQ(file.LastHour(), 7);
}

}  // namespace
}  // namespace weir
