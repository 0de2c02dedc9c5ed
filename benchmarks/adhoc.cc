// One-off SQL over the lake: the whole way through Weir (queue, worker process, answer) beside
// DuckDB alone in this process on the very same Parquet files.
//
//   adhoc [--events N]      default 30,000,000
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <future>
#include <random>
#include <string>
#include <vector>

#include "catalog/memory_store.h"
#include "duckdb/main/config.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "formats/block.h"
#include "lake/lake.h"
#include "query/service.h"
#include "query/worker.h"

namespace weir {
namespace {

using Steady = std::chrono::steady_clock;
using duckdb::LogicalType;

constexpr double kMust = 1.1;
constexpr double kRereadMust = 20;
constexpr int kRounds = 9;
constexpr size_t kRecordRows = 32 * STANDARD_VECTOR_SIZE;

double MillisecondsSince(Steady::time_point start) {
  return std::chrono::duration<double, std::milli>(Steady::now() - start).count();
}

class WaitingSink : public QuerySink {
 public:
  void Write(std::string bytes) override { body_ += bytes; }
  void Done(const std::optional<Error>& error) override { done_.set_value(error); }
  void Wait() {
    if (auto error = done_.get_future().get()) throw *error;
  }

 private:
  std::string body_;
  std::promise<std::optional<Error>> done_;
};

std::shared_ptr<Stream> Signups() {
  auto stream = std::make_shared<Stream>();
  stream->id = {1};
  stream->name = "events";
  stream->columns = {{"event_id", LogicalType::UUID},
                     {"event_time", LogicalType::TIMESTAMP},
                     {"event_name", LogicalType::VARCHAR}};
  return stream;
}

// Thirty days of events, evenly, one in twenty a sign-up.
class Generator {
 public:
  Columns Next(size_t rows, uint64_t first, uint64_t total) {
    Columns columns;
    for (size_t done = 0; done < rows;) {
      size_t size = std::min<size_t>(rows - done, STANDARD_VECTOR_SIZE);
      auto chunk = std::make_unique<duckdb::DataChunk>();
      chunk->Initialize(duckdb::Allocator::DefaultAllocator(),
                        {LogicalType::UUID, LogicalType::TIMESTAMP, LogicalType::VARCHAR});
      auto* ids = duckdb::FlatVector::GetData<duckdb::hugeint_t>(chunk->data[0]);
      auto* times = duckdb::FlatVector::GetData<int64_t>(chunk->data[1]);
      auto* names = duckdb::FlatVector::GetData<duckdb::string_t>(chunk->data[2]);
      for (size_t i = 0; i < size; i++) {
        ids[i] = duckdb::hugeint_t(static_cast<int64_t>(random_()), random_());
        times[i] = TimeOf(first + done + i, total);
        names[i] = duckdb::string_t(NameOf(random_() % 20));
      }
      chunk->SetCardinality(size);
      columns.rows += size;
      columns.chunks.push_back(std::move(chunk));
      done += size;
    }
    return columns;
  }

 private:
  static int64_t TimeOf(uint64_t event, uint64_t total) {
    constexpr int64_t kStart = 1'761'264'000'000'000;  // 2025-10-24
    constexpr double kSpan = 30 * 86'400e6;
    return kStart +
           static_cast<int64_t>(kSpan * static_cast<double>(event) / static_cast<double>(total));
  }
  static const char* NameOf(uint64_t kind) {
    return kind == 0 ? "sign_up" : kind < 8 ? "log_in" : "page_view";
  }

