#include "world.h"

#include <chrono>
#include <future>
#include <thread>

#include "app/stores.h"
#include "app/wiring.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/value.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "oracle.h"
#include "sql/kernel_sql.h"
#include "sql/statement.h"

namespace weir {
namespace {

constexpr auto kSettleMax = std::chrono::seconds(180);  // with a sanitizer on a slow machine

LogOptions LogAt(const std::string& directory) {
  LogOptions options;
  options.directory = directory;
  options.segment_bytes = 128 << 10;               // so that landing lets the log forget
  options.on_failure = [](const std::string&) {};  // a disk that was pulled out
  return options;
}

LakeOptions LakeAt(const std::string& directory) {
  LakeOptions options;
  options.directory = directory;
  return options;
}

EngineOptions Quick(const std::string& directory) {
  EngineOptions options;
  options.checkpoint_directory = directory;
  options.marks_path = "/pump-marks";
  options.parked_path = "/parked";
  options.checkpoint_interval = 0;
  options.checkpoint_slice = 0;
  options.tick = 1000;
  options.recompute_interval = 0;
  return options;
}

}  // namespace

// Notes what is read of the past.
class NotedHistory : public History {
 public:
  explicit NotedHistory(Lake& lake) : history_(lake) {}
  void Scan(const Stream& stream, const std::vector<size_t>& projection, Offset after, Offset up_to,
            const std::function<bool(const Columns&, Offset)>& sink) override {
    if (after.value < up_to.value) after_ = std::min<uint64_t>(after_, after.value);
    history_.Scan(stream, projection, after, up_to, sink);
  }
  uint64_t after() const { return after_; }

 private:
  LakeHistory history_;
  std::atomic<uint64_t> after_{UINT64_MAX};
};

struct World::Parts {
  Parts(SimulatedDisk& disk, WallClock& clock, Kernel& kernel, const std::string& rule_off)
      : store(disk, "/catalog.json"),
        catalog(store),
        log(Log::Open(disk, clock, LogAt("/log"))),
        lake(Lake::Open(disk, clock, catalog, *log, LakeAt("/lake"))),
        history(*lake),
        oracle(catalog, *lake, rule_off),
        engine(Engine::Make({kernel, catalog, *log, history, &oracle, clock, disk},
                            Quick("/checkpoint"))),
        keys(*lake, *log),
        ingest(weir::Ingest::Open(disk, "/idempotency-keys", catalog, *log, clock, backpressure,
                                  keys)),
        writes({catalog, *ingest, oracle, *log, clock}, ReferenceFolder("")),
        statements(catalog, *engine, writes),
        verify(catalog, *engine, oracle) {
    lake->BeforeTrim([this] { return std::min(ingest->SaveKeys(), engine->SaveMarks()); });
    log->AddListener(*engine);
    ingest->Start();
    engine->Start();
    ingest->AwaitKeys(60'000'000);
  }
  ~Parts() {
    engine->Stop();
    log->Close();
  }

