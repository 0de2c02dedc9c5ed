#include "app/serve.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "app/data_folder.h"
#include "app/embedded_web.h"
#include "app/lake_settings.h"
#include "app/project.h"
#include "app/stores.h"
#include "app/wiring.h"
#include "base/memory_budget.h"
#include "io/clock.h"
#include "io/disk/disk.h"
#include "io/memory/memory.h"
#include "io/process/busy_file.h"
#include "io/smooth_clock.h"
#include "query/service.h"
#include "query/trials.h"
#include "server/server.h"
#include "session/sql_frontend.h"
#include "sql/kernel_sql.h"
#include "statements/references.h"
#include "statements/statements.h"
#include "statements/table_writes.h"
#include "verify/verify.h"
#include "views/engine.h"
#include "views/planning.h"

namespace weir {
namespace {

constexpr int kExitEngineFailure = 70;
constexpr int kExitDiskFailure = 74;

std::pair<std::string, uint16_t> SplitAddress(const std::string& address) {
  auto colon = address.rfind(':');
  auto port = colon == std::string::npos ? "" : address.substr(colon + 1);
  bool number = !port.empty() && port.size() <= 5 &&
                port.find_first_not_of("0123456789") == std::string::npos;
  if (!number || std::stoul(port) > 65535) {
    throw Error(ErrorCode::kInvalidRequest, "\"" + address + "\" is no address",
                "Write HOST:PORT, for example 127.0.0.1:7070; port 0 takes any free one.");
  }
  return {address.substr(0, colon), static_cast<uint16_t>(std::stoul(port))};
}

// SIGINT and SIGTERM are taken by a thread that waits for them, not by a handler.  Should the rest
// of the process not come to its end soon after, be it stopping or still starting, it closes what
// must be closed and ends it.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, kNoLonger);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);  // a file that would be too large is a failed write, with its line
    thread_ = std::thread([this] { Run(); });
  }
  ~StopSignals() {
    {
      std::lock_guard lock(mutex_);
      finished_ = true;
    }
    changed_.notify_all();
    pthread_kill(thread_.native_handle(), kNoLonger);
    thread_.join();
  }

  void Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_; });
  }
  // False: none came in that time.
  bool WaitFor(std::chrono::microseconds most) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, most, [&] { return stopped_; });
  }
  // What is done when it does not come to its end.
  void CloseAtTheLatest(std::function<void()> close) {
    std::lock_guard lock(mutex_);
    close_ = std::move(close);
  }

 private:
  static constexpr int kNoLonger = SIGUSR2;
  static constexpr auto kStopMax = std::chrono::seconds(7);
  static constexpr auto kCloseMax = std::chrono::seconds(2);

  void Run() {
    int taken = 0;
    sigwait(&set_, &taken);
    std::unique_lock lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
    if (changed_.wait_for(lock, kStopMax, [&] { return finished_; })) return;
    auto close = close_;
    lock.unlock();
    std::fputs("weir: ends without waiting any longer for what does not end\n", stderr);
    if (close) {
      auto closed = std::make_shared<std::promise<void>>();
      auto future = closed->get_future();
      std::thread([close, closed] {
        try {
          close();
        } catch (...) {
        }
        closed->set_value();
      }).detach();
      future.wait_for(kCloseMax);
    }
    _exit(0);
  }

  sigset_t set_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false, finished_ = false;
  std::function<void()> close_;
  std::thread thread_;
};

Micros SecondsFrom(const char* setting, const std::string& text) {
  bool number = !text.empty() && text.size() < 7 &&
                text.find_first_not_of("0123456789") == std::string::npos && std::stoul(text) > 0;
  if (number) return static_cast<Micros>(std::stoul(text));
  throw Error(ErrorCode::kInvalidRequest,
              std::string(setting) + " \"" + text + "\" is no number of seconds",
              "Write it as in 60.");
}