  std::mt19937_64 random_{42};
};

void Fill(Log& log, const Stream& stream, uint64_t total) {
  Generator generator;
  for (uint64_t first = 0; first < total; first += kRecordRows) {
    size_t rows = std::min<uint64_t>(kRecordRows, total - first);
    std::vector<LogRecord> unit(1);
    unit[0].stream = stream.id;
    unit[0].count = static_cast<uint32_t>(rows);
    unit[0].payload = EncodeBlock(generator.Next(rows, first, total), stream.Types());
    std::promise<void> done;
    log.Append(std::move(unit), [&](const AppendResult&) { done.set_value(); });
    done.get_future().wait();
  }
}

double AskWeir(Queries& queries, const std::string& sql) {
  auto start = Steady::now();
  auto sink = std::make_shared<WaitingSink>();
  QueryRequest request;
  request.sql = KernelSql(sql);
  auto handle = queries.Run(request, sink);
  sink->Wait();
  return MillisecondsSince(start);
}

double AskDuckDB(duckdb::Connection& connection, const std::string& sql) {
  auto start = Steady::now();
  auto result = connection.Query(sql);
  if (result->HasError()) result->ThrowError();
  return MillisecondsSince(start);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Compare(const std::string& name, const std::string& sql, Queries& queries,
             duckdb::Connection& duckdb_alone) {
  std::vector<double> weir, alone;
  AskWeir(queries, sql);
  AskDuckDB(duckdb_alone, sql);
  for (int round = 0; round < kRounds; round++) {
    weir.push_back(AskWeir(queries, sql));
    alone.push_back(AskDuckDB(duckdb_alone, sql));
  }
  double ratio = Median(weir) / Median(alone);
  fmt::print(
      "{{\"bench\":\"adhoc\",\"case\":\"{}\",\"value\":{:.3f},\"unit\":\"ratio\","
      "\"must\":{},\"ok\":{},\"beside\":{{\"weir ms\":{:.1f},\"duckdb ms\":{:.1f}}}}}\n",
      name, ratio, kMust, ratio <= kMust, Median(weir), Median(alone));
}

void PrintRate(const std::string& name, double rate, const std::string& must, bool ok) {
  fmt::print(
      "{{\"bench\":\"adhoc\",\"case\":\"{}\",\"value\":{:.1f},\"unit\":\"M events/s\","
      "\"must\":{},\"ok\":{},\"beside\":{{}}}}\n",
      name, rate, must, ok);
}

// Everything in order, two columns, on one core: what filling a view costs.
void Reread(Lake& lake, const Stream& stream, Offset end) {
  auto start = Steady::now();
  uint64_t rows = 0;
  lake.Scan(stream, {1, 2}, {0}, end, [&](const Columns& piece, Offset) {
    rows += piece.rows;
    return true;
  });
  double rate = static_cast<double>(rows) / MillisecondsSince(start) / 1000;
  PrintRate("reread two columns", rate, fmt::format("{}", kRereadMust), rate >= kRereadMust);
}

void Measure(const std::filesystem::path& folder, uint64_t events) {
  auto disk = MakeRealDisk();
  MemoryStore store;
  Catalog catalog(store);
  auto stream = Signups();
  catalog.Change([&](CatalogState& state) { state.streams["events"] = stream; });
  LogOptions log_options;
  log_options.directory = folder / "log";
  auto log = Log::Open(*disk, SystemClock(), log_options);
  LakeOptions lake_options;
  lake_options.directory = folder / "lake";
  auto lake = Lake::Open(*disk, SystemClock(), catalog, *log, lake_options);
  Fill(*log, *stream, events);

  auto start = Steady::now();
  lake->LandNow();
  PrintRate("landing", static_cast<double>(events) / MillisecondsSince(start) / 1000, "null", true);
  Reread(*lake, *stream, log->End());

  QueryOptions options;
  options.readable = {folder / "lake", folder / "log"};
  Queries queries(catalog, *log, *lake, SystemClock(), options);
  auto pinned = lake->Pin({stream->id}, log->End());
  std::string list;
  for (auto& file : pinned.files.at(0)) list += (list.empty() ? "'" : ", '") + file.path + "'";
  duckdb::DBConfig config;
  config.SetOptionByName("threads", duckdb::Value::INTEGER(2));
  duckdb::DuckDB database(nullptr, &config);
  duckdb::Connection connection(database);
  connection.Query("CREATE VIEW events AS SELECT * FROM read_parquet([" + list +
                   "], hive_partitioning = false)");
  Compare("hourly trend",
          "SELECT date_trunc('hour', event_time) AS hour, count(*) AS signups FROM events "
          "WHERE event_name = 'sign_up' GROUP BY hour ORDER BY hour",
          queries, connection);
  Compare("totals",
          "SELECT event_name, count(*) AS events, min(event_time), max(event_time) FROM events "
          "GROUP BY event_name ORDER BY event_name",
          queries, connection);
  queries.Stop();
  log->Close();
}

void Run(uint64_t events) {
  auto folder = std::filesystem::temp_directory_path() / fmt::format("weir_adhoc_{}", getpid());
  std::filesystem::create_directories(folder);
  try {
    Measure(folder, events);
  } catch (...) {
    std::filesystem::remove_all(folder);
    throw;
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "query-worker") == 0) {
    return weir::RunQueryWorker(3);
  }
  uint64_t events = 30'000'000;
  for (int i = 1; i + 1 < argc; i++) {
    if (std::strcmp(argv[i], "--events") == 0) events = std::stoull(argv[i + 1]);
  }
  try {
    weir::Run(events);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "adhoc: {}\n", error.what());
    return 1;
  }
}
