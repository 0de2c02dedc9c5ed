// Nexmark, each query by itself: columns in memory to the changes of its answer, on one core.  An
// event is a person, an auction or a bid, as the benchmark counts; what the generator costs is not
// in it, and the changes go nowhere (Flink's benchmark writes to a sink that drops them, too).
// Before that every query's answer over the first events is compared with DuckDB's.
#include <cmath>
#include <cstdlib>
#include <map>

#include "app/nexmark.h"
#include "batch_query.h"
#include "kept_query.h"
#include "report.h"
#include "row_writer.h"

namespace weir {
namespace {

constexpr Micros kBase = 1'436'918'400'000'000;  // 2015-07-15, as the benchmark's generator
constexpr size_t kStepEvents = 64 * 1024;
constexpr uint64_t kCheckedEvents = 300'000;  // of which every answer is compared with DuckDB's
constexpr size_t kCheckedStepEvents = 20'000;

// Millions of events a second that a query must reach; 0: none of its own.
const std::map<std::string, double> kMust = {
    {"q0", 10},  {"q1", 10}, {"q2", 10}, {"q21", 10}, {"q22", 10}, {"q3", 5}, {"q8", 5},
    {"q4", 1.5}, {"q5", 5},  {"q7", 5},  {"q11", 5},  {"q12", 5},  {"q9", 1}, {"q15", 2},
    {"q16", 2},  {"q17", 2}, {"q18", 1}, {"q19", 1},  {"q20", 1}};

// What Flink is published to do on one of 16 cores, thousand events a second (Feldera's comparison
// of 2024, with the generator in process).
const std::map<std::string, double> kFlink = {
    {"q0", 165}, {"q1", 163}, {"q2", 195}, {"q3", 127}, {"q4", 31},  {"q5", 41},
    {"q7", 18},  {"q8", 131}, {"q9", 13},  {"q15", 57}, {"q16", 15}, {"q17", 107},
    {"q18", 32}, {"q19", 63}, {"q20", 17}, {"q21", 77}, {"q22", 95}};

// The columns of one stream, cut into steps.
struct Feed {
  std::shared_ptr<const Stream> stream;
  std::vector<Columns> steps;
};

struct World {
  size_t step_events;
  Feed feeds[3];
  size_t steps() const { return feeds[0].steps.size(); }
  Micros ClockAt(size_t step) const {
    return kBase + static_cast<Micros>((step + 1) * step_events * 100);
  }
};

World MakeWorld(const CatalogState& catalog, uint64_t events, size_t step_events) {
  World world{step_events, {}};
  const char* names[] = {"person", "auction", "bid"};
  std::vector<RowWriter> writers;
  for (int i = 0; i < 3; i++) {
    world.feeds[i].stream = catalog.GetStream(names[i]);
    writers.emplace_back(world.feeds[i].stream->Types());
  }
  Nexmark nexmark(42, kBase);
  for (uint64_t number = 0; number < events;) {
    uint64_t end = std::min(events, number + step_events);
    for (; number < end; number++) {
      auto event = nexmark.Event(number);
      if (auto* person = std::get_if<NexmarkPerson>(&event)) {
        writers[0].Add(person->id, person->name, person->email, person->credit_card, person->city,
                       person->state, person->time, person->extra);
      } else if (auto* auction = std::get_if<NexmarkAuction>(&event)) {
        writers[1].Add(auction->id, auction->item_name, auction->description, auction->initial_bid,
                       auction->reserve, auction->time, auction->expires, auction->seller,
                       auction->category, auction->extra);
      } else {
        auto& bid = std::get<NexmarkBid>(event);
        writers[2].Add(bid.auction, bid.bidder, bid.price, bid.channel, bid.url, bid.time,
                       bid.extra);
      }
    }
    for (int i = 0; i < 3; i++) world.feeds[i].steps.push_back(writers[i].Take());
  }
  return world;
}

struct Run {
  double seconds = 0;
  uint64_t changes = 0;
  size_t state_bytes = 0;
};

void Maintain(const World& world, KeptQuery& kept) {
  for (size_t step = 0; step < world.steps(); step++) {
    kept.SetClock(world.ClockAt(step));
    for (auto& feed : world.feeds) {
      for (auto& chunk : feed.steps[step].chunks) kept.Feed(feed.stream->id, *chunk);
    }
    kept.Flush();
  }
}

Run Measure(const World& world, KeptQuery& kept, bool explain) {
  Run run;
  run.seconds = Seconds([&] { Maintain(world, kept); });
  if (auto failure = kept.failure(); !failure.empty()) {
    std::fprintf(stderr, "failed: %s\n", failure.c_str());
    std::exit(1);
  }
  run.changes = kept.changes();
  run.state_bytes = kept.StateBytes();
  if (explain) kept.Explain();
  return run;
}

// DuckDB's tables of the same events.  Hidden columns are in a schema of their own, for the query
// that names one.
void Load(const World& world, BatchDatabase& batch) {
  batch.Run("CREATE SCHEMA hidden");
  for (auto& feed : world.feeds) {
    std::string columns;
    for (auto& column : feed.stream->columns) {
      columns += "\"" + column.name + "\" " + column.type.ToString() + ", ";
    }
    batch.Run("CREATE TABLE hidden." + feed.stream->name + " (" + columns +
              "_arrival_time TIMESTAMPTZ)");
    batch.Run("CREATE VIEW " + feed.stream->name +
              " AS SELECT * EXCLUDE (_arrival_time) FROM hidden." + feed.stream->name);
    duckdb::Appender appender(batch.connection(), "hidden", feed.stream->name);
    duckdb::DataChunk wide;
    auto types = feed.stream->Types();
    types.push_back(duckdb::LogicalType::TIMESTAMP_TZ);
    wide.InitializeEmpty(DuckTypes(types));
    for (size_t step = 0; step < world.steps(); step++) {
      for (auto& chunk : feed.steps[step].chunks) {
        for (size_t c = 0; c < chunk->ColumnCount(); c++) wide.data[c].Reference(chunk->data[c]);
        SetConstant(wide.data.back(),
                    duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(world.ClockAt(step))));
        wide.SetCardinality(chunk->size());
        appender.AppendDataChunk(wide);
      }
    }
  }
}

void UseSchemaOf(BatchDatabase& batch, const std::string& query) {
  bool hidden = query.find("_arrival_time") != std::string::npos;
  batch.Run(hidden ? "SET schema = 'hidden'" : "SET schema = 'main'");
}

// Every query's answer over some of the events, kept by the change, is what DuckDB answers.
void CheckAnswers(Kernel& kernel, const Project& project, uint64_t events) {
  World world = MakeWorld(project.catalog, events, kCheckedStepEvents);
  BatchDatabase batch;
  Load(world, batch);
  for (auto& [name, query] : project.queries) {
    KeptQuery kept(kernel, project.catalog, name, query, {.keep_answer = true}, kBase);
    Maintain(world, kept);
    UseSchemaOf(batch, query.text);
    auto answer = kept.Answer();
    if (answer.rows == 0) {
      std::fprintf(stderr, "%s: no rows, which proves nothing\n", name.c_str());
      std::exit(1);
    }
    batch.MustEqual(name, query, kept.types(), answer);
  }
}

int Main(const std::string& folder, uint64_t events, const std::string& only) {
  KeepMemory();
  Project project;
  project.Read(folder + "/streams.sql");
  project.Read(folder + "/queries.sql");
  Kernel kernel;
  if (only.empty()) CheckAnswers(kernel, project, std::min(events, kCheckedEvents));
  World world = MakeWorld(project.catalog, events, kStepEvents);
  BatchDatabase batch;
  if (only.empty()) Load(world, batch);
  double logarithms = 0, flink_logarithms = 0;  // of the queries Flink's figures are of
  size_t count = 0;
  for (auto& [name, query] : project.queries) {
    if (!only.empty() && only != name) continue;
    Run best;
    for (int round = 0; round < 2; round++) {
      KeptQuery kept(kernel, project.catalog, name, query, {}, kBase);
      auto run = Measure(world, kept, !only.empty());
      if (round == 0 || run.seconds < best.seconds) best = run;
    }
    double millions = static_cast<double>(events) / 1e6 / best.seconds;
    auto must = kMust.find(name);
    Figure figure{"nexmark",
                  name,
                  millions,
                  "million events/s",
                  must == kMust.end() ? 0 : must->second,
                  false,
                  {{"million changes", static_cast<double>(best.changes) / 1e6},
                   {"state MB", static_cast<double>(best.state_bytes) / 1e6}}};
    auto flink = kFlink.find(name);
    if (flink != kFlink.end()) {
      logarithms += std::log(millions);
      flink_logarithms += std::log(flink->second / 1000);
      count++;
      figure.beside.emplace_back("Flink, published", flink->second / 1000);
    }
    if (only.empty()) {
      UseSchemaOf(batch, query.text);
      double seconds = batch.Seconds(query, 1);
      figure.beside.emplace_back("DuckDB once", static_cast<double>(events) / 1e6 / seconds);
    }
    Report(figure);
  }
  if (only.empty()) {
    double mean = std::exp(logarithms / static_cast<double>(count));
    double flink = std::exp(flink_logarithms / static_cast<double>(count));
    Report({"nexmark",
            "geometric mean, of Flink's published",
            mean / flink,
            "times",
            10,
            false,
            {{"million events/s", mean}, {"Flink a core", flink}}});
  }
  return 0;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_nexmark FOLDER [EVENTS [QUERY]]\n");
    return 2;
  }
  return weir::Main(argv[1], argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 5'000'000,
                    argc > 3 ? argv[3] : "");
}
