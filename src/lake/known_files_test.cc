// What a query asks of when rows came, and where they stand, decides which files are opened at all.
#include "lake/known_files.h"

#include <mutex>

#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "lake/disk_file_system.h"
#include "lake/storage.h"
#include "lake/test_lake.h"

namespace weir {
namespace {

// Remembers what was opened, by any of DuckDB's threads.
class WatchedDisk : public SimulatedDisk {
 public:
  std::unique_ptr<File> Open(const std::string& path, OpenMode mode) override {
    {
      std::lock_guard lock(mutex_);
      opened_.insert(path);
    }
    return SimulatedDisk::Open(path, mode);
  }
  std::set<std::string> Take() {
    std::lock_guard lock(mutex_);
    return std::exchange(opened_, {});
  }

 private:
  std::mutex mutex_;
  std::set<std::string> opened_;
};

// Ten files of 10 rows, one an hour from 2023-11-15 00:13:20 on.
class KnownFilesTest : public testing::Test {
 protected:
  KnownFilesTest() : world_(std::make_unique<WatchedDisk>(), 1'700'007'200'000'000) {
    world_.Open();
    for (int hour = 0; hour < 10; hour++) {
      world_.AppendEvents(10);
      world_.clock.Advance(kHour);
    }
    world_.lake->LandNow();
    database_.GetFileSystem().RegisterSubSystem(MakeDiskFileSystem(*world_.disk, files_));
    connection_ = std::make_unique<duckdb::Connection>(database_);
    RegisterKnownFiles(*connection_->context, known_);
    auto columns = std::make_shared<const FileColumns>(
        FileColumns{StoredNames(*Events()), FileTypes(*Events())});
    std::vector<std::string> paths;
    auto pinned = world_.lake->Pin({{1}}, world_.log->End());
    for (auto& file : pinned.files.at(0)) {
      paths.push_back(kDiskPrefix + file.path);
      known_.Know(paths.back(), {file.first, file.last, file.arrived_first, file.arrived_last,
                                 file.rows, columns});
    }
    EXPECT_EQ(paths.size(), 10u);
    Opened();
    Run("CREATE VIEW events AS SELECT * FROM " + ReadKnownFiles(paths));
  }

  // How many files were opened since it was called last.
  size_t Opened() { return static_cast<WatchedDisk&>(*world_.disk).Take().size(); }

  std::string Run(const std::string& sql) {
    auto result = connection_->Query(sql);
    if (result->HasError()) return result->GetError();
    return result->RowCount() == 0 ? "" : result->GetValue(0, 0).ToString();
  }

  // How many rows, and how many files were opened for them.
  using Counted = std::pair<std::string, size_t>;
  Counted Count(const std::string& where) {
    auto rows = Run("SELECT count(id) FROM events WHERE " + where);
    return {rows, Opened()};
  }

