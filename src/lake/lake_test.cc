#include "lake/lake.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

#include "lake/storage.h"
#include "lake/test_lake.h"

namespace weir {
namespace {

TEST(Lake, EveryRowIsInAFileOrInTheTailAndReadOnce) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.AppendEvents(5000);
  world.ExpectAllEvents();
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Landed(), Offset{5000});
  world.AppendEvents(300);
  world.AppendEvents(1);
  world.ExpectAllEvents();
  EXPECT_EQ(world.lake->Info().at(0).rows, 5000u);
}

TEST(Lake, APartOfTheRangeIsReadExactly) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.AppendEvents(5000);
  world.lake->LandNow();
  world.AppendEvents(5000);
  for (auto [after, up_to] : std::vector<std::pair<uint64_t, uint64_t>>{{0, 10},
                                                                        {100, 4000},
                                                                        {2047, 2049},
                                                                        {4000, 6000},
                                                                        {7000, 9999},
                                                                        {5000, 10000},
                                                                        {8000, 9500},
                                                                        {9500, 9501}}) {
    auto events = world.ScanEvents({after}, Offset{up_to});
    ASSERT_EQ(events.size(), up_to - after);
    EXPECT_EQ(events.front().first, after + 1);
    EXPECT_EQ(events.back().first, up_to);
  }
}

TEST(Lake, EachRowKnowsWhenItCameFromFilesAndFromTheTail) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  Micros first = world.clock.Now();
  world.AppendEvents(10);
  world.lake->LandNow();
  world.clock.Advance(kMinute);
  world.AppendEvents(3000);
  for (bool in_files : {false, true}) {
    if (in_files) world.lake->LandNow();
    uint64_t rows = 0;
    world.lake->Scan(*Events(), {static_cast<size_t>(-2)}, {0}, world.log->End(),
                     [&](const Columns& piece, Offset) {
                       for (auto& chunk : piece.chunks) {
                         for (duckdb::idx_t i = 0; i < chunk->size(); i++) {
                           auto time = chunk->GetValue(0, i).GetValue<int64_t>();
                           EXPECT_EQ(time, rows++ < 10 ? first : first + kMinute) << rows;
                         }
                       }
                       return true;
                     });
    EXPECT_EQ(rows, 3010u);
  }
}

