// What the lake's tests share: a log and a lake on a disk that can fail.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "catalog/memory_store.h"
#include "duckdb/common/types/vector.hpp"
#include "formats/block.h"
#include "io/disk/simulated_disk.h"
#include "lake/files.h"
#include "lake/lake.h"
#include "log/test_log.h"

namespace weir {

using duckdb::LogicalType;

constexpr Micros kMinute = kHour / 60;

// Waits until it holds, or for half a minute.
inline bool Soon(const std::function<bool()>& holds) {
  for (int i = 0; i < 3000 && !holds(); i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return holds();
}

inline bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline std::shared_ptr<Stream> MakeStream(uint32_t id, const std::string& name,
                                          std::vector<Column> columns) {
  auto stream = std::make_shared<Stream>();
  stream->id = {id};
  stream->name = name;
  stream->columns = std::move(columns);
  return stream;
}

inline std::shared_ptr<Stream> Events() {
  return MakeStream(1, "events", {{"id", LogicalType::BIGINT}, {"name", LogicalType::VARCHAR}});
}

inline Columns Rows(const Stream& stream, const std::vector<std::vector<duckdb::Value>>& rows) {
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

struct World {
  explicit World(std::unique_ptr<SimulatedDisk> on, Micros now = 1'700'000'000'000'000)
      : disk(std::move(on)), clock(now), catalog(store) {
    Declare(Events());
  }

  void Declare(std::shared_ptr<const Stream> stream) {
    catalog.Change([&](CatalogState& state) { state.streams[stream->name] = stream; });
  }

  void Open(uint64_t file_rows_max = 1 << 20, Micros interval = kMinute,
            uint64_t scrub_bytes_per_second = 0) {
    LogOptions log_options;
    log_options.directory = "log";
    log_options.segment_bytes = 64 << 10;
    log_options.keep_free = keep_free;
    log = Log::Open(*disk, clock, log_options);
    LakeOptions options;
    options.directory = "lake";
    options.file_rows_max = file_rows_max;
    options.interval = interval;
    options.scrub_bytes_per_second = scrub_bytes_per_second;
    adjust(options);
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
      } else if (name.find('.') == std::string::npos && path != "lake/unpublished") {
        Collect(path, found);
      }
    }
  }

  uint64_t keep_free = 0;
  std::function<void(LakeOptions&)> adjust = [](LakeOptions&) {};
  std::unique_ptr<SimulatedDisk> disk;
  ManualClock clock;
  MemoryStore store;
  Catalog catalog;
  std::unique_ptr<Log> log;
  std::unique_ptr<Lake> lake;
};

}  // namespace weir