  World world_;
  DiskFiles files_;
  KnownFiles known_;
  duckdb::DuckDB database_{nullptr};
  std::unique_ptr<duckdb::Connection> connection_;
};

TEST_F(KnownFilesTest, OnlyFilesInTheRangeOfArrivalAreOpened) {
  EXPECT_EQ(Opened(), 0u);  // for the view
  EXPECT_EQ(Count("true"), Counted("100", 10));
  EXPECT_EQ(Count("_arrival_time >= '2023-11-15 08:00:00+00'"), Counted("20", 2));
  EXPECT_EQ(Count("'2023-11-15 08:00:00+00' <= _arrival_time"), Counted("20", 2));
  EXPECT_EQ(Count("_arrival_time < '2023-11-15 02:00:00+00'"), Counted("20", 2));
  EXPECT_EQ(Count("_arrival_time BETWEEN '2023-11-15 02:00:00+00' AND '2023-11-15 04:00:00+00'"),
            Counted("20", 2));
  EXPECT_EQ(Count("_arrival_time = '2023-11-15 03:13:20+00'"), Counted("10", 1));
  EXPECT_EQ(Count("_arrival_time > TIMESTAMPTZ '2023-11-15 08:00:00+00' + INTERVAL 30 MINUTE"),
            Counted("10", 1));
  EXPECT_EQ(Count("_arrival_time < '2020-01-01 00:00:00+00'"), Counted("0", 0));
  EXPECT_EQ(Count("_arrival_time > now() - INTERVAL 1 HOUR"), Counted("0", 0));
}

TEST_F(KnownFilesTest, TheEndsOfARangeBelongToIt) {
  EXPECT_EQ(Count("_arrival_time >= '2023-11-15 09:13:20+00'"), Counted("10", 1));
  EXPECT_EQ(Count("_arrival_time > '2023-11-15 09:13:20+00'"), Counted("0", 0));
  EXPECT_EQ(Count("_arrival_time <= '2023-11-15 00:13:20+00'"), Counted("10", 1));
  EXPECT_EQ(Count("_arrival_time < '2023-11-15 00:13:20+00'"), Counted("0", 0));
  EXPECT_EQ(Count("_offset <= 10"), Counted("10", 1));
  EXPECT_EQ(Count("_offset < 11 AND _offset >= 10"), Counted("1", 1));
  EXPECT_EQ(Count("_offset = 11"), Counted("1", 1));
  EXPECT_EQ(Count("_offset > 100"), Counted("0", 0));
}

TEST_F(KnownFilesTest, WhatIsNoBoundLeavesNothingOut) {
  EXPECT_EQ(Count("_arrival_time > '2023-11-15 08:00:00+00' OR id = 5"), Counted("21", 10));
  EXPECT_EQ(Count("_arrival_time > '2023-11-15 08:00:00+00' OR _offset < 5"), Counted("24", 3));
  EXPECT_EQ(Count("NOT (_arrival_time > '2023-11-15 08:00:00+00')").first, "80");
  EXPECT_EQ(Count("_arrival_time <> '2023-11-15 03:13:20+00'"), Counted("90", 10));
  EXPECT_EQ(Count("_arrival_time > NULL").first, "0");
  EXPECT_EQ(Count("id > 80 AND name LIKE 'event%'").first, "20");
}

TEST_F(KnownFilesTest, BoundsReachTheFilesThroughViewsUnionsAndJoins) {
  Run("CREATE VIEW late AS SELECT id, _arrival_time AS came FROM events UNION ALL "
      "SELECT id + 1000, _arrival_time FROM events");
  EXPECT_EQ(Run("SELECT count(*) FROM late WHERE came > '2023-11-15 08:00:00+00'"), "40");
  EXPECT_EQ(Opened(), 2u);
  EXPECT_EQ(Run("SELECT count(*) FROM events a JOIN events b USING (id) WHERE a._arrival_time > "
                "'2023-11-15 08:00:00+00' AND b._offset > 80"),
            "20");
  EXPECT_EQ(Opened(), 2u);
  // Not below what changes with the rows left out.
  EXPECT_EQ(Run("SELECT count(*) FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM events) "
                "WHERE _arrival_time > '2023-11-15 08:00:00+00' AND n > 80"),
            "20");
}

TEST_F(KnownFilesTest, AParameterIsABound) {
  auto prepared = connection_->Prepare("SELECT count(id) FROM events WHERE _arrival_time >= $1");
  ASSERT_FALSE(prepared->HasError()) << prepared->GetError();
  for (auto [hour, rows] : std::vector<std::pair<int, int64_t>>{{8, 20}, {5, 50}, {8, 20}}) {
    duckdb::vector<duckdb::Value> values = {
        duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(1'700'006'400'000'000 + hour * kHour))};
    auto result = prepared->Execute(values, false);
    ASSERT_FALSE(result->HasError()) << result->GetError();
    EXPECT_EQ(result->Fetch()->GetValue(0, 0).GetValue<int64_t>(), rows);
    EXPECT_EQ(Opened(), static_cast<size_t>(rows / 10));
  }
}

}  // namespace
}  // namespace weir