TEST(Lake, FilesLieByArrivalHourAndAreNamedByOffsets) {
  World world(std::make_unique<SimulatedDisk>(), 1'700'000'000'000'000);  // 2023-11-14 22:13:20
  world.Open();
  world.AppendEvents(10);
  world.clock.Advance(kHour);
  world.AppendEvents(5);
  world.lake->LandNow();
  EXPECT_EQ(world.ParquetFiles(),
            (std::set<std::string>{"lake/events/dt=2023-11-14/hour=22/1-10.parquet",
                                   "lake/events/dt=2023-11-14/hour=23/11-15.parquet"}));
}

TEST(Lake, WhatArrivedBeforeATimeIsFoundByFiles) {
  World world(std::make_unique<SimulatedDisk>(), 1'700'000'000'000'000);  // 2023-11-14 22:13:20
  world.Open();
  Micros start = world.clock.Now();
  Micros hour = start / kHour * kHour;
  world.AppendEvents(10);
  world.clock.Advance(kHour);
  world.AppendEvents(5);
  world.lake->LandNow();
  EXPECT_EQ(world.lake->ArrivedBefore({1}, start), Offset{0});
  EXPECT_EQ(world.lake->ArrivedBefore({1}, start + 1), Offset{10});
  EXPECT_EQ(world.lake->ArrivedBefore({1}, hour + kHour), Offset{10});
  EXPECT_EQ(world.lake->ArrivedBefore({1}, hour + 2 * kHour), Offset{15});
  EXPECT_EQ(world.lake->ArrivedBefore({2}, hour + 2 * kHour), Offset{0});
}

TEST(Lake, TheLastRowsAreFoundByThoseOfTheFiles) {
  World world(std::make_unique<SimulatedDisk>(), 1'700'007'200'000'000);  // 2023-11-15 00:13:20
  world.Open();
  for (uint64_t rows : {10, 5, 3}) {  // of an hour each
    world.AppendEvents(rows);
    world.clock.Advance(kHour);
  }
  world.lake->LandNow();
  EXPECT_EQ(world.lake->BeforeLast({1}, 1), Offset{15});
  EXPECT_EQ(world.lake->BeforeLast({1}, 3), Offset{15});
  EXPECT_EQ(world.lake->BeforeLast({1}, 4), Offset{10});
  EXPECT_EQ(world.lake->BeforeLast({1}, 9), Offset{0});
  EXPECT_EQ(world.lake->BeforeLast({1}, 19), Offset{0});
  EXPECT_EQ(world.lake->BeforeLast({1}, UINT64_MAX), Offset{0});
  EXPECT_EQ(world.lake->BeforeLast({2}, 1), Offset{0});
}

TEST(Lake, StreamsHaveFilesOfTheirOwnAndShareOneOrder) {
  World world(std::make_unique<SimulatedDisk>());
  auto other = MakeStream(2, "odd name/..", {{"value", LogicalType::DOUBLE}});
  world.Declare(other);
  world.Open();
  world.AppendEvents(3);
  world.Append(*other, {{duckdb::Value::DOUBLE(0.5)}, {duckdb::Value::DOUBLE(1.5)}});
  world.AppendEvents(2);
  world.lake->LandNow();
  auto events = world.ScanEvents();
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[3].first, 6u);
  EXPECT_EQ(world.ScanEvents({1}, Offset{6}).size(), 3u);
  auto files = world.ParquetFiles();
  EXPECT_TRUE(files.contains("lake/odd%20name%2F%2E%2E/dt=2023-11-14/hour=22/4-5.parquet"));
}

TEST(Lake, ADroppedStreamsEventsLandAndItsNameCanComeBack) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.AppendEvents(4);
  world.lake->LandNow();
  world.AppendEvents(4);
  world.catalog.Change([](CatalogState& state) { state.DropStream("events"); });
  world.AppendEvents(1);  // was on its way when the stream was dropped
  auto again = MakeStream(7, "events", {{"x", LogicalType::INTEGER}});
  world.Declare(again);
  world.Append(*again, {{duckdb::Value::INTEGER(1)}});
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Landed(), Offset{10});
  EXPECT_EQ(world.ParquetFiles(),
            (std::set<std::string>{"lake/events/dt=2023-11-14/hour=22/1-4.parquet",
                                   "lake/events/dt=2023-11-14/hour=22/5-9.parquet",
                                   "lake/events-7/dt=2023-11-14/hour=22/10-10.parquet"}));
  EXPECT_EQ(world.ScanEvents({0}, Offset{9}).size(), 9u);
}

TEST(Lake, AStreamKeepsItsFolderOverRestarts) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.AppendEvents(1);
  world.lake->LandNow();
  world.catalog.Change([](CatalogState& state) { state.DropStream("events"); });
  auto again = MakeStream(7, "events", {{"x", LogicalType::INTEGER}});
  world.Declare(again);
  std::set<std::string> expected = {"lake/events/dt=2023-11-14/hour=22/1-1.parquet"};
  for (int life = 2; life < 5; life++) {
    auto row = std::to_string(life);
    world.Append(*again, {{duckdb::Value::INTEGER(1)}});
    world.lake->LandNow();
    expected.insert("lake/events-7/dt=2023-11-14/hour=22/" + row + "-" + row + ".parquet");
    EXPECT_EQ(world.ParquetFiles(), expected);
    world.lake.reset();
    world.log.reset();
    world.Open();
  }
}