// A folder that goes with everything in it.
class ScratchFolder {
 public:
  ScratchFolder() {
    auto pattern = (std::filesystem::temp_directory_path() / "weir-XXXXXX").string();
    if (!mkdtemp(pattern.data())) {
      throw Error(ErrorCode::kUnavailable, "cannot make a folder like " + pattern,
                  "Set TMPDIR to a folder that can be written.");
    }
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void Say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

// What is on the disk is not known: only a start that reads it finds out.
[[noreturn]] void EndByDisk(const std::string& why) {
  fmt::print(stderr, "weir: {}\n", why);
  std::fflush(stderr);
  _exit(kExitDiskFailure);
}

// Runs when the scope is left, whichever way.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> work) : work_(std::move(work)) {}
  ~AtEnd() { work_(); }
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;

 private:
  std::function<void()> work_;
};

}  // namespace

// A list: every part once, in the order they stand on each other.
// NOLINTNEXTLINE(readability-function-size)
int RunServe(const ServeOptions& options) {
  StopSignals signals;
  // What goes wrong meanwhile is no part of what is printed.
  spdlog::set_default_logger(spdlog::stderr_color_mt("weir"));
  NoteFatalSignals();
  Project project = LoadProject(options.project);
  auto pick = [](const std::string& given, const std::string& setting,
                 const std::string& otherwise) {
    return !given.empty() ? given : !setting.empty() ? setting : otherwise;
  };
  std::string data = pick(options.data, project.settings.data, options.project + "/data");
  auto [host, port] = SplitAddress(pick(options.listen, project.settings.listen, "127.0.0.1:7070"));

  // Every part, in the order they depend on each other.
  uint64_t memory_limit =
      BytesFrom("memory_limit", pick(options.memory_limit, project.settings.memory_limit, "80%"),
                MemoryThereIs());
  uint64_t share = memory_limit == 0 ? UINT64_MAX / 8 : memory_limit / 8;
  // DuckDB, for plans and expressions: it starts beside the stores.
  std::shared_future<std::unique_ptr<Kernel>> kernel_starts =
      std::async(std::launch::async, [memory_limit] {
        return std::make_unique<Kernel>(memory_limit == 0 ? uint64_t{4} << 30 : memory_limit / 4);
      });
  TrialOptions trial_options;
  trial_options.memory_bytes =
      std::min<uint64_t>(trial_options.memory_bytes, std::max<uint64_t>(2 * share, 64 << 20));
  Trials trials(trial_options);  // of queries, before they are planned here
  SmoothClock clock(SystemClock(), Say);
  auto disk = MakeRealDisk();
  DataFolder folder{data};
  auto locks = LockDataFolder(*disk, folder);  // before anything is read
  SetAside(*disk, folder, options.without);

  CatalogFile catalog_file(*disk, folder.Catalog(), EndByDisk);
  Catalog catalog(catalog_file, TranslateStored);  // what exists

  LogOptions log_options;
  LakeOptions lake_options;
  ApplyLakeSettings(project.settings, log_options, lake_options);
  log_options.directory = folder.Log();
  log_options.keep_free = KeptForLanding(lake_options, disk->SpaceOf(data).total);
  log_options.must_exist = !catalog.Current()->log.empty();
  log_options.on_failure = [](const std::string& why) {
    EndByDisk("the log's disk failed: " + why);
  };
  auto log = Log::Open(*disk, clock, log_options);  // every event, in order, durable

  signals.CloseAtTheLatest([&log] { log->Close(); });
  lake_options.directory = folder.Lake();
  auto lake = Lake::Open(*disk, clock, catalog, *log, lake_options);  // the same events as Parquet

  auto note = CheckCatalogIsOfLog(*catalog.Current(), *log, *lake, folder);
  if (!note.empty()) Say(note);
  CheckKeptApart(*disk, *catalog.Current(), *log, folder, options.without);
  CheckLogIsWhole(*disk, *catalog.Current(), *log, *lake, folder);
  clock.NotBefore(log->LastTime());

  QueryOptions query_options;
  std::string reference = ReferenceFolderOf(options.project);
  query_options.readable = {disk->NativePath(data + "/lake"), disk->NativePath(data + "/log"),
                            reference};
  Queries queries(catalog, *log, *lake, clock, query_options);  // answers on demand

  Kernel& kernel = *kernel_starts.get();
  LakeHistory history(*lake);
  EngineOptions engine_options;
  engine_options.checkpoint_directory = data + "/checkpoint";
  engine_options.memory = {
      memory_limit, disk->NativePath(data),
      BytesFrom("spill_limit",
                project.settings.spill_limit.empty() ? "64GB" : project.settings.spill_limit,
                MemoryThereIs()),
      MemoryInUse};
  engine_options.marks_path = folder.Marks();
  engine_options.on_unknown = EndByDisk;
  engine_options.parked_path = data + "/parked";
  engine_options.on_failure = [](const std::string& why) {
    fmt::print(stderr, "weir: {}\n", why);
    _exit(kExitEngineFailure);
  };
  engine_options.busy_path = disk->NativePath(data) + "/busy";
  if (!project.settings.step_limit.empty()) {
    engine_options.step_max = SecondsFrom("step_limit", project.settings.step_limit) * 1'000'000;
  }
  // A quarter above the limit is the margin that all limits together keep.
  SetMemoryLine(memory_limit + memory_limit / 4, MemoryInUse);
  SetRowBudget(std::min<uint64_t>(RowBudget(), std::max<uint64_t>(share, 16 << 20)));
  SetPlanBudget(2 * trial_options.memory_bytes);
  auto engine = Engine::Make({kernel, catalog, *log, history, &queries, clock, *disk, &trials},
                             engine_options);  // answers kept fresh
  queries.Connect(*engine);
  log->AddListener(*engine);

  EngineBackpressure backpressure;
  backpressure.Connect(*engine, *lake);
  LakeKeys keys(*lake, *log);
  // Bodies that are not answered yet take at most a quarter of the memory there is, one of them at
  // most three quarters of that.
  IngestOptions ingest_options;
  ingest_options.keys_rest = 1'000'000;  // most views are filled by then
  if (uint64_t limit = engine_options.memory.limit) {
    constexpr uint64_t kLeast = 64 << 20;
    uint64_t bodies = std::max<uint64_t>(limit / 4, kLeast);
    ingest_options.memory_max = std::min<size_t>(ingest_options.memory_max, bodies);
    ingest_options.body_memory_max = ingest_options.memory_max / 4 * 3;
  }
  auto ingest = Ingest::Open(*disk, {folder.Keys(), EndByDisk}, catalog, *log, clock, backpressure,
                             keys, ingest_options);  // the one door in
  lake->BeforeTrim([&] { return std::min(ingest->SaveKeys(), engine->SaveMarks()); });

  TableWrites writes({catalog, *ingest, queries, *log, clock}, ReferenceFolder(reference));
  Statements statements(catalog, *engine, writes);
  References references(catalog, writes, clock);
  Verify verify(catalog, *engine, queries);
  LayoutFile layout(*disk, folder.Layout(), Say, EndByDisk);
  EmbeddedWeb web;
  ServerOptions server_options;
  server_options.host = host;
  server_options.port = port;
  server_options.hosts = OriginRules::ReadHosts(project.settings.hosts);
  server_options.spool_directory = disk->NativePath(data);
  // Connections must leave files for the log, the lake and query workers.
  constexpr size_t kOtherFiles = 256;
  size_t files = RaiseOpenFiles();
  size_t for_connections = files > 2 * kOtherFiles ? files - kOtherFiles : files / 2;
  server_options.limits.connections = std::min(server_options.limits.connections, for_connections);
  SqlFrontend sql({catalog, *log, *engine, queries, statements, clock});  // the door for SQL
  Server server({catalog, *log, *ingest, *engine, *lake, sql, queries, references, verify, clock,
                 layout, web},
                server_options);  // protocols
  server.Connect();

  // However this ends, also by a start that fails: first those who call others, then the called.
  AtEnd stop([&] {
    server.StopTaking();
    trials.Stop();
    queries.Stop();
    bool stopped = server.Stop();
    references.Stop();
    lake->Stop();
    if (!stopped) {  // a statement runs that does not end, and uses all of this
      log->Close();
      std::_Exit(0);
    }
    sql.Stop();
    bool ended = engine->Stop();
    signals.CloseAtTheLatest(nullptr);
    log->Close();
    if (!ended) {
      fmt::print(stderr,
                 "weir: the engine does not come out of a step; what was acknowledged is in "
                 "the log, and the next start reads it again\n");
      _exit(kExitEngineFailure);
    }
    log->RemoveListener(server);
    log->RemoveListener(*engine);
  });
  server.Bind();  // an address that cannot be had changes nothing

  for (auto& line : ApplyProject(project, catalog, *engine, options.allow_drop)) {
    Say("project: " + line);
  }
  ingest->Start();  // the project may have given a stream another dedup_key
  if (log->Recovery().torn_bytes > 0) {
    Say(fmt::format("log: dropped {} bytes that were never acknowledged",
                    log->Recovery().torn_bytes));
  }
  engine->Start();
  if (catalog.Current()->log.empty() || !options.without.empty()) {
    // From here on these files are known to be there (CheckKeptApart).
    ingest->SaveKeys();
    engine->SaveMarks();
  }
  if (catalog.Current()->log.empty()) {
    catalog.Change([&](CatalogState& state) { state.log = NameOfLog(*log); });
  }
  lake->Start();
  references.Start();
  server.Start();
  Say(fmt::format("listening on http://{}:{}", server.host(), server.port()));

  trials.StandBy();
  // Most dedup windows are read back in a moment, for which rows wait; on a machine that fills
  // views meanwhile in some more.  A long one goes on beside the events of others.
  constexpr auto kKeysAwaited = std::chrono::seconds(3);
  if (!signals.WaitFor(kKeysAwaited)) {
    ingest->AwaitKeys(0);
    signals.Wait();
  }
  Say("stopping");
  return 0;
}

