// The three sign-up views together: columns in memory to maintained results, on one core.  Beside
// it what a refresh costs when DuckDB scans the same data, also on one core.
#include <cstdlib>
#include <memory>

#include "duckdb.hpp"
#include "duckdb/main/appender.hpp"
#include "formats/columns.h"
#include "report.h"
#include "sample_events.h"
#include "views/content.h"
#include "views/relations.h"

namespace weir {
namespace {

constexpr size_t kStepRows = 64 * 1024;
constexpr Micros kNow = 1'582'900'000'000'000;  // a day in February 2020, when most events are past

constexpr const char* kViews[][2] = {
    {"signups_this_month",
     "SELECT count(*) AS signups FROM events WHERE event_name = 'sign_up' AND event_time >= "
     "date_trunc('month', now())"},
    {"users_so_far", "SELECT count(*) AS users FROM events WHERE event_name = 'sign_up'"},
    {"signups_by_hour",
     "SELECT date_trunc('hour', event_time) AS hour, count(*) AS signups FROM events WHERE "
     "event_name = 'sign_up' GROUP BY hour"}};

std::shared_ptr<const Stream> Events() {
  auto stream = std::make_shared<Stream>(*SampleStream());
  stream->columns[1].type = duckdb::LogicalType::TIMESTAMP_TZ;
  return stream;
}

Columns MakeEvents(const Stream& stream, size_t events) {
  std::mt19937_64 random(42);
  Columns columns;
  for (size_t done = 0; done < events; done += STANDARD_VECTOR_SIZE) {
    auto chunk = std::make_unique<duckdb::DataChunk>();
    auto types = stream.Types();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(),
                      duckdb::vector<duckdb::LogicalType>(types.begin(), types.end()));
    size_t rows = std::min<size_t>(STANDARD_VECTOR_SIZE, events - done);
    auto* ids = duckdb::FlatVector::GetDataUnsafe<duckdb::hugeint_t>(chunk->data[0]);
    auto* times = duckdb::FlatVector::GetDataUnsafe<int64_t>(chunk->data[1]);
    auto* names = duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(chunk->data[2]);
    for (size_t i = 0; i < rows; i++) {
      ids[i] = duckdb::hugeint_t(static_cast<int64_t>(random()), random());
      times[i] = kSampleStartSeconds * 1'000'000 +
                 static_cast<int64_t>(static_cast<double>(kSampleSpanMicros) *
                                      static_cast<double>(done + i) / static_cast<double>(events));
      names[i] = duckdb::StringVector::AddString(chunk->data[2], SampleName(random()));
    }
    chunk->SetCardinality(rows);
    columns.chunks.push_back(std::move(chunk));
    columns.rows += rows;
  }
  return columns;
}

struct Kept {
  OutputOperator* output;
  std::unique_ptr<ViewContent> content = std::make_unique<ViewContent>();
};

double Maintain(const Columns& events, const CatalogState& catalog, Kernel& kernel) {
  auto session = std::make_shared<Session>(kernel, catalog.time_zone);
  session->SetClock(kNow);
  Circuit circuit;
  std::vector<Kept> views;
  for (auto& [name, query] : kViews) {
    auto built = BuildView(circuit, catalog, session, name, KernelSql(query));
    if (!built.output) {
      std::fprintf(stderr, "%s: %s\n", name, built.unsupported.c_str());
      std::exit(1);
    }
    views.push_back({built.output});
  }
  auto sources = circuit.Sources();
  uint64_t step = 0, offset = 1;
  return Seconds([&] {
    size_t rows = 0;
    auto finish_step = [&] {
      circuit.Flush();
      step++;
      for (auto& view : views) {
        view.content->Reclaim(step - 1);
        view.output->Take(
            [&](std::string_view row, int64_t weight) { view.content->Change(row, weight, step); });
      }
      rows = 0;
      circuit.SetClock(kNow + static_cast<Micros>(step));
    };
    circuit.SetClock(kNow);
    for (auto& chunk : events.chunks) {
      for (auto* source : sources) source->Feed(*chunk, offset, kNow);
      offset += chunk->size();
      rows += chunk->size();
      if (rows >= kStepRows) finish_step();
    }
    finish_step();
  });
}

double Scan(const Columns& events, const CatalogState& catalog) {
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  connection.Query("SET threads = 1");
  connection.Query("SET TimeZone = '" + catalog.time_zone + "'");
  connection.Query(
      "CREATE TABLE events (event_id UUID, event_time TIMESTAMPTZ, event_name VARCHAR)");
  {
    duckdb::Appender appender(connection, "events");
    for (auto& chunk : events.chunks) appender.AppendDataChunk(*chunk);
  }
  double best = 1e9;
  for (int i = 0; i < 3; i++) {
    best = std::min(best, Seconds([&] {
                      for (auto& [name, query] : kViews) connection.Query(query)->Fetch();
                    }));
  }
  return best;
}

int Main(size_t count) {
  auto stream = Events();
  CatalogState catalog;
  catalog.time_zone = "America/New_York";
  catalog.streams["events"] = stream;
  auto events = MakeEvents(*stream, count);
  Kernel kernel;
  Maintain(events, catalog, kernel);
  double best = 1e9;
  for (int i = 0; i < 5; i++) best = std::min(best, Maintain(events, catalog, kernel));
  double scan = Scan(events, catalog);
  double millions = static_cast<double>(count) / 1e6;
  Report({"engine",
          "three sign-up views, one core",
          millions / best,
          "million events/s",
          100,
          false,
          {{"DuckDB scans, million events/s a refresh", millions / scan},
           {"seconds a refresh by scanning", scan},
           {"GB/s of columns read", static_cast<double>(count) * 24 / best / 1e9}}});
  return 0;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  return weir::Main(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000);
}