TEST(Lake, AFileOfManyBuffersComesBackAsItWas) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  SeededRandom random(3);
  std::vector<std::vector<duckdb::Value>> rows;
  for (int i = 0; i < 3000; i++) {
    std::string text(1500, ' ');  // which cannot be compressed much
    for (char& c : text) c = static_cast<char>('!' + random.Below(90));
    rows.push_back({duckdb::Value::BIGINT(i), duckdb::Value(text)});
  }
  world.Append(*Events(), rows);
  world.lake->LandNow();
  EXPECT_GT(world.lake->Info().at(0).bytes, uint64_t{3} << 20);
  size_t row = 0;
  world.lake->Scan(*Events(), {0, 1}, {0}, world.log->End(), [&](const Columns& piece, Offset) {
    for (auto& chunk : piece.chunks) {
      for (duckdb::idx_t i = 0; i < chunk->size(); i++, row++) {
        EXPECT_EQ(chunk->GetValue(0, i), rows[row][0]);
        EXPECT_EQ(chunk->GetValue(1, i), rows[row][1]);
      }
    }
    return !testing::Test::HasFailure();
  });
  EXPECT_EQ(row, rows.size());
}

TEST(Lake, ADroppedStreamLandsAfterARestart) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.AppendEvents(4);
  world.catalog.Change([](CatalogState& state) { state.DropStream("events"); });
  world.lake.reset();
  world.log.reset();
  // The catalog as it is read from its file.
  CatalogState read = LoadCatalog(SaveCatalog(*world.catalog.Current()));
  ASSERT_EQ(read.dropped.size(), 1u);
  EXPECT_EQ(read.dropped.at(1)->name, "events");
  world.catalog.Change([&](CatalogState& state) { state = read; });
  world.Open();
  EXPECT_EQ(world.catalog.Current()->dropped.size(), 1u);
  world.lake->LandNow();
  EXPECT_EQ(world.ParquetFiles(),
            (std::set<std::string>{"lake/events/dt=2023-11-14/hour=22/1-4.parquet"}));
  // It has done its service, and is still known as dropped.
  EXPECT_TRUE(world.catalog.Current()->dropped.empty());
  EXPECT_TRUE(world.catalog.Current()->WasDropped({1}));
}

TEST(Lake, AnUnknownStreamIsNotTakenForADroppedOne) {
  World world(std::make_unique<SimulatedDisk>());
  auto other = MakeStream(2, "other", {{"value", LogicalType::DOUBLE}});
  world.Open();
  world.lake->SetRetain({UINT64_MAX});
  world.AppendEvents(3);
  world.Append(*other, {{duckdb::Value::DOUBLE(0.5)}, {duckdb::Value::DOUBLE(1.5)}});
  for (int i = 0; i < 20; i++) world.AppendEvents(1000);
  world.lake->LandNow();
  auto health = world.lake->Health();
  ASSERT_EQ(health.held.size(), 1u);
  EXPECT_EQ(health.held[0].stream, StreamId{2});
  EXPECT_EQ(health.held[0].landed, Offset{3});
  EXPECT_NE(health.held[0].why.find("id 2"), std::string::npos) << health.held[0].why;
  EXPECT_EQ(world.lake->Landed(), Offset{20005});
  EXPECT_EQ(world.log->Begin(), Offset{1});  // its segment is kept
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Health().held.size(), 1u);
  world.Declare(other);  // the catalog is back
  world.lake->LandNow();
  EXPECT_TRUE(world.lake->Health().held.empty());
  EXPECT_TRUE(world.ParquetFiles().contains("lake/other/dt=2023-11-14/hour=22/4-5.parquet"));
  EXPECT_GT(world.log->Begin(), Offset{5});
}

// Appends rows of a stream that no longer fit it.
void AppendGarbage(World& world, const Stream& stream) {
  AppendAndWait(*world.log, Unit(MakeRecord("this is no block", 3, "", stream.id.value)));
}

