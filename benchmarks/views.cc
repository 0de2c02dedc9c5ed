// A thousand small views over one stream at once: what an event costs with all of them kept, and
// the memory each takes.  Beside it the same views one by one in DuckDB, from scratch.
//
//   bench_views [EVENTS [VIEWS]]      default 2,000,000 and 1,000
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>

#include "batch_query.h"
#include "kept_query.h"
#include "report.h"
#include "row_writer.h"

namespace weir {
namespace {

constexpr Micros kNow = 1'700'000'000'000'000;
constexpr size_t kStepRows = 64 * 1024;

constexpr const char* kStreams =
    "CREATE STREAM events (device VARCHAR, kind VARCHAR, time TIMESTAMP, value DOUBLE);";

// One tenant's, device's or customer's numbers each: what people make many views of.
std::string QueryOf(size_t number) {
  std::string device = "'device-" + std::to_string(number) + "'";
  switch (number % 4) {
    case 0: return "SELECT count(*) AS n, max(time) AS last FROM events WHERE device = " + device;
    case 1:
      return "SELECT kind, count(*) AS n, sum(value) AS total FROM events WHERE device = " +
             device + " GROUP BY kind";
    case 2:
      return "SELECT date_trunc('minute', time) AS minute, avg(value) AS mean, min(value) AS low, "
             "max(value) AS high FROM events WHERE device = " +
             device + " GROUP BY minute";
    default:
      return "SELECT time, kind, value FROM events WHERE device = " + device +
             " AND kind = 'error' ORDER BY time DESC, value LIMIT 5";
  }
}

Columns MakeEvents(const Stream& stream, size_t events, size_t devices) {
  std::mt19937_64 random(42);
  constexpr const char* kKinds[] = {"reading", "reading", "reading", "error"};
  Columns columns;
  for (size_t i = 0; i < events;) {
    auto chunk = std::make_unique<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(stream.Types()));
    size_t rows = std::min<size_t>(STANDARD_VECTOR_SIZE, events - i);
    for (size_t row = 0; row < rows; row++, i++) {
      auto device = "device-" + std::to_string(random() % devices);
      duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(chunk->data[0])[row] =
          duckdb::StringVector::AddString(chunk->data[0], device);
      duckdb::FlatVector::GetDataUnsafe<duckdb::string_t>(chunk->data[1])[row] =
          duckdb::StringVector::AddString(chunk->data[1], kKinds[random() % 4]);
      duckdb::FlatVector::GetDataUnsafe<int64_t>(chunk->data[2])[row] =
          kNow + static_cast<int64_t>(i) * 1000;
      duckdb::FlatVector::GetDataUnsafe<double>(chunk->data[3])[row] =
          static_cast<double>(random() % 1000);
    }
    chunk->SetCardinality(rows);
    columns.chunks.push_back(std::move(chunk));
    columns.rows += rows;
  }
  return columns;
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * 4096;
}

// The views' circuit as the engine has it: a session for each view, operators shared.
struct Kept {
  Circuit circuit;
  std::vector<OutputOperator*> outputs;
  std::vector<std::unique_ptr<ViewContent>> contents;
  uint64_t step = 0;

  void Add(Kernel& kernel, const CatalogState& catalog, size_t number) {
    auto session = std::make_shared<Session>(kernel, catalog.time_zone);
    session->SetClock(kNow);
    auto built = BuildView(circuit, catalog, session, "view_" + std::to_string(number),
                           KernelSql(QueryOf(number)));
    if (!built.output) {
      std::fprintf(stderr, "%s\n", built.unsupported.c_str());
      std::exit(1);
    }
    outputs.push_back(built.output);
    contents.push_back(std::make_unique<ViewContent>());
  }
  void Step() {
    circuit.Flush();
    step++;
    for (size_t i = 0; i < outputs.size(); i++) {
      if (!outputs[i]->HasChanges()) continue;
      contents[i]->Reclaim(step - 1);
      outputs[i]->Take(
          [&](std::string_view row, int64_t weight) { contents[i]->Change(row, weight, step); });
    }
    circuit.SetClock(kNow + static_cast<Micros>(step));
  }
  uint64_t Rows() const {
    uint64_t rows = 0;
    for (auto& content : contents) rows += content->rows();
    return rows;
  }
};

int Main(size_t events, size_t views) {
  Project project;
  project.Add(kStreams);
  auto stream = project.catalog.GetStream("events");
  auto columns = MakeEvents(*stream, events, views);
  Kernel kernel;
  Kept kept;
  kept.Add(kernel, project.catalog, 0);  // what is there once for all
  size_t before = ResidentBytes();
  double creating = Seconds([&] {
    for (size_t i = 1; i < views; i++) kept.Add(kernel, project.catalog, i);
  });
  kept.circuit.SetClock(kNow);
  kept.Step();
  double fresh_bytes = static_cast<double>(ResidentBytes() - before) / static_cast<double>(views);

  auto sources = kept.circuit.Sources();
  uint64_t offset = 1;
  size_t rows = 0;
  double seconds = Seconds([&] {
    for (auto& chunk : columns.chunks) {
      for (auto* source : sources) source->Feed(*chunk, offset, kNow);
      offset += chunk->size();
      rows += chunk->size();
      if (rows >= kStepRows) {
        kept.Step();
        rows = 0;
      }
    }
    kept.Step();
  });
  double full_bytes = static_cast<double>(ResidentBytes() - before) / static_cast<double>(views);
  // A step of one event, as when events are few.
  auto& one = *columns.chunks[0];
  std::vector<double> small;
  for (size_t i = 0; i < 500; i++) {
    duckdb::DataChunk row;
    row.InitializeEmpty(DuckTypes(stream->Types()));
    row.Reference(one);
    duckdb::SelectionVector selection(1);
    selection.set_index(0, i);
    row.Slice(selection, 1);
    small.push_back(Seconds([&] {
                      for (auto* source : sources) source->Feed(row, offset++, kNow);
                      kept.Step();
                    }) *
                    1e3);
  }
  std::sort(small.begin(), small.end());
  BatchDatabase batch;
  batch.Run("CREATE TABLE events (device VARCHAR, kind VARCHAR, time TIMESTAMP, value DOUBLE)");
  {
    duckdb::Appender appender(batch.connection(), "events");
    for (auto& chunk : columns.chunks) appender.AppendDataChunk(*chunk);
  }
  double again = 0;
  constexpr size_t kAsked = 8;
  for (size_t i = 0; i < kAsked; i++) again += batch.Seconds(KernelSql(QueryOf(i)), 1) / kAsked;
  std::string name = std::to_string(views) + " views over one stream";
  Report({"views",
          name,
          static_cast<double>(events) / 1e6 / seconds,
          "million events/s",
          2,
          false,
          {{"ns an event", seconds * 1e9 / static_cast<double>(events)},
           {"operators", static_cast<double>(kept.circuit.operators().size())},
           {"rows in them", static_cast<double>(kept.Rows())},
           {"DuckDB again for all, s", again * static_cast<double>(views)}}});
  Report({"views",
          name + ", step of one event, p99",
          small[small.size() * 99 / 100],
          "ms",
          0.5,
          true,
          {{"p50", small[small.size() / 2]}}});
  Report({"views",
          name + ", memory of each",
          fresh_bytes / 1024,
          "KiB",
          100,
          true,
          {{"with its rows", full_bytes / 1024},
           {"ms to make one", creating * 1e3 / static_cast<double>(views)}}});
  return 0;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  return weir::Main(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000'000,
                    argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1000);
}
