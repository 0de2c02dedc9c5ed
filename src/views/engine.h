// The engine behind Views: one thread, one circuit, one step after the other.
#pragma once

#include <cstdlib>
#include <functional>
#include <memory>

#include "duck/session.h"
#include "io/disk/disk.h"
#include "io/disk/small_file.h"
#include "views/plan_trial.h"
#include "views/state_memory.h"
#include "views/views.h"

namespace weir {

struct EngineOptions {
  std::string checkpoint_directory;  // "" for none
  std::string marks_path;       // how far pumps are, of what the log has forgotten; "" for none
  OnUnknownOutcome on_unknown;  // of a file that was to be replaced
  std::string parked_path;  // why views and pumps are parked, for the next start; "" for nowhere
  Micros checkpoint_interval = 30'000'000;
  // For how long a step may wait for pieces of a checkpoint; 0: each is as small as can be, and the
  // next checkpoint does not wait for what the last one cost (tests).
  Micros checkpoint_slice = 2'000;
  Micros tick = 100'000;                   // a step this often when a view looks at the clock
  Micros recompute_interval = 1'000'000;   // at most this often for a view that is recomputed
  uint64_t read_bytes_max = 512ull << 20;  // of the rows one read of a view may give
  size_t subscriptions_max = 64;           // different queries followed at once
  uint64_t step_rows_max = 256 * 1024;
  Micros step_target = 80'000;  // what a step should take while more waits: views move that often
  uint64_t backlog_bytes_max = 256ull << 20;  // above this the door should say "later"
  StateMemoryOptions memory;
  std::string busy_path;         // of the machine's: what it is at, for the next start; "": nowhere
  Micros step_max = 60'000'000;  // of one operator with some rows; it gives up after that
  // Called once, on the engine's thread, when it fails again and again for a reason that lies in no
  // view.  Does not return.
  std::function<void(const std::string& why)> on_failure = [](const std::string&) { std::abort(); };
};

// The process's exit code when an operator neither ends nor gives up.
inline constexpr int kExitStalled = 75;

class Engine : public Views {
 public:
  // What the engine borrows; all of it outlives the engine.
  struct Parts {
    Kernel& kernel;
    Catalog& catalog;
    Log& log;
    History& history;
    BatchEngine* batch;  // null: views that cannot be maintained are parked
    Clock& clock;
    Disk& disk;
    PlanTrial* trial = nullptr;  // null: what is asked for is planned at once
  };
  static std::unique_ptr<Engine> Make(Parts parts, EngineOptions options);

  // Loads the last checkpoint, starts filling what it lacks and takes committed blocks from now on:
  // call before the log accepts the first append.
  virtual void Start() = 0;
  // Ends the threads and writes a checkpoint.  Idempotent.  False when the engine does not come out
  // of a step in time: then the process can only be ended, with the log closed.
  virtual bool Stop() = 0;
  virtual bool Behind() const = 0;
  // Makes how far pumps are durable apart from the log.  Returns the offset up to which the log may
  // now forget.  One thread at a time.
  virtual Offset SaveMarks() = 0;
  // Runs one step now, on the caller's thread; only for an engine that was not started (tests).
  virtual void StepNow() = 0;
};

}  // namespace weir