TEST(Lake, AStreamThatCannotLandHoldsNobodyElseUp) {
  World world(std::make_unique<SimulatedDisk>());
  auto other = MakeStream(2, "other", {{"value", LogicalType::DOUBLE}});
  auto third = MakeStream(3, "third", {{"value", LogicalType::DOUBLE}});
  world.Declare(other);
  world.Declare(third);
  world.Open(100);  // small files: several batches
  for (int i = 0; i < 20; i++) world.AppendEvents(1000);
  world.Append(*other, {{duckdb::Value::DOUBLE(0.5)}});
  AppendGarbage(world, *other);
  world.Append(*other, {{duckdb::Value::DOUBLE(1.5)}});
  world.Append(*third, {{duckdb::Value::DOUBLE(0.5)}});
  for (int i = 0; i < 20; i++) world.AppendEvents(1000);
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Landed(), world.log->End());
  EXPECT_EQ(world.lake->LandedOf({1}), world.log->End());
  EXPECT_EQ(world.lake->LandedOf({3}), world.log->End());
  EXPECT_LE(world.lake->LandedOf({2}), Offset{20001});
  auto health = world.lake->Health();
  ASSERT_EQ(health.held.size(), 1u);
  EXPECT_FALSE(health.held[0].why.empty());
  // Trimmed is what may be: everything before the events that did not land.
  EXPECT_GT(world.log->Begin(), Offset{10000});
  EXPECT_LE(world.log->Begin(), Offset{20001});
  // All that also after a restart, and files that were begun are gone.
  world.lake.reset();
  world.log.reset();
  world.Open(100);
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Health().held.size(), 1u);
  EXPECT_LE(world.lake->LandedOf({2}), Offset{20001});
  auto pinned = world.lake->Pin({{1}, {2}}, world.log->End());
  EXPECT_EQ(pinned.landed[0], world.log->End());
  ASSERT_FALSE(pinned.segments.empty());
  EXPECT_LE(pinned.segments.front().first, Offset{20001});
  for (auto& path : world.ParquetFiles()) EXPECT_EQ(path.find(".tmp"), std::string::npos) << path;
}

TEST(Lake, AStreamThatWasHeldBackLandsInAsManyFilesAsItNeeds) {
  World world(std::make_unique<SimulatedDisk>());
  auto other = MakeStream(2, "other", {{"value", LogicalType::DOUBLE}});
  world.Open(100);  // rows of a file
  for (int i = 0; i < 5; i++) {
    world.Append(*other, std::vector<std::vector<duckdb::Value>>(100, {duckdb::Value::DOUBLE(i)}));
    world.AppendEvents(1);
  }
  world.lake->LandNow();
  EXPECT_EQ(world.lake->LandedOf({2}), Offset{0});
  world.Declare(other);
  world.lake->LandNow();
  EXPECT_EQ(world.lake->LandedOf({2}), world.log->End());
  EXPECT_TRUE(world.lake->Health().held.empty());
  EXPECT_EQ(world.lake->Pin({{2}}, world.log->End()).files.at(0).size(), 5u);
  // One that fails again in the middle has got that far.
  AppendGarbage(world, *Events());
  world.AppendEvents(1);
  world.lake->LandNow();
  Offset landed = world.lake->LandedOf({1});
  EXPECT_EQ(landed, Offset{505});
  world.lake->LandNow();
  EXPECT_EQ(world.lake->LandedOf({1}), landed);
}

TEST(Lake, PartitionsAreNotNamedAsColumnsAre) {
  World world(std::make_unique<SimulatedDisk>());
  auto plain = MakeStream(2, "a", {{"Hour", LogicalType::INTEGER}});
  auto both = MakeStream(3, "b", {{"DT", LogicalType::DATE}, {"arrival_hour", LogicalType::DATE}});
  world.Declare(plain);
  world.Declare(both);
  world.Open();
  world.Append(*plain, {{duckdb::Value::INTEGER(5)}});
  world.Append(*both, {{duckdb::Value(), duckdb::Value()}});
  world.lake->LandNow();
  EXPECT_EQ(world.ParquetFiles(),
            (std::set<std::string>{"lake/a/arrival_dt=2023-11-14/arrival_hour=22/1-1.parquet",
                                   "lake/b/arrival_dt_=2023-11-14/arrival_hour_=22/2-2.parquet"}));
}

