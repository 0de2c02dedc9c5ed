// TPC-H, each query by itself as a kept view: tables of scale 0.1 whose rows come, change and go in
// random batches.  Beside it DuckDB, on one core too, computing the query again for each batch.  At
// the end every answer is compared with DuckDB's over what the tables then hold.
//
//   bench_tpch FOLDER EXTENSION [SCALE [QUERY]]     EXTENSION: the path of tpch.duckdb_extension
//   bench_tpch --tables FOLDER EXTENSION [SCALE]    writes the tables into FOLDER, as TABLE.csv
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "batch_query.h"
#include "kept_query.h"
#include "report.h"

namespace weir {
namespace {

constexpr Micros kNow = 1'700'000'000'000'000;
constexpr size_t kBatchChanges = 1000;
constexpr size_t kLoadStepRows = 64 * 1024;
constexpr double kTimesFaster = 10;  // than computing again for each batch

// A table and how an update changes its rows.  A hundredth part of the rows is chosen by a hash of
// the key: [0, 10) go, [10, 20) change, [90, 100) are not there at first.
struct Table {
  const char* name;
  const char* key;
  const char* update;  // null: its rows only come, all at first
};
constexpr Table kTables[] = {
    {"region", "r_regionkey", nullptr},
    {"nation", "n_nationkey", nullptr},
    {"supplier", "s_suppkey", "s_acctbal + 100 AS s_acctbal"},
    {"customer", "c_custkey", "c_acctbal + 1000 AS c_acctbal, 'BUILDING' AS c_mktsegment"},
    {"part", "p_partkey", "15 AS p_size, p_retailprice + 1 AS p_retailprice"},
    {"partsupp", "ps_partkey, ps_suppkey",
     "ps_supplycost + 1 AS ps_supplycost, ps_availqty + 1 AS ps_availqty"},
    {"orders", "o_orderkey",
     "o_totalprice + 100 AS o_totalprice, '1-URGENT' AS o_orderpriority, o_orderdate + 30 AS "
     "o_orderdate"},
    {"lineitem", "l_orderkey, l_linenumber",
     "l_quantity + 1 AS l_quantity, l_extendedprice + 100 AS l_extendedprice, l_shipdate + 30 AS "
     "l_shipdate, 'MAIL' AS l_shipmode"}};

// Rows with weights of one table in one step.
struct Part {
  std::unique_ptr<duckdb::DataChunk> rows;
  std::vector<int64_t> weights;
};
struct Feed {
  StreamId stream;
  std::vector<std::vector<Part>> steps;
  uint64_t changes = 0;  // an update is one
};

// Changes of a table in the order of their steps: its columns, step, weight.
std::string ChangesOf(const Table& table, size_t steps) {
  std::string name = table.name;
  if (!table.update) return "SELECT *, 0 AS step, 1 AS weight FROM db." + name;
  std::string keyed = "(SELECT *, hash(" + std::string(table.key) +
                      ") AS h, (h % 100)::BIGINT AS part, (1 + h // 100 % " +
                      std::to_string(steps) + ")::BIGINT AS step FROM db." + name + ")";
  std::string columns = "* EXCLUDE (h, part, step)";
  return "SELECT " + columns +
         ", CASE WHEN part >= 90 THEN step ELSE 0 END AS step, 1 AS weight FROM " + keyed +
         " UNION ALL SELECT " + columns + ", step, -1 FROM " + keyed +
         " WHERE part < 20 UNION ALL SELECT " + columns + " REPLACE (" + table.update +
         "), step, 1 FROM " + keyed + " WHERE part BETWEEN 10 AND 19";
}

// Makes the changes, and in schema main the tables as they are after the last.
std::vector<Feed> MakeFeeds(BatchDatabase& batch, const CatalogState& catalog, double scale,
                            size_t& steps) {
  batch.Run("ATTACH ':memory:' AS db");
  batch.Run("USE db");
  batch.Run("CALL dbgen(sf = " + std::to_string(scale) + ")");
  batch.Run("USE memory");
  double rows = 0;
  for (auto& table : kTables) {
    auto count = batch.Run(std::string("SELECT count(*) FROM db.") + table.name);
    rows += static_cast<double>(count.chunks[0]->GetValue(0, 0).GetValue<int64_t>());
  }
  steps = static_cast<size_t>(rows * 0.3 / kBatchChanges) + 1;
  std::vector<Feed> feeds;
  for (auto& table : kTables) {
    auto stream = catalog.GetStream(table.name);
    Feed feed{stream->id, {}, 0};
    feed.steps.resize(steps + 1);
    size_t width = stream->columns.size();
    batch.Run("CREATE TEMP TABLE changes AS " + ChangesOf(table, steps));
    auto columns = batch.Run(
        "SELECT * EXCLUDE (step, weight), step::BIGINT, weight::BIGINT FROM "
        "changes ORDER BY step, hash(COLUMNS(*))");
    for (auto& chunk : columns.chunks) {
      chunk->Flatten();
      auto* step_of = duckdb::FlatVector::GetData<int64_t>(chunk->data[width]);
      auto* weights = duckdb::FlatVector::GetData<int64_t>(chunk->data[width + 1]);
      for (duckdb::idx_t from = 0; from < chunk->size();) {
        duckdb::idx_t to = from;
        while (to < chunk->size() && step_of[to] == step_of[from]) to++;
        Part part{std::make_unique<duckdb::DataChunk>(), {weights + from, weights + to}};
        auto types = stream->Types();
        part.rows->Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types), to - from);
        for (size_t c = 0; c < width; c++) {
          duckdb::VectorOperations::Copy(chunk->data[c], part.rows->data[c], to, from, 0);
        }
        part.rows->SetCardinality(to - from);
        feed.steps[static_cast<size_t>(step_of[from])].push_back(std::move(part));
        from = to;
      }
    }
    auto changes = batch.Run(
        "SELECT coalesce(sum(CASE WHEN part < 20 OR part >= 90 THEN 1 ELSE 0 END), 0)::BIGINT FROM "
        "(SELECT (hash(" +
        std::string(table.key) + ") % 100)::BIGINT AS part FROM db." + table.name + ")");
    if (table.update) {
      feed.changes = static_cast<uint64_t>(changes.chunks[0]->GetValue(0, 0).GetValue<int64_t>());
    }
    batch.Run(
        std::string("CREATE TABLE main.") + table.name +
        " AS SELECT * EXCLUDE (step, weight) FROM changes GROUP BY ALL HAVING sum(weight) > 0");
    batch.Run("DROP TABLE changes");
    feeds.push_back(std::move(feed));
  }
  return feeds;
}

