// A whole Weir without its protocols, on a simulated disk and a clock that stands still, for tests
// that speak SQL.  One thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "duck/session.h"
#include "ingest/ingest.h"
#include "io/clock.h"
#include "io/disk/simulated_disk.h"
#include "io/random.h"
#include "lake/lake.h"
#include "log/log.h"
#include "statements/statements.h"
#include "verify/verify.h"
#include "views/engine.h"

namespace weir {

// The wall clock stands still until a test moves it; how long things take is real.
class WallClock : public Clock {
 public:
  Micros Now() override { return now_; }
  Micros Monotonic() override { return SystemClock().Monotonic(); }
  void Set(Micros now) { now_ = now; }

 private:
  std::atomic<Micros> now_{1'700'000'000'000'000};
};

// Rules of DuckDB's optimizer, by name, that are left out; "" none.
struct RulesOff {
  std::string of_views, of_batch;
};

class World {
 public:
  // `now`: of its clock; time does not go back once there is a world.
  explicit World(RulesOff rules = {}, Micros now = WallClock().Now());
  ~World();

  // Runs statements of ours; what they throw passes through.  The last one's result.
  ResultTable Execute(const std::string& sql);
  IngestAnswer Ingest(const std::string& stream, RowFormat format, const std::string& body,
                      const std::string& idempotency_key = "");

  void SetClock(Micros now);
  void Advance(Micros by);
  void Land();
  void Restart();
  // The power goes: of what was not synced, a part is there.
  void Crash(Random& random);

  // Returns when every view stands at the last event and at the clock.
  void Settle();
  Snapshot Read(const std::string& view);
  // Compares views (all when no name is given) with their batch queries.
  VerifyReport VerifyViews(const std::string& view = "");
  // A query run from scratch by plain DuckDB, where the views stand.
  Columns Batch(const std::string& sql);
  // "+ 1|a" and "- 1|a" for what changed in a view since the last call, net, sorted.
  std::vector<std::string> Changes(const std::string& view);
  const ViewInfo& Info(const std::string& view);
  // Of each view's operators, without its content.  Takes seconds: it is looked at once in one.
  std::map<std::string, uint64_t> StateBytes();

  Engine& engine();
  // The first event of the past that was read since the last start was behind this offset.
  uint64_t scanned_after() const;
  WallClock& clock() { return clock_; }

 private:
  struct Parts;
  void Open();
  void Close();
  std::map<std::string, int64_t> Content(const std::string& view);

  RulesOff rules_;
  WallClock clock_;
  std::unique_ptr<SimulatedDisk> disk_;
  Kernel kernel_;
  std::unique_ptr<Parts> parts_;
  std::map<std::string, std::map<std::string, int64_t>> seen_;
  std::vector<ViewInfo> infos_;
};

// Rows as text: values as DuckDB casts them to VARCHAR, with | between, NULL as NULL, an empty text
// as (empty).
std::vector<std::string> RowsAsText(const Columns& rows);

}  // namespace weir
