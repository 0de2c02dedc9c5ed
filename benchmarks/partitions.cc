// What an appended row costs when its partition, or its graph, is large: in a partition of a
// million rows as in one of a thousand.  What fits the caches costs less than what does not, some
// three or four times; by the length of the partition it would be a thousand times.
//
//   bench_partitions [ROWS]    default 1,000,000: of the large partition
#include <cstdlib>
#include <ctime>
#include <memory>

#include "formats/columns.h"
#include "report.h"
#include "views/relations.h"

namespace weir {
namespace {

constexpr Micros kNow = 1'582'900'000'000'000;
constexpr size_t kAppended = 64 * STANDARD_VECTOR_SIZE;

constexpr const char* kQueries[][2] = {
    {"running sum", "SELECT id, sum(x) OVER (PARTITION BY p ORDER BY id) AS s FROM events"},
    {"lag", "SELECT id, lag(x) OVER (PARTITION BY p ORDER BY id) AS s FROM events"},
    {"average of ten rows",
     "SELECT id, avg(x) OVER (PARTITION BY p ORDER BY id ROWS 9 PRECEDING) AS s FROM events"},
    {"sum of ten values by RANGE",
     "SELECT id, sum(x) OVER (PARTITION BY p ORDER BY id RANGE 9 PRECEDING) AS s FROM events"},
    // A chain is linked on at its end only, from one start: each edge reaches one more node.
    {"recursive reach from one node",
     "WITH RECURSIVE t(n) AS (SELECT 0::BIGINT UNION SELECT e.id + 1 FROM t JOIN events e "
     "ON e.id = t.n) SELECT n FROM t"}};

// Seconds a row of `kAppended` rows that follow `before` rows in one partition.
double Append(const CatalogState& catalog, Kernel& kernel, const char* query, size_t before) {
  auto session = std::make_shared<Session>(kernel, catalog.time_zone);
  session->SetClock(kNow);
  Circuit circuit;
  auto built = BuildView(circuit, catalog, session, "view", KernelSql(query));
  if (!built.output) {
    std::fprintf(stderr, "%s: %s\n", query, built.unsupported.c_str());
    std::exit(1);
  }
  auto sources = circuit.Sources();
  duckdb::DataChunk chunk;
  auto types = catalog.streams.at("events")->Types();
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(),
                   duckdb::vector<duckdb::LogicalType>(types.begin(), types.end()));
  circuit.SetClock(kNow);
  int64_t next = 0;
  uint64_t taken = 0;
  auto feed = [&](size_t rows) {
    for (size_t done = 0; done < rows;) {
      auto some = std::min<size_t>(STANDARD_VECTOR_SIZE, rows - done);
      for (size_t i = 0; i < some; i++, next++) {
        duckdb::FlatVector::GetDataUnsafe<int64_t>(chunk.data[0])[i] = next;
        duckdb::FlatVector::GetDataUnsafe<int64_t>(chunk.data[1])[i] = 1;
        duckdb::FlatVector::GetDataUnsafe<int64_t>(chunk.data[2])[i] = next % 1000;
      }
      chunk.SetCardinality(some);
      for (auto* source : sources) source->Feed(chunk, static_cast<uint64_t>(next), kNow);
      circuit.Flush();
      built.output->Take([&](std::string_view, int64_t) { taken++; });
      done += some;
    }
  };
  feed(before);
  std::clock_t begin = std::clock();  // of the processor: one thread works, others may be about
  feed(kAppended);
  double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  for (auto& op : circuit.operators()) {
    if (op->failure().empty()) continue;
    std::fprintf(stderr, "%s: %s\n", query, op->failure().c_str());
    std::exit(1);
  }
  return seconds / static_cast<double>(kAppended);
}

int Main(size_t large) {
  CatalogState catalog;
  catalog.time_zone = "UTC";
  auto stream = std::make_shared<Stream>();
  stream->name = "events";
  for (const char* name : {"id", "p", "x"}) {
    Column column;
    column.name = name;
    column.type = duckdb::LogicalType::BIGINT;
    stream->columns.push_back(column);
  }
  catalog.streams["events"] = stream;
  Kernel kernel;
  for (auto& [name, query] : kQueries) {
    double in_small = Append(catalog, kernel, query, 1000);
    double in_large = Append(catalog, kernel, query, large);
    Report({"partitions",
            name,
            in_large / in_small,
            "cost of a row after a million, of one after a thousand",
            2,
            true,
            {{"ns a row after a thousand", in_small * 1e9},
             {"ns a row after a million", in_large * 1e9}}});
  }
  return 0;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  return weir::Main(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000);
}