void Step(KeptQuery& kept, const std::vector<Feed>& feeds, size_t step) {
  size_t rows = 0;
  kept.SetClock(kNow + static_cast<Micros>(step));
  for (auto& feed : feeds) {
    for (auto& part : feed.steps[step]) {
      kept.Feed(feed.stream, *part.rows, part.weights.data());
      rows += part.rows->size();
      if (rows < kLoadStepRows) continue;
      kept.Flush();
      rows = 0;
    }
  }
  kept.Flush();
}

int WriteTables(const std::string& folder, const std::string& extension, double scale) {
  BatchDatabase batch;
  batch.Run("LOAD '" + extension + "'");
  batch.Run("CALL dbgen(sf = " + std::to_string(scale) + ")");
  for (auto& table : kTables) {
    batch.Run("COPY " + std::string(table.name) + " TO '" + folder + "/" + table.name +
              ".csv' (HEADER)");
  }
  return 0;
}

int Main(const std::string& folder, const std::string& extension, double scale,
         const std::string& only) {
  KeepMemory();
  Project project;
  project.Read(folder + "/streams.sql");
  project.Read(folder + "/queries.sql");
  BatchDatabase batch;
  batch.Run("LOAD '" + extension + "'");
  size_t steps = 0;
  auto feeds = MakeFeeds(batch, project.catalog, scale, steps);
  Kernel kernel;
  double logarithms = 0;
  for (auto& [name, query] : project.queries) {
    if (!only.empty() && only != name) continue;
    KeptQuery kept(kernel, project.catalog, name, query, {.rows_go = true, .keep_answer = true},
                   kNow);
    double load = Seconds([&] { Step(kept, feeds, 0); });
    uint64_t changes_before = kept.changes();
    std::vector<double> took;
    for (size_t step = 1; step <= steps; step++) {
      took.push_back(Seconds([&] { Step(kept, feeds, step); }));
    }
    if (auto failure = kept.failure(); !failure.empty()) {
      std::fprintf(stderr, "%s failed: %s\n", name.c_str(), failure.c_str());
      return 1;
    }
    if (!only.empty()) kept.Explain();
    uint64_t changes = 0;
    for (auto& feed : feeds) changes += kept.Reads(feed.stream) ? feed.changes : 0;
    double seconds = 0;
    for (double one : took) seconds += one;
    std::sort(took.begin(), took.end());
    auto answer = kept.Answer();
    batch.MustEqual(name, query, kept.types(), answer);
    double again = batch.Seconds(query, 3) * static_cast<double>(steps);
    logarithms += std::log(again / seconds);
    Report({"tpch",
            name,
            static_cast<double>(changes) / 1e3 / seconds,
            "thousand changes/s",
            kTimesFaster * static_cast<double>(changes) / 1e3 / again,
            false,
            {{"DuckDB again each batch", static_cast<double>(changes) / 1e3 / again},
             {"times", again / seconds},
             {"batch ms, median", took[took.size() / 2] * 1e3},
             {"p99", took[took.size() * 99 / 100] * 1e3},
             {"state MB", static_cast<double>(kept.StateBytes()) / 1e6},
             {"loaded in s", load},
             {"rows changed in it", static_cast<double>(kept.changes() - changes_before)},
             {"rows, equal", static_cast<double>(answer.rows)}}});
  }
  if (only.empty()) {
    Report({"tpch",
            "geometric mean, of computing again each batch",
            std::exp(logarithms / static_cast<double>(project.queries.size())),
            "times",
            kTimesFaster,
            false,
            {{"batches", static_cast<double>(steps)},
             {"changes in each", static_cast<double>(kBatchChanges)}}});
  }
  return 0;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: bench_tpch [--tables] FOLDER EXTENSION [SCALE [QUERY]]\n");
    return 2;
  }
  if (std::string(argv[1]) == "--tables") {
    return weir::WriteTables(argv[2], argv[3], argc > 4 ? std::atof(argv[4]) : 0.1);
  }
  return weir::Main(argv[1], argv[2], argc > 3 ? std::atof(argv[3]) : 0.1, argc > 4 ? argv[4] : "");
}