int RunCheck(const std::string& folder) {
  Project project = LoadProject(folder);
  Clock& clock = SystemClock();

  // A catalog of its own that nothing is written to.
  struct NoStore : CatalogStore {
    std::string Load() override { return ""; }
    void Save(const std::string&) override {}
  } store;
  struct NoHistory : History {
    void Scan(const Stream&, const std::vector<size_t>&, Offset, Offset,
              const std::function<bool(const Columns&, Offset)>&) override {}
  } history;
  Catalog catalog(store);
  auto disk = MakeRealDisk();
  ScratchFolder scratch;
  LogOptions log_options;
  log_options.directory = scratch.path();
  auto log = Log::Open(*disk, clock, log_options);
  Kernel kernel;
  Trials trials({});
  auto engine = Engine::Make({kernel, catalog, *log, history, nullptr, clock, *disk, &trials}, {});
  ApplyProject(project, catalog, *engine);
  auto state = catalog.Current();
  for (auto& [name, stream] : state->streams) {
    Say(fmt::format("{} {}: {} columns", stream->IsTable() ? "table" : "stream", stream->name,
                    stream->VisibleColumns()));
  }
  for (auto& [name, pump] : state->pumps) {
    Say(fmt::format("pump {} into {}", pump->name, state->FindStream(pump->stream)->name));
    Say(engine->ExplainPump(*pump, false));
  }
  for (auto& [name, view] : state->views) {
    Say(fmt::format("{}view {}", view->materialized ? "materialized " : "", view->name));
    for (auto& column : engine->Bind(*state, view->Planned())) {
      Say(fmt::format("  {} {}", column.name, column.type.ToString()));
    }
    if (view->materialized) Say("  kept by: " + engine->RungOf(view->Planned()));
  }
  log->Close();
  return 0;
}

}  // namespace weir
