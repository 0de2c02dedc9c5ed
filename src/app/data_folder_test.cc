// The files of a data folder together: what is acknowledged survives a failure at any call of any
// of them, and files that do not belong together are refused by name.
#include "app/data_folder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <set>

#include "app/stores.h"
#include "app/wiring.h"
#include "io/disk/simulated_disk.h"
#include "io/manual_clock.h"
#include "log/frame.h"
#include "views/marks_file.h"

namespace weir {
namespace {

using Fault = SimulatedDisk::Fault;

const DataFolder kFolder{"data"};

// A server's stores as `weir serve` opens them; without views and protocols.
struct Life {
  Life(SimulatedDisk& disk, Clock& clock, std::vector<std::string> without = {})
      : locks(LockDataFolder(disk, kFolder)),
        aside((SetAside(disk, kFolder, without), true)),
        store(disk, kFolder.Catalog(), Dies()),
        catalog(store),
        log(Log::Open(disk, clock, LogAt(catalog))),
        lake(Lake::Open(disk, clock, catalog, *log, LakeAt())),
        note(CheckCatalogIsOfLog(*catalog.Current(), *log, *lake, kFolder)),
        whole((CheckKeptApart(disk, *catalog.Current(), *log, kFolder, without),
               CheckLogIsWhole(disk, *catalog.Current(), *log, *lake, kFolder), true)),
        marks(disk, kFolder.Marks(), Dies()),
        keys(*lake, *log),
        ingest(Ingest::Open(disk, {kFolder.Keys(), Dies()}, catalog, *log, clock, backpressure,
                            keys)) {
    ingest->Start();
    lake->BeforeTrim([this] {
      marks.Save({{}, log->End()});
      return ingest->SaveKeys();
    });
    if (catalog.Current()->log.empty() || !without.empty()) {
      ingest->SaveKeys();
      marks.Save({{}, log->End()});
    }
    if (catalog.Current()->log.empty()) {
      catalog.Change([&](CatalogState& state) { state.log = NameOfLog(*log); });
    }
  }
  ~Life() { log->Close(); }

  OnUnknownOutcome Dies() {
    return [this](const std::string&) { dead = true; };
  }
  LogOptions LogAt(const Catalog& catalog) {
    LogOptions options;
    options.directory = kFolder.Log();
    options.segment_bytes = 16 << 10;
    options.mark_after = 3'600'000'000;
    options.must_exist = !catalog.Current()->log.empty();
    options.on_failure = [this](const std::string&) { dead = true; };
    return options;
  }
  static LakeOptions LakeAt() {
    LakeOptions options;
    options.directory = kFolder.Lake();
    return options;
  }

