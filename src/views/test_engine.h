// A whole engine for tests: catalog, log and history in memory, faults where a test wants them.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "formats/block.h"
#include "io/disk/simulated_disk.h"
#include "io/manual_clock.h"
#include "sql/statement.h"
#include "views/engine_impl.h"

namespace weir {

// Reaches into an engine, on its own thread.
struct EngineForTests {
  static EngineImpl& Of(Engine& engine) { return static_cast<EngineImpl&>(engine); }
  // Fails the operator of that name which `view` needs, as if the next row had made it.
  static void FailOperator(Engine& engine, const std::string& view, const std::string& name) {
    auto& impl = Of(engine);
    impl.RunOnEngine([&impl, view, name] {
      for (auto& live : impl.live_) {
        if (live->definition->name != view) continue;
        for (Operator* op : live->operators) {
          if (op->name() == name) op->Fail("failed for a test");
        }
      }
    });
  }
  static size_t Operators(Engine& engine) {
    auto count = std::make_shared<std::atomic<size_t>>(0);
    auto& impl = Of(engine);
    impl.RunOnEngine([&impl, count] { *count = impl.circuit_.operators().size(); });
    return *count;
  }
  static uint64_t BytesInFile(Engine& engine) { return Of(engine).memory_.BytesInFile(); }
  // Those inside of others, too; on the engine's thread, while nothing else is done there.
  static void EachOperator(Engine& engine, const std::function<void(Operator&)>& visit) {
    auto& impl = Of(engine);
    impl.RunOnEngine([&] {
      for (auto& op : impl.circuit_.operators()) {
        visit(*op);
        for (Operator* inner : op->Inner()) visit(*inner);
      }
    });
  }
  // Throws when what the engine's thread keeps contradicts itself: of its circuit, operators that
  // have not failed, and contents of views that are not parked.
  static void CheckInvariants(Engine& engine) {
    auto& impl = Of(engine);
    impl.RunOnEngine([&impl] { impl.CheckInvariants(); });
  }
  // False when the engine ended before it came to it.
  static bool Run(Engine& engine, std::function<void()> task) {
    return Of(engine).RunOnEngine(std::move(task));
  }
  // Of an engine without threads: hands in a task, ends when it waits, and says what came of it;
  // nothing when whoever handed it in still waits.
  static std::optional<bool> RunOnOneThatEnds(Engine& engine, std::function<void()> task) {
    auto& impl = Of(engine);
    auto waiting = [&] {
      std::lock_guard lock(impl.mutex_);
      return !impl.tasks_.empty();
    };
    {
      std::lock_guard lock(impl.mutex_);
      impl.started_ = true;
    }
    auto told = std::async(std::launch::async, [&] { return impl.RunOnEngine(task); });
    while (!waiting()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    impl.EndTasks();
    std::optional<bool> answer;
    if (told.wait_for(std::chrono::seconds(30)) == std::future_status::ready) answer = told.get();
    std::vector<std::function<void()>> left;
    std::lock_guard lock(impl.mutex_);
    impl.started_ = false;  // there is nothing to stop
    left.swap(impl.tasks_);
    return answer;
  }
};

// A stream's past as the log has it.  `before` is called before each scan, and may throw.
class LogHistory : public History {
 public:
  explicit LogHistory(Log& log) : log_(log) {}
  std::function<void(const Stream& stream, Offset after)> before;
  // Called before each piece of rows is handed on, and may throw.
  std::function<void(Offset last)> in_sink;
  std::atomic<uint64_t> scans{0};

  void Scan(const Stream& stream, const std::vector<size_t>& projection, Offset after, Offset up_to,
            const std::function<bool(const Columns&, Offset)>& sink) override {
    scans++;
    if (before) before(stream, after);
    auto reader = log_.Read(after, up_to, stream.id);
    std::vector<size_t> all(stream.columns.size());
    std::iota(all.begin(), all.end(), size_t{0});
    while (auto record = reader->Next()) {
      if (record->record.count == 0) continue;
      Columns rows = DecodeBlock(record->record.payload, stream.Types(), all);
      uint64_t offset = record->first.value;
      for (auto& chunk : rows.chunks) {
        uint64_t skip = after.value >= offset ? after.value - offset + 1 : 0;
        uint64_t end = std::min<uint64_t>(chunk->size(), up_to.value - offset + 1);
        if (skip < end && in_sink) in_sink({offset + end - 1});
        if (skip < end && !sink(Part(stream, projection, *chunk, offset, skip, end, *record),
                                {offset + end - 1})) {
          return;
        }
        offset += chunk->size();
        if (offset > up_to.value) return;
      }
    }
  }

 private:
  static Columns Part(const Stream& stream, const std::vector<size_t>& projection,
                      duckdb::DataChunk& chunk, uint64_t first, uint64_t skip, uint64_t end,
                      const CommittedRecord& record) {
    duckdb::vector<duckdb::LogicalType> types;
    for (size_t column : projection) {
      types.push_back(column == kOffsetColumn        ? duckdb::LogicalType::UBIGINT
                      : column == kArrivalTimeColumn ? duckdb::LogicalType::TIMESTAMP_TZ
                                                     : stream.columns[column].type);
    }
    auto part = std::make_unique<duckdb::DataChunk>();
    part->Initialize(duckdb::Allocator::DefaultAllocator(), types);
    for (uint64_t row = skip; row < end; row++) {
      for (size_t i = 0; i < projection.size(); i++) {
        auto value = projection[i] == kOffsetColumn ? duckdb::Value::UBIGINT(first + row)
                     : projection[i] == kArrivalTimeColumn
                         ? duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(record.append_time))
                         : chunk.GetValue(projection[i], row);
        part->SetValue(i, row - skip, value);
      }
    }
    part->SetCardinality(end - skip);
    Columns rows;
    rows.rows = part->size();
    rows.chunks.push_back(std::move(part));
    return rows;
  }
  Log& log_;
};

class TestEngine {
 public:
  explicit TestEngine(BatchEngine* batch = nullptr) : batch_(batch) {
    options.checkpoint_directory = "/checkpoint";
    options.marks_path = "/pump-marks";
    options.parked_path = "/parked";
    options.checkpoint_interval = 0;
    options.tick = 1000;
    options.recompute_interval = 0;
  }
  ~TestEngine() { Close(); }