TEST(Lake, AStreamMayBeNamedAsAnyFileOfTheLake) {
  World world(std::make_unique<SimulatedDisk>());
  auto stream = MakeStream(2, "unpublished", {{"x", LogicalType::INTEGER}});
  auto taken = MakeStream(3, "unpublished-2", {{"x", LogicalType::INTEGER}});
  world.Declare(stream);
  world.Declare(taken);
  world.Open();
  world.Append(*taken, {{duckdb::Value::INTEGER(5)}});
  world.lake->LandNow();
  world.Append(*stream, {{duckdb::Value::INTEGER(5)}});
  world.lake->LandNow();
  EXPECT_EQ(world.ParquetFiles(),
            (std::set<std::string>{"lake/unpublished-2-2/dt=2023-11-14/hour=22/2-2.parquet",
                                   "lake/unpublished-2/dt=2023-11-14/hour=22/1-1.parquet"}));
}

TEST(Lake, SmallFilesOfAnHourBecomeOneWhenItIsOver) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  for (int i = 0; i < 5; i++) {
    world.AppendEvents(10);
    world.lake->LandNow();
  }
  EXPECT_EQ(world.ParquetFiles().size(), 5u);
  world.clock.Advance(kHour);
  world.lake->LandNow();
  EXPECT_EQ(world.ParquetFiles(),
            (std::set<std::string>{"lake/events/dt=2023-11-14/hour=22/1-50.parquet"}));
  world.ExpectAllEvents();
}

TEST(Lake, EightFilesOfASizeAreMergedWithinTheHour) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  for (int i = 0; i < 9; i++) {
    world.AppendEvents(10);
    world.lake->LandNow();
  }
  EXPECT_EQ(world.ParquetFiles(),
            (std::set<std::string>{"lake/events/dt=2023-11-14/hour=22/1-80.parquet",
                                   "lake/events/dt=2023-11-14/hour=22/81-90.parquet"}));
  world.ExpectAllEvents();
}

TEST(Lake, APinnedFileOutlivesItsMerge) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.AppendEvents(10);
  world.lake->LandNow();
  auto pinned = world.lake->Pin({{1}}, world.log->End());
  world.AppendEvents(10);
  world.lake->LandNow();
  world.clock.Advance(kHour);
  world.lake->LandNow();
  EXPECT_TRUE(world.disk->Exists("lake/events/dt=2023-11-14/hour=22/1-10.parquet"));
  EXPECT_FALSE(world.disk->Exists("lake/events/dt=2023-11-14/hour=22/11-20.parquet"));
  ASSERT_EQ(pinned.files[0].size(), 1u);
  pinned.pin.reset();
  world.AppendEvents(1);
  world.lake->LandNow();
  EXPECT_FALSE(world.disk->Exists("lake/events/dt=2023-11-14/hour=22/1-10.parquet"));
  world.ExpectAllEvents();
}