  std::atomic<bool> dead = false;  // where `weir serve` ends the process
  std::vector<std::shared_ptr<void>> locks;
  bool aside;
  CatalogFile store;
  Catalog catalog;
  std::unique_ptr<Log> log;
  std::unique_ptr<Lake> lake;
  std::string note;
  bool whole;
  MarksFile marks;
  EngineBackpressure backpressure;
  LakeKeys keys;
  std::unique_ptr<Ingest> ingest;
};

void MakeStream(Catalog& catalog, const std::string& name) {
  catalog.Change([&](CatalogState& state) {
    auto stream = std::make_shared<Stream>();
    stream->id = StreamId{state.next_id++};
    stream->name = name;
    stream->columns = {{"n", duckdb::LogicalType::BIGINT}, {"t", duckdb::LogicalType::VARCHAR}};
    state.streams[name] = stream;
  });
}

// One body with an idempotency key; how many rows the answer says were taken.
uint64_t Post(Ingest& ingest, const std::string& key) {
  std::string body;
  for (int row = 0; row < 20; row++) {
    body +=
        "{\"n\": " + std::to_string(row) + ", \"t\": \"" + key + std::string(300, 'x') + "\"}\n";
  }
  std::promise<IngestAnswer> answered;
  IngestRequest request;
  request.stream = "events";
  request.format = RowFormat::kNdjson;
  request.idempotency_key = key;
  request.body = body;
  ingest.Post(request, [&](IngestAnswer answer) { answered.set_value(std::move(answer)); });
  auto answer = answered.get_future().get();
  if (answer.error) throw *answer.error;
  return answer.accepted;
}

// What was promised.
struct Promised {
  std::set<std::string> keys;
  std::set<std::string> streams, gone;
};

// Does the work until it is done; what a failure refused is tried again, as clients do.
void Work(Life& life, Promised& promised, bool power_goes = false) {
  auto until_done = [&](const std::function<void()>& step) {
    for (int tries = 0; tries < 3 && !life.dead; tries++) {
      try {
        step();
        return true;
      } catch (const std::exception&) {  // whose outcome is final has set `dead`
        if (power_goes) life.dead = true;
      }
    }
    EXPECT_TRUE(life.dead) << "a fault that strikes once is over the next time";
    return false;
  };
  for (int round = 0; round < 2 && !life.dead; round++) {
    std::string name = "s" + std::to_string(round);
    auto made = [&] {
      if (!life.catalog.Current()->FindStream(name)) MakeStream(life.catalog, name);
    };
    if (until_done(made)) promised.streams.insert(name);
    for (int body = 0; body < 4; body++) {
      std::string key = std::to_string(round) + "." + std::to_string(body);
      if (until_done([&] { EXPECT_EQ(Post(*life.ingest, key), 20u); })) promised.keys.insert(key);
    }
    until_done([&] { life.lake->LandNow(); });
    if (!promised.streams.contains(name)) continue;
    promised.streams.erase(name);  // either way is right until it is acknowledged
    if (until_done([&] {
          life.catalog.Change([&](CatalogState& state) { state.streams.erase(name); });
        })) {
      promised.gone.insert(name);
    }
  }
}

uint64_t RowsOf(Life& life) {
  uint64_t rows = 0;
  auto stream = life.catalog.Current()->GetStream("events");
  life.lake->Scan(*stream, {0}, Offset{0}, life.log->End(), [&](const Columns& part, Offset) {
    rows += part.rows;
    return true;
  });
  return rows;
}

// The next start finds all that was promised, each once, and takes no body a second time.
void Check(SimulatedDisk& disk, Clock& clock, const Promised& promised) {
  Life life(disk, clock);
  auto state = life.catalog.Current();
  for (auto& name : promised.streams) EXPECT_TRUE(state->FindStream(name)) << name;
  for (auto& name : promised.gone) EXPECT_FALSE(state->FindStream(name)) << name;
  for (auto& key : promised.keys) EXPECT_EQ(Post(*life.ingest, key), 20u);
  uint64_t before = RowsOf(life);
  EXPECT_GE(before, promised.keys.size() * 20);
  for (auto& key : promised.keys) EXPECT_EQ(Post(*life.ingest, key), 20u);
  EXPECT_EQ(RowsOf(life), before) << "taken twice";
  EXPECT_EQ(before % 20, 0u);
  MakeStream(life.catalog, "after");
  EXPECT_FALSE(life.catalog.Current()->WasDropped(life.catalog.Current()->GetStream("after")->id));
}

class DataFolderTest : public testing::Test {
 protected:
  DataFolderTest() {
    Life life(disk_, clock_);
    MakeStream(life.catalog, "events");
  }
  // Two bodies, landed, and the log's first segments forgotten.
  void Fill() {
    Life life(disk_, clock_);
    for (int body = 0; body < 6; body++) Post(*life.ingest, std::to_string(body));
    life.lake->LandNow();
    ASSERT_GT(life.log->Begin(), Offset{1});
    Post(*life.ingest, "last");
  }
  std::string RefusalOf(SimulatedDisk& disk, std::vector<std::string> without = {}) {
    try {
      Life life(disk, clock_, std::move(without));
    } catch (const Error& error) {
      EXPECT_FALSE(error.hint.empty()) << error.message;
      return error.message;
    }
    return "";
  }
  static bool Has(const std::string& text, const std::string& part) {
    bool has = text.find(part) != std::string::npos;
    EXPECT_TRUE(has) << part << " is not in: " << text;
    return has;
  }

