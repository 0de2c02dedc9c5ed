// What an event costs when the state is ten times as large: for the operators whose state grows
// with history.  The caches make some difference to anything that is larger than they are; how
// much, a plain array of words of the same size says, that is read and written at random.
//
//   bench_growth [EVENTS [NAME]]      default 8,000,000: of the large state; one operator only
#include <algorithm>
#include <cstdlib>
#include <random>

#include "kept_query.h"
#include "report.h"
#include "row_writer.h"
#include "sql/kernel_sql.h"

namespace weir {
namespace {

constexpr Micros kNow = 1'700'000'000'000'000;
constexpr size_t kStepRows = 64 * 1024;
constexpr size_t kTimes = 10;

constexpr const char* kStreams = R"(
CREATE STREAM events (id BIGINT, user_id BIGINT, amount BIGINT, time TIMESTAMP);
CREATE STREAM users (id BIGINT, name VARCHAR);
)";

struct Shape {
  const char* name;
  const char* query;
};
constexpr Shape kShapes[] = {
    {"group by", "SELECT user_id, count(*), sum(amount), max(amount) FROM events GROUP BY user_id"},
    {"join", "SELECT e.id, e.amount, u.name FROM events e JOIN users u ON e.user_id = u.id"},
    {"above its group's average",
     "SELECT e.id, e.amount FROM events e JOIN (SELECT user_id % 100 AS part, avg(amount) AS mean "
     "FROM events GROUP BY part) m ON m.part = e.user_id % 100 AND e.amount > m.mean * 1.5"},
    {"count distinct", "SELECT amount % 10, count(DISTINCT user_id) FROM events GROUP BY ALL"},
    {"top of each group",
     "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY amount DESC, id) "
     "AS "
     "n FROM events) WHERE n <= 3"},
    {"sessions",
     "SELECT user_id, count(*), window_start FROM TABLE(SESSION(TABLE events PARTITION BY user_id, "
     "DESCRIPTOR(time), INTERVAL '10' SECOND)) GROUP BY user_id, window_start, window_end"}};

// Events of `users` users, each as often as any other.
class Events {
 public:
  Events(const CatalogState& catalog, int64_t users)
      : types_(catalog.GetStream("events")->Types()), users_(users) {}
  Columns Make(int64_t from, int64_t to) {
    RowWriter writer(types_);
    for (int64_t i = from; i < to; i++) {
      writer.Add(i, static_cast<int64_t>(random_() % static_cast<uint64_t>(users_)),
                 static_cast<int64_t>(random_() % 100000), kNow + i * 100);
    }
    return writer.Take();
  }

 private:
  RowTypes types_;
  std::mt19937_64 random_{42};
  int64_t users_;
};

struct Cost {
  double nanos;  // an event
  size_t state_bytes;
};

// Fills the state with `events`, then measures some more.
Cost Measure(Kernel& kernel, const CatalogState& catalog, const Shape& shape, int64_t events,
             int64_t measured) {
  int64_t users = events / 4;
  KeptQuery kept(kernel, catalog, "grown", ToKernelSql(shape.query), {}, kNow);
  auto stream = catalog.GetStream("events")->id;
  auto names = catalog.GetStream("users");
  Events made(catalog, users);
  kept.SetClock(kNow);
  if (kept.Reads(names->id)) {
    for (int64_t from = 0; from < users; from += kStepRows) {
      RowWriter writer(names->Types());
      for (int64_t i = from; i < std::min<int64_t>(users, from + kStepRows); i++) {
        writer.Add(i, "user " + std::to_string(i));
      }
      for (auto& chunk : writer.Take().chunks) kept.Feed(names->id, *chunk);
    }
    kept.Flush();
  }
  double seconds = 0;
  for (int64_t from = 0; from < events + measured; from += kStepRows) {
    auto part = made.Make(from, from + kStepRows);
    double took = Seconds([&] {
      for (auto& chunk : part.chunks) kept.Feed(stream, *chunk);
      kept.Flush();
    });
    if (from >= events) seconds += took;
  }
  if (auto failure = kept.failure(); !failure.empty()) {
    std::fprintf(stderr, "%s failed: %s\n", shape.name, failure.c_str());
    std::exit(1);
  }
  int64_t steps = (measured + kStepRows - 1) / kStepRows;
  return {seconds * 1e9 / static_cast<double>(steps * kStepRows), kept.StateBytes()};
}

// Nanoseconds to change a word at a random place of so many bytes: the best of some rounds, as what
// it is held against.
double MemoryNanos(size_t bytes) {
  std::vector<uint64_t> words(std::max<size_t>(bytes / 8, 1024), 1);
  constexpr size_t kCount = 1 << 22;
  constexpr int kRounds = 5;
  uint64_t at = 88172645463325252ull;
  auto touch = [&] {
    for (size_t i = 0; i < kCount; i++) {
      at ^= at << 13;
      at ^= at >> 7;
      at ^= at << 17;
      words[at % words.size()] += at;
    }
  };
  touch();
  double best = Seconds(touch);
  for (int round = 1; round < kRounds; round++) best = std::min(best, Seconds(touch));
  return best * 1e9 / kCount;
}

int Main(int64_t large, const char* only) {
  KeepMemory();
  Project project;
  project.Add(kStreams);
  Kernel kernel;
  int64_t small = large / static_cast<int64_t>(kTimes);
  int64_t measured = std::max<int64_t>(large / 8, kStepRows);
  for (auto& shape : kShapes) {
    if (only && std::string(only) != shape.name) continue;
    // The better of two rounds: only the second finds all the memory there that it needs.
    Cost few{}, many{};
    for (int round = 0; round < 2; round++) {
      auto better = [&](Cost& best, int64_t events) {
        Cost cost = Measure(kernel, project.catalog, shape, events, measured);
        if (round == 0 || cost.nanos < best.nanos) best = cost;
      };
      better(few, small);
      better(many, large);
    }
    double memory_few = MemoryNanos(few.state_bytes), memory_many = MemoryNanos(many.state_bytes);
    // What the caches explain: as many more words as the memory's own nanoseconds tell.
    Report({"growth",
            std::string(shape.name) + ", cost at ten times the state",
            many.nanos / few.nanos / std::max(1.0, memory_many / memory_few),
            "times, but for caches",
            1.25,
            true,
            {{"ns an event", few.nanos},
             {"ns at ten times", many.nanos},
             {"state MB", static_cast<double>(few.state_bytes) / 1e6},
             {"MB at ten times", static_cast<double>(many.state_bytes) / 1e6},
             {"a word of memory, ns", memory_few},
             {"ns at ten times the memory", memory_many}}});
  }
  return 0;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  return weir::Main(argc > 1 ? std::atoll(argv[1]) : 8'000'000, argc > 2 ? argv[2] : nullptr);
}