TEST(Lake, TypesThatParquetWouldRoundComeBackExactly) {
  World world(std::make_unique<SimulatedDisk>());
  auto types = std::vector<std::pair<LogicalType, duckdb::Value>>{
      {LogicalType::HUGEINT, duckdb::Value("170141183460469231731687303715884105727")},
      {LogicalType::UHUGEINT, duckdb::Value("340282366920938463463374607431768211455")},
      {LogicalType::INTERVAL, duckdb::Value("1 year 2 months 3 days 00:00:00.000001")},
      {LogicalType::TIME_TZ, duckdb::Value("01:02:03.000004+05:30")},
      {LogicalType::TIME, duckdb::Value("01:02:03.000004")},
      {LogicalType::UUID, duckdb::Value("00112233-4455-6677-8899-aabbccddeeff")},
      {LogicalType::TIMESTAMP_S, duckdb::Value("2024-01-01 00:00:01")},
      {LogicalType::TIMESTAMP_MS, duckdb::Value("2024-01-01 00:00:01.123")},
      {LogicalType::TIMESTAMP_NS, duckdb::Value("2024-01-01 00:00:01.123456789")},
      {LogicalType::DECIMAL(38, 10), duckdb::Value("1234567890123456789012345678.0123456789")},
      {LogicalType::LIST(LogicalType::HUGEINT), duckdb::Value("[1, NULL, -5]")},
      {LogicalType::STRUCT({{"a", LogicalType::INTERVAL}, {"b", LogicalType::BLOB}}),
       duckdb::Value("{'a': 3 days, 'b': \\x00\\xFF}")},
      {LogicalType::MAP(LogicalType::VARCHAR, LogicalType::INTEGER), duckdb::Value("{k=1}")},
      {LogicalType::JSON(), duckdb::Value("{\"k\": [1, 2]}")},
  };
  std::vector<Column> columns;
  std::vector<duckdb::Value> row;
  std::vector<size_t> all;
  for (auto& [type, text] : types) {
    all.push_back(columns.size());
    columns.push_back({"c" + std::to_string(columns.size()), type});
    row.push_back(text.DefaultCastAs(type));
  }
  auto stream = MakeStream(2, "types", columns);
  world.Declare(stream);
  world.Open();
  world.Append(*stream, {row, std::vector<duckdb::Value>(row.size())});
  world.lake->LandNow();
  size_t rows_read = 0;
  world.lake->Scan(*stream, all, {0}, world.log->End(), [&](const Columns& rows, Offset) {
    for (auto& chunk : rows.chunks) {
      for (size_t i = 0; i < row.size(); i++) {
        EXPECT_EQ(chunk->data[i].GetType(), columns[i].type);
        EXPECT_EQ(chunk->GetValue(i, 0).ToString(), row[i].ToString());
        EXPECT_TRUE(chunk->GetValue(i, 1).IsNull());
      }
    }
    rows_read += rows.rows;
    return true;
  });
  EXPECT_EQ(rows_read, 2u);
}

TEST(Lake, TheLogForgetsWhatLandedAndIsNotRetained) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.lake->SetRetain({0});
  for (int i = 0; i < 20; i++) world.AppendEvents(1000);
  world.lake->LandNow();
  EXPECT_EQ(world.log->Begin(), Offset{1});
  world.lake->SetRetain({15000});
  EXPECT_GT(world.log->Begin(), Offset{1});
  EXPECT_LE(world.log->Begin(), Offset{15001});
  world.ExpectAllEvents();
}

TEST(Lake, TheWriterLandsWhatWaitsLongEnough) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open(1 << 20, 50'000);
  world.lake->Start();
  auto asleep = std::chrono::milliseconds(50);  // it is woken by what comes
  std::this_thread::sleep_for(asleep);
  world.AppendEvents(10);
  EXPECT_TRUE(Soon([&] { return world.lake->Landed() == Offset{10}; }));
  std::this_thread::sleep_for(asleep);
  world.AppendEvents(10);
  EXPECT_TRUE(Soon([&] { return world.lake->Landed() == Offset{20}; }));
  world.lake->Stop();
  world.ExpectAllEvents();
}

TEST(Lake, TheWriterLandsAFilesWorthAtOnce) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open(1000);
  world.lake->Start();
  world.AppendEvents(10);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it sleeps until the minute is over
  for (int i = 0; i < 10; i++) world.AppendEvents(500);
  EXPECT_TRUE(Soon([&] { return world.lake->Landed() >= Offset{4010}; }));
  world.lake->Stop();
  world.ExpectAllEvents();
}

TEST(Lake, AFullDiskOnlyDelaysTheWriter) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.AppendEvents(1000);
  world.disk->SetCapacity(1);
  EXPECT_THROW(world.lake->LandNow(), std::exception);
  EXPECT_EQ(world.lake->Landed(), Offset{0});
  world.disk->SetCapacity(UINT64_MAX);
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Landed(), Offset{1000});
  world.ExpectAllEvents();
}

}  // namespace
}  // namespace weir