  // Makes log and engine; `start`: with its threads.
  void Open(bool start = true) {
    LogOptions at;
    at.directory = "/log";
    at.on_failure = [](const std::string&) {};
    log = Log::Open(*disk, clock, at);
    history = std::make_unique<LogHistory>(*log);
    history->before = before_scan;
    engine = Engine::Make({kernel, catalog, *log, *history, batch_, clock, *disk}, options);
    log->AddListener(*engine);
    if (start) engine->Start();
  }
  void Close() {
    if (engine) engine->Stop();
    if (log) log->Close();
    engine.reset();
    history.reset();
    log.reset();
  }
  void Restart() {
    Close();
    Open();
  }

  // CREATE STREAM, CREATE [OR REPLACE] MATERIALIZED VIEW, DROP VIEW.
  void Execute(const std::string& sql) {
    for (auto& statement : ParseStatements(sql)) {
      catalog.Change([&](CatalogState& state) {
        if (auto* stream = std::get_if<CreateStream>(&statement.body)) {
          auto made = std::make_shared<Stream>(stream->stream);
          made->id = StreamId{state.next_id++};
          state.streams[made->name] = made;
        } else if (auto* view = std::get_if<CreateView>(&statement.body)) {
          auto made = std::make_shared<View>(view->view);
          made->id = state.next_id++;
          state.views[made->name] = made;
        } else {
          state.views.erase(std::get<Drop>(statement.body).name);
        }
      });
    }
    if (engine) engine->Reconcile();
  }

  // Rows of texts that are cast to the stream's types; returns the last offset.
  Offset Append(const std::string& name, const std::vector<std::vector<std::string>>& rows) {
    auto stream = catalog.Current()->GetStream(name);
    auto columns = std::make_shared<Columns>();
    for (auto& row : rows) {
      if (columns->rows % STANDARD_VECTOR_SIZE == 0) {
        columns->chunks.push_back(std::make_unique<duckdb::DataChunk>());
        auto types = stream->Types();
        columns->chunks.back()->Initialize(
            duckdb::Allocator::DefaultAllocator(),
            duckdb::vector<duckdb::LogicalType>(types.begin(), types.end()));
      }
      auto& chunk = *columns->chunks.back();
      for (size_t i = 0; i < row.size(); i++) {
        chunk.SetValue(i, chunk.size(),
                       duckdb::Value(row[i]).DefaultCastAs(stream->columns[i].type));
      }
      chunk.SetCardinality(chunk.size() + 1);
      columns->rows++;
    }
    std::vector<LogRecord> records(1);
    records[0].stream = stream->id;
    records[0].count = static_cast<uint32_t>(columns->rows);
    records[0].payload = EncodeBlock(*columns, stream->Types());
    records[0].decoded = std::move(columns);
    std::promise<AppendResult> done;
    log->Append(std::move(records), [&](const AppendResult& result) { done.set_value(result); });
    auto result = done.get_future().get();
    if (result.error) std::rethrow_exception(result.error);
    return result.last;
  }

  ViewInfo Info(const std::string& name) {
    for (auto& info : engine->ViewInfos()) {
      if (info.name == name) return info;
    }
    throw Error(ErrorCode::kUnknownView, "no view \"" + name + "\"");
  }

  // Until every view is live or parked and stands at the end of the log.
  void Settle() {
    Until([&] {
      auto info = engine->Info();
      if (info.filling || info.offset < log->End()) return false;
      for (auto& view : engine->ViewInfos()) {
        if (view.status == ViewStatus::kFilling) return false;
        if (view.status == ViewStatus::kLive && view.offset < log->End()) return false;
      }
      return true;
    });
  }
  void Until(const std::function<bool()>& holds) {
    auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > give_up) {
        throw Error(ErrorCode::kTimeout, "what was waited for did not come");
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  // Its rows as text, sorted; copies stand once each.
  std::vector<std::string> Read(const std::string& view) {
    auto snapshot = std::move(engine->Read({view}).at(0));
    std::vector<std::string> lines;
    for (auto& chunk : snapshot.rows.chunks) {
      for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
        std::string line;
        for (duckdb::idx_t i = 0; i < chunk->ColumnCount(); i++) {
          line += (i ? "|" : "") + chunk->GetValue(i, row).ToString();
        }
        lines.push_back(std::move(line));
      }
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  struct Store : CatalogStore {
    std::string text;
    std::string Load() override { return text; }
    void Save(const std::string& saved) override { text = saved; }
  };
  // The wall clock stands still; how long things take is real.
  struct Wall : Clock {
    std::atomic<Micros> now{1'700'000'000'000'000};
    Micros Now() override { return now; }
    Micros Monotonic() override { return SystemClock().Monotonic(); }
  };

  EngineOptions options;
  std::function<void(const Stream&, Offset)> before_scan;
  std::unique_ptr<SimulatedDisk> disk = std::make_unique<SimulatedDisk>();
  Wall clock;
  Kernel kernel;
  Store store;
  Catalog catalog{store};
  std::unique_ptr<Log> log;
  std::unique_ptr<LogHistory> history;
  std::unique_ptr<Engine> engine;

 private:
  BatchEngine* batch_;
};

}  // namespace weir
