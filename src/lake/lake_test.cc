#include "lake/lake.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <set>
#include <thread>

#include "catalog/memory_store.h"
#include "duckdb/common/types/vector.hpp"
#include "formats/block.h"
#include "io/simulated_disk.h"
#include "lake/files.h"
#include "lake/storage.h"
#include "log/test_log.h"

namespace weir {
namespace {

using duckdb::LogicalType;

constexpr Micros kMinute = kHour / 60;

std::shared_ptr<Stream> MakeStream(uint32_t id, const std::string& name,
                                   std::vector<Column> columns) {
  auto stream = std::make_shared<Stream>();
  stream->id = {id};
  stream->name = name;
  stream->columns = std::move(columns);
  return stream;
}

std::shared_ptr<Stream> Events() {
  return MakeStream(1, "events", {{"id", LogicalType::BIGINT}, {"name", LogicalType::VARCHAR}});
}

Columns Rows(const Stream& stream, const std::vector<std::vector<duckdb::Value>>& rows) {
  Columns columns;
  duckdb::vector<LogicalType> types;
  for (auto& column : stream.columns) types.push_back(column.type);
  for (auto& row : rows) {
    if (columns.chunks.empty() || columns.chunks.back()->size() == STANDARD_VECTOR_SIZE) {
      columns.chunks.push_back(std::make_unique<duckdb::DataChunk>());
      columns.chunks.back()->Initialize(duckdb::Allocator::DefaultAllocator(), types);
    }
    auto& chunk = *columns.chunks.back();
    auto at = chunk.size();
    for (size_t i = 0; i < row.size(); i++) chunk.SetValue(i, at, row[i]);
    chunk.SetCardinality(at + 1);
    columns.rows++;
  }
  return columns;
}

// A log and a lake on a disk that can fail.
struct World {
  explicit World(std::unique_ptr<SimulatedDisk> on, Micros now = 1'700'000'000'000'000)
      : disk(std::move(on)), clock(now), catalog(store) {
    Declare(Events());
  }

  void Declare(std::shared_ptr<const Stream> stream) {
    catalog.Change([&](CatalogState& state) { state.streams[stream->name] = stream; });
  }

  void Open(uint64_t file_rows_max = 1 << 20, Micros interval = kMinute) {
    LogOptions log_options;
    log_options.directory = "log";
    log_options.segment_bytes = 64 << 10;
    log = Log::Open(*disk, clock, log_options);
    LakeOptions options;
    options.directory = "lake";
    options.file_rows_max = file_rows_max;
    options.interval = interval;
    lake = Lake::Open(*disk, clock, catalog, *log, options);
  }

  // Returns the last offset once it is durable.
  Offset Append(const Stream& stream, const std::vector<std::vector<duckdb::Value>>& rows) {
    auto record = MakeRecord(EncodeBlock(Rows(stream, rows), stream.Types()),
                             static_cast<uint32_t>(rows.size()), "", stream.id.value);
    return AppendAndWait(*log, Unit(std::move(record))).last;
  }

  // Rows of "events" whose id is their offset.
  Offset AppendEvents(size_t count) {
    std::vector<std::vector<duckdb::Value>> rows;
    for (size_t i = 1; i <= count; i++) {
      int64_t id = static_cast<int64_t>(log->End().value + i);
      rows.push_back({duckdb::Value::BIGINT(id), duckdb::Value("event " + std::to_string(id))});
    }
    return Append(*Events(), rows);
  }

  // Offsets and ids of all events, as a view would be filled with them.
  std::vector<std::pair<uint64_t, int64_t>> ScanEvents(Offset after = {0},
                                                       std::optional<Offset> up_to = {}) {
    std::vector<std::pair<uint64_t, int64_t>> result;
    Offset reached = after;
    lake->Scan(*Events(), {0, static_cast<size_t>(-1)}, after, up_to.value_or(log->End()),
               [&](const Columns& rows, Offset last) {
                 for (auto& chunk : rows.chunks) {
                   for (duckdb::idx_t i = 0; i < chunk->size(); i++) {
                     result.emplace_back(chunk->GetValue(1, i).GetValue<uint64_t>(),
                                         chunk->GetValue(0, i).GetValue<int64_t>());
                   }
                 }
                 EXPECT_GE(last, reached);
                 reached = last;
                 if (!result.empty()) {
                   EXPECT_GE(last.value, result.back().first);
                 }
                 return true;
               });
    EXPECT_EQ(reached, up_to.value_or(log->End()));
    return result;
  }

  // Every event once, in order.
  void ExpectAllEvents() {
    auto events = ScanEvents();
    ASSERT_EQ(events.size(), log->End().value);
    for (size_t i = 0; i < events.size(); i++) {
      ASSERT_EQ(events[i].first, i + 1);
      ASSERT_EQ(events[i].second, static_cast<int64_t>(i + 1));
    }
  }

  std::set<std::string> ParquetFiles() {
    std::set<std::string> found;
    Collect("lake", found);
    return found;
  }

  void Collect(const std::string& directory, std::set<std::string>& found) {
    for (auto& name : disk->List(directory)) {
      std::string path = directory + "/" + name;
      if (name.find(".parquet") != std::string::npos) {
        found.insert(path);
      } else if (name.find('.') == std::string::npos && name != "unpublished") {
        Collect(path, found);
      }
    }
  }

  std::unique_ptr<SimulatedDisk> disk;
  ManualClock clock;
  MemoryStore store;
  Catalog catalog;
  std::unique_ptr<Log> log;
  std::unique_ptr<Lake> lake;
};

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
  for (auto [after, up_to] : std::vector<std::pair<uint64_t, uint64_t>>{
           {0, 10}, {100, 4000}, {2047, 2049}, {4000, 6000}, {7000, 9999}, {5000, 10000}}) {
    auto events = world.ScanEvents({after}, Offset{up_to});
    ASSERT_EQ(events.size(), up_to - after);
    EXPECT_EQ(events.front().first, after + 1);
    EXPECT_EQ(events.back().first, up_to);
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

TEST(Lake, ADroppedStreamsEventsAreSkippedAndItsNameCanComeBack) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open();
  world.AppendEvents(4);
  world.lake->LandNow();
  world.AppendEvents(4);
  world.catalog.Change([](CatalogState& state) { state.streams.clear(); });
  world.lake->LandNow();
  EXPECT_EQ(world.lake->Landed(), Offset{8});
  auto again = MakeStream(7, "events", {{"x", LogicalType::INTEGER}});
  world.Declare(again);
  world.Append(*again, {{duckdb::Value::INTEGER(1)}});
  world.lake->LandNow();
  EXPECT_EQ(world.ParquetFiles(),
            (std::set<std::string>{"lake/events/dt=2023-11-14/hour=22/1-4.parquet",
                                   "lake/events-7/dt=2023-11-14/hour=22/9-9.parquet"}));
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

bool Eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 500 && !holds(); i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return holds();
}

TEST(Lake, TheWriterLandsWhatWaitsLongEnough) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open(1 << 20, 50'000);
  world.lake->Start();
  world.AppendEvents(10);
  EXPECT_TRUE(Eventually([&] { return world.lake->Landed() == Offset{10}; }));
  world.AppendEvents(10);
  EXPECT_TRUE(Eventually([&] { return world.lake->Landed() == Offset{20}; }));
  world.lake->Stop();
  world.ExpectAllEvents();
}

TEST(Lake, TheWriterLandsAFilesWorthAtOnce) {
  World world(std::make_unique<SimulatedDisk>());
  world.Open(1000);
  world.lake->Start();
  world.AppendEvents(10);
  for (int i = 0; i < 10; i++) world.AppendEvents(500);
  EXPECT_TRUE(Eventually([&] { return world.lake->Landed() >= Offset{4010}; }));
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

// One life under load: appends, landings, an hour that ends.  Returns the last offset acknowledged.
Offset Live(World& world) {
  Offset acknowledged{0};
  try {
    world.Open(2000);
    acknowledged = world.log->End();
    for (int round = 0; round < 3; round++) {
      for (int i = 0; i < 3; i++) acknowledged = world.AppendEvents(700);
      world.lake->LandNow();
    }
    world.clock.Advance(kHour);
    acknowledged = world.AppendEvents(10);
    world.lake->LandNow();
  } catch (const Error&) {
  } catch (const std::exception&) {
    // DuckDB wraps what the disk throws.
  }
  return acknowledged;
}

void CrashAtEveryCall(bool power_cut) {
  SeededRandom random(42);
  uint64_t calls = 0;
  {
    World world(std::make_unique<SimulatedDisk>());
    Live(world);
    world.ExpectAllEvents();
    calls = world.disk->Calls();
  }
  ASSERT_GT(calls, 50u);
  // Every call is tried in turn over runs of the test with other strides; here, a spread of them.
  uint64_t stride = std::max<uint64_t>(1, calls / 40);
  for (uint64_t call = 1; call <= calls; call += stride) {
    SCOPED_TRACE("fault at call " + std::to_string(call));
    World world(std::make_unique<SimulatedDisk>());
    world.disk->FailCall(
        call, power_cut ? SimulatedDisk::Fault::kPowerCut : SimulatedDisk::Fault::kIoError);
    Offset acknowledged = Live(world);
    world.lake.reset();
    world.log.reset();
    World after(power_cut ? world.disk->CrashState(random) : world.disk->KillState());
    after.clock.Advance(2 * kHour);
    after.Open(2000);
    EXPECT_GE(after.log->End(), acknowledged);
    after.ExpectAllEvents();
    after.AppendEvents(5);
    after.lake->LandNow();
    after.ExpectAllEvents();
    // Nothing half-made is left: what is on the disk is what the lake knows.
    uint64_t files = after.lake->Info().empty() ? 0 : after.lake->Info()[0].files;
    EXPECT_EQ(after.ParquetFiles().size(), files);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(Lake, APowerCutAtAnyStepLosesAndDoublesNothing) { CrashAtEveryCall(true); }

TEST(Lake, AFailedCallAtAnyStepLosesAndDoublesNothing) { CrashAtEveryCall(false); }

}  // namespace
}  // namespace weir