  SimulatedDisk disk_;
  ManualClock clock_;
};

TEST_F(DataFolderTest, AllIsThereAfterAFailureAtAnyCallWhetherTheProcessLivesOnOrNot) {
  uint64_t calls;
  {
    auto disk = disk_.KillState();
    Life life(*disk, clock_);
    uint64_t before = disk->Calls();
    Promised promised;
    Work(life, promised);
    calls = disk->Calls() - before;
    EXPECT_EQ(promised.keys.size(), 8u);
  }
  ASSERT_GT(calls, 60u);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr uint64_t kStride = 11;
#else
  constexpr uint64_t kStride = 1;
#endif
  for (uint64_t n = 1; n <= calls; n += kStride) {
    for (Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kPowerCut}) {
      if (fault == Fault::kNoSpace && n % 3 != 0) continue;
      SCOPED_TRACE(testing::Message() << "fault " << static_cast<int>(fault) << " at call " << n);
      auto disk = disk_.KillState();
      Promised promised;
      {
        Life life(*disk, clock_);
        disk->FailCall(n, fault);
        Work(life, promised, fault == Fault::kPowerCut);
      }
      SeededRandom random(n);
      auto after =
          fault == Fault::kPowerCut || n % 2 ? disk->CrashState(random) : disk->KillState();
      Check(*after, clock_, promised);
      if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
  }
}

TEST_F(DataFolderTest, ALostCatalogIsNotTakenForAnEmptyOne) {
  Fill();
  auto lost = disk_.KillState();
  lost->LoseFile("data/catalog.json");
  std::string message = RefusalOf(*lost);
  Has(message, "\"data/catalog.json\" is missing: ");
  auto emptied = disk_.KillState();
  emptied->CutFile("data/catalog.json", 0);
  EXPECT_EQ(RefusalOf(*emptied), "\"data/catalog.json\" is damaged: it is empty");
  for (uint64_t at = 0; at < disk_.FileSize("data/catalog.json"); at += 3) {
    auto flipped = disk_.KillState();
    flipped->FlipByte("data/catalog.json", at, static_cast<uint8_t>(1 << (at % 8)));
    Has(RefusalOf(*flipped), "\"data/catalog.json\" is");
  }
  // Nothing was changed by any of it: with the catalog back, all is there.
  auto back = lost->KillState();
  WriteFileAtomically(*back, "data/catalog.json", ReadWholeFile(disk_, "data/catalog.json"));
  EXPECT_EQ(RefusalOf(*back), "");
}

TEST_F(DataFolderTest, ACatalogThatIsOlderThanTheLogIsRefused) {
  std::string old = ReadWholeFile(disk_, "data/catalog.json");
  {
    Life life(disk_, clock_);
    MakeStream(life.catalog, "later");
    auto stream = life.catalog.Current()->GetStream("later");
    auto rows = std::make_shared<Columns>();
    std::promise<void> done;
    LogRecord record;
    record.stream = stream->id;
    record.count = 1;
    record.payload = "x";
    std::vector<LogRecord> records;
    records.push_back(std::move(record));
    life.log->Append(std::move(records), [&](const AppendResult&) { done.set_value(); });
    done.get_future().get();
  }
  WriteFileAtomically(disk_, "data/catalog.json", old);
  std::string message = RefusalOf(disk_);
  Has(message,
      "\"data/catalog.json\" is older than the data: \"data/log\" holds events of stream 2");
}

// What closes windows of quiet streams is a record without a stream and without rows.
TEST_F(DataFolderTest, ATickOfTheClockIsOfNoStream) {
  {
    Life life(disk_, clock_);
    std::promise<void> done;
    life.log->Append(std::vector<LogRecord>(1), [&](const AppendResult&) { done.set_value(); });
    done.get_future().get();
  }
  Life again(disk_, clock_);
}

TEST_F(DataFolderTest, TheCatalogAndTheLogOfTwoFoldersDoNotGoTogether) {
  SimulatedDisk other;
  { Life life(other, clock_); }
  WriteFileAtomically(disk_, "data/catalog.json", ReadWholeFile(other, "data/catalog.json"));
  Has(RefusalOf(disk_),
      "\"data/catalog.json\" belongs to another log than the one in \"data/log\"");
  for (auto& name : other.List("data/log")) other.LoseFile("data/log/" + name);
  Has(RefusalOf(other), "the log is missing: \"data/log\" has no segment");
}

TEST_F(DataFolderTest, AStreamThatWasDroppedIsKnown) {
  Fill();
  {
    Life life(disk_, clock_);
    life.catalog.Change([](CatalogState& state) { state.streams.erase("events"); });
  }
  Life life(disk_, clock_);
  EXPECT_EQ(life.note, "");
}

TEST_F(DataFolderTest, LostAndDamagedKeysAndMarksAreRefusedByNameAndCanBeGivenUp) {
  Fill();
  for (std::string name : {"idempotency-keys", "pump-marks"}) {
    auto lost = disk_.KillState();
    lost->LoseFile("data/" + name);
    Has(RefusalOf(*lost), "\"data/" + name + "\" is missing");
    EXPECT_EQ(RefusalOf(*lost, {name}), "");
    EXPECT_EQ(RefusalOf(*lost), "") << "given up once is enough";
    auto emptied = disk_.KillState();
    emptied->CutFile("data/" + name, 0);
    EXPECT_EQ(RefusalOf(*emptied), "\"data/" + name + "\" is damaged: it is empty");
    EXPECT_EQ(RefusalOf(*emptied, {name}), "");
    EXPECT_TRUE(emptied->Exists("data/" + name + ".set-aside"));
    for (uint64_t at = 0; at < disk_.FileSize("data/" + name); at += 7) {
      auto flipped = disk_.KillState();
      flipped->FlipByte("data/" + name, at, 4);
      Has(RefusalOf(*flipped), "\"data/" + name + "\" is damaged");
    }
  }
}

TEST_F(DataFolderTest, ALogThatHasForgottenNothingKnowsAllKeysItself) {
  {
    Life life(disk_, clock_);
    Post(*life.ingest, "a");
  }
  disk_.LoseFile("data/idempotency-keys");
  Life life(disk_, clock_);
  Post(*life.ingest, "a");
  EXPECT_EQ(RowsOf(life), 20u);
}

TEST_F(DataFolderTest, ALogThatWasCutBackIsRefusedByThoseThatKnowOfMore) {
  {
    Life life(disk_, clock_);
    Post(*life.ingest, "a");
    life.ingest->SaveKeys();
    life.marks.Save({{{1, {}}}, life.log->End()});
  }
  disk_.CutFile(kFolder.Log() + "/segment-00000000000000000001", kSegmentHeaderBytes);
  EXPECT_EQ(RefusalOf(disk_),
            "the log in \"data/log\" was cut back: it ends at offset 0, but "
            "\"data/idempotency-keys\" knows of offset 20, \"data/pump-marks\" knows of offset 20");
}

TEST_F(DataFolderTest, TwoServersDoNotShareAFolder) {
  Life life(disk_, clock_);
  Has(RefusalOf(disk_), "is held by process");
}

TEST_F(DataFolderTest, ADamagedLayoutIsPutAsideAndSaid) {
  std::vector<std::string> said;
  auto say = [&](const std::string& line) { said.push_back(line); };
  LayoutFile(disk_, kFolder.Layout(), say).Save("{\"a\": 1}");
  EXPECT_EQ(LayoutFile(disk_, kFolder.Layout(), say).Load(), "{\"a\": 1}");
  disk_.FlipByte(kFolder.Layout(), disk_.FileSize(kFolder.Layout()) - 3, 1);
  EXPECT_EQ(LayoutFile(disk_, kFolder.Layout(), say).Load(), "");
  ASSERT_EQ(said.size(), 1u);
  Has(said[0], "\"data/layout.json\" is damaged: its checksum does not match");
  EXPECT_TRUE(disk_.Exists("data/layout.json.damaged"));
  WriteFileAtomically(disk_, kFolder.Layout(), "{\"of an earlier version\": 1}");
  EXPECT_EQ(LayoutFile(disk_, kFolder.Layout(), say).Load(), "{\"of an earlier version\": 1}");
  WriteFileAtomically(disk_, kFolder.Layout(), "[1, 2");
  EXPECT_EQ(LayoutFile(disk_, kFolder.Layout(), say).Load(), "");
  EXPECT_EQ(said.size(), 2u);
}

}  // namespace
}  // namespace weir