  CatalogFile store;
  Catalog catalog;
  std::unique_ptr<Log> log;
  std::unique_ptr<Lake> lake;
  NotedHistory history;
  Oracle oracle;
  std::unique_ptr<Engine> engine;
  EngineBackpressure backpressure;
  LakeKeys keys;
  std::unique_ptr<weir::Ingest> ingest;
  TableWrites writes;
  Statements statements;
  Verify verify;
};

World::World(RulesOff rules, Micros now)
    : rules_(std::move(rules)), disk_(std::make_unique<SimulatedDisk>()) {
  clock_.Set(now);
  if (!rules_.of_views.empty()) {
    auto& config = duckdb::DBConfig::GetConfig(*kernel_.database().instance);
    config.options.disabled_optimizers.insert(duckdb::OptimizerTypeFromString(rules_.of_views));
  }
  Open();
}
World::~World() { Close(); }

void World::Open() { parts_ = std::make_unique<Parts>(*disk_, clock_, kernel_, rules_.of_batch); }
void World::Close() { parts_.reset(); }

ResultTable World::Execute(const std::string& sql) {
  ResultTable result;
  for (auto& statement : ParseStatements(sql)) result = parts_->statements.Run(statement);
  return result;
}

IngestAnswer World::Ingest(const std::string& stream, RowFormat format, const std::string& body,
                           const std::string& idempotency_key) {
  std::promise<IngestAnswer> answered;
  IngestRequest request;
  request.stream = stream;
  request.format = format;
  request.body = body;
  request.idempotency_key = idempotency_key;
  parts_->ingest->Post(request,
                       [&](IngestAnswer answer) { answered.set_value(std::move(answer)); });
  auto answer = answered.get_future().get();
  if (answer.error) throw *answer.error;
  return answer;
}

void World::SetClock(Micros now) { clock_.Set(now); }
void World::Advance(Micros by) { clock_.Set(clock_.Now() + by); }
void World::Land() { parts_->lake->LandNow(); }

void World::Restart() {
  Close();
  Open();
}

void World::Crash(Random& random) {
  auto found = disk_->CrashState(random);
  Close();
  disk_ = std::move(found);
  Open();
}

void World::Settle() {
  auto deadline = std::chrono::steady_clock::now() + kSettleMax;
  Micros now = clock_.Now();
  for (;;) {
    // In this order: what pumps emit moves the end on.
    auto info = parts_->engine->Info();
    auto pumps = parts_->engine->PumpInfos();
    Offset end = parts_->log->End();
    bool settled = info.offset >= end && info.as_of >= now && !info.filling && !info.closing;
    for (auto& pump : pumps) {
      settled = settled && pump.status != ViewStatus::kFilling && pump.waiting_bytes == 0;
    }
    infos_ = parts_->engine->ViewInfos();
    for (auto& view : infos_) {
      if (view.status == ViewStatus::kParked) continue;
      settled =
          settled && view.status == ViewStatus::kLive && view.offset >= end && view.as_of >= now;
    }
    if (settled) return;
    if (std::chrono::steady_clock::now() > deadline) {
      std::string why = "the engine stands at " + std::to_string(info.offset.value) + " of " +
                        std::to_string(end.value) + ", " + std::to_string(now - info.as_of) +
                        " us behind";
      for (auto& view : infos_) {
        if (view.status == ViewStatus::kLive && view.offset >= end && view.as_of >= now) continue;
        why += "\n" + view.name + ": status " + std::to_string(static_cast<int>(view.status)) +
               ", offset " + std::to_string(view.offset.value) + ", " +
               std::to_string(now - view.as_of) + " us behind";
      }
      throw Error(ErrorCode::kTimeout, "the views did not settle: " + why);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
}

Snapshot World::Read(const std::string& view) {
  return std::move(parts_->engine->Read({view}).at(0));
}

VerifyReport World::VerifyViews(const std::string& view) { return parts_->verify.Run(view); }

Columns World::Batch(const std::string& sql) {
  auto info = parts_->engine->Info();
  BatchResult answer;
  parts_->oracle.Run({ToKernelSql(sql), info.offset, info.as_of},
                     [&](BatchResult result) { answer = std::move(result); });
  if (answer.error) std::rethrow_exception(answer.error);
  return std::move(answer.rows);
}

std::map<std::string, uint64_t> World::StateBytes() {
  constexpr auto kBetweenLooks = std::chrono::milliseconds(1'100);
  Settle();
  std::this_thread::sleep_for(kBetweenLooks);
  Advance(1);
  Settle();
  std::this_thread::sleep_for(kBetweenLooks);
  std::map<std::string, uint64_t> bytes;
  for (auto& info : engine().ViewInfos()) bytes[info.name] = info.state_bytes - info.content_bytes;
  return bytes;
}

const ViewInfo& World::Info(const std::string& view) {
  infos_ = parts_->engine->ViewInfos();
  for (auto& info : infos_) {
    if (duckdb::StringUtil::CIEquals(info.name, view)) return info;
  }
  throw Error(ErrorCode::kUnknownView, "no view \"" + view + "\"");
}

Engine& World::engine() { return *parts_->engine; }
uint64_t World::scanned_after() const { return parts_->history.after(); }

std::map<std::string, int64_t> World::Content(const std::string& view) {
  std::map<std::string, int64_t> rows;
  for (auto& row : RowsAsText(Read(view).rows)) rows[row]++;
  return rows;
}

std::vector<std::string> World::Changes(const std::string& view) {
  auto now = Content(view);
  auto before = std::exchange(seen_[view], now);
  std::vector<std::string> lines;
  for (auto& [row, copies] : before) {
    auto found = now.find(row);
    for (int64_t i = found == now.end() ? 0 : found->second; i < copies; i++)
      lines.push_back("- " + row);
  }
  for (auto& [row, copies] : now) {
    auto found = before.find(row);
    for (int64_t i = found == before.end() ? 0 : found->second; i < copies; i++)
      lines.push_back("+ " + row);
  }
  return lines;
}

std::vector<std::string> RowsAsText(const Columns& rows) {
  std::vector<std::string> lines;
  for (auto& chunk : rows.chunks) {
    for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
      std::string line;
      for (duckdb::idx_t column = 0; column < chunk->ColumnCount(); column++) {
        auto value = chunk->GetValue(column, row);
        std::string text = value.IsNull() ? "NULL" : value.ToString();
        line += (column ? "|" : "") + (text.empty() ? "(empty)" : text);
      }
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

}  // namespace weir
