#include "views/checkpoint.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "io/random.h"
#include "views/checkpoint_writer.h"
#include "views/test_engine.h"

namespace weir {
namespace {

// ---- the file
// ------------------------------------------------------------------------------------

class CheckpointFile : public testing::Test {
 protected:
  CheckpointFile() { disk_->MakeDirectories("/checkpoint"); }

  // Two operators, one of which goes before it was written.
  CheckpointWriter::Outcome Write(uint64_t offset) {
    CheckpointWriter::Contents contents;
    contents.at = {{offset}, 2, 3};
    contents.operators = {"sum", "gone"};
    contents.failed_rows["sum"] = "two rows";
    contents.pumps = {7};
    CheckpointWriter writer(*disk_, "/checkpoint/views", std::move(contents), [] {});
    auto add = [&](uint32_t section, std::string part) {
      writer.Add(section, part);
      EXPECT_TRUE(part.empty());
    };
    add(0, "first, ");
    add(1, "lost");
    add(0, "second");
    writer.End(1, false);
    writer.End(0, true);
    writer.Wait();
    return *writer.outcome();
  }
  // The offset of the checkpoint that is there; 0: none.
  uint64_t There() {
    auto checkpoint = Checkpoint::Open(*disk_, "/checkpoint/views");
    return checkpoint ? checkpoint->at().offset.value : 0;
  }

  std::unique_ptr<SimulatedDisk> disk_ = std::make_unique<SimulatedDisk>();
};

TEST_F(CheckpointFile, IsReadBack) {
  auto outcome = Write(41);
  EXPECT_TRUE(outcome.is_written) << outcome.failure;
  EXPECT_GT(outcome.bytes, 20u);
  EXPECT_EQ(There(), 41u);
}

TEST_F(CheckpointFile, OfWhichABitIsWrongInTheIndexIsNone) {
  ASSERT_TRUE(Write(41).is_written);
  std::string bytes = ReadWholeFile(*disk_, "/checkpoint/views");
  size_t index = bytes.find("second") + 6;
  ASSERT_LT(index, bytes.size());
  for (size_t i = index; i < bytes.size(); i++) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    WriteFileAtomically(*disk_, "/checkpoint/views", damaged);
    EXPECT_EQ(There(), 0u) << "byte " << i;
    WriteFileAtomically(*disk_, "/checkpoint/views", std::string_view(bytes).substr(0, i));
    EXPECT_EQ(There(), 0u) << "cut at " << i;
  }
}

// Whatever call fails: it is said, the checkpoint from before is there, and the next one is
// written.
TEST_F(CheckpointFile, IsTheOldOneOrTheNewOneWhateverFails) {
  for (auto fault : {SimulatedDisk::Fault::kIoError, SimulatedDisk::Fault::kNoSpace}) {
    disk_ = std::make_unique<SimulatedDisk>();
    disk_->MakeDirectories("/checkpoint");
    ASSERT_TRUE(Write(1).is_written);
    uint64_t before = disk_->Calls();
    ASSERT_TRUE(Write(2).is_written);
    uint64_t calls = disk_->Calls() - before;
    ASSERT_GT(calls, 4u);
    for (uint64_t n = 1; n <= calls; n++) {
      uint64_t old = There();
      disk_->FailCall(n, fault);
      auto outcome = Write(100 + n);
      EXPECT_EQ(outcome.is_written, outcome.failure.empty()) << "call " << n;
      uint64_t now = There();
      EXPECT_TRUE(now == 100 + n || (!outcome.is_written && now == old)) << "call " << n;
      ASSERT_TRUE(Write(1000 + n).is_written) << "after call " << n;
      EXPECT_EQ(There(), 1000 + n);
    }
  }
}

TEST_F(CheckpointFile, IsTheOldOneOrTheNewOneAfterAPowerCut) {
  SeededRandom random(7);
  ASSERT_TRUE(Write(1).is_written);
  uint64_t before = disk_->Calls();
  ASSERT_TRUE(Write(2).is_written);
  uint64_t calls = disk_->Calls() - before;
  for (uint64_t n = 1; n <= calls; n++) {
    uint64_t old = There();
    disk_->FailCall(n, SimulatedDisk::Fault::kPowerCut);
    EXPECT_FALSE(Write(100 + n).is_written);
    disk_ = disk_->CrashState(random);
    uint64_t now = There();
    EXPECT_TRUE(now == old || now == 100 + n) << "call " << n << " left " << now;
    ASSERT_TRUE(Write(1000 + n).is_written);
  }
}

// ---- the engine
// ------------------------------------------------------------------------------------

constexpr const char* kViews =
    "CREATE STREAM a (k INTEGER, v DOUBLE, t VARCHAR); CREATE STREAM b (k INTEGER, w INTEGER);"
    "CREATE MATERIALIZED VIEW groups AS SELECT k, count(*) AS c, sum(v) AS s, avg(w) AS m,"
    "  min(t) AS lo, max(t) AS hi FROM a JOIN b USING (k) GROUP BY k;"
    "CREATE MATERIALIZED VIEW texts AS SELECT t, count(*) AS c, max(k) AS k FROM a GROUP BY t;"
    "CREATE MATERIALIZED VIEW of_groups AS SELECT c, min(k) AS lo, max(k) AS hi, count(*) AS n FROM"
    "  (SELECT k, count(*) AS c FROM a GROUP BY k) GROUP BY c;"
    "CREATE MATERIALIZED VIEW everything AS SELECT count(*) AS c, count(DISTINCT k) AS d,"
    "  count(DISTINCT t) AS e FROM a;"
    "CREATE MATERIALIZED VIEW latest AS SELECT k, v, t FROM a"
    "  QUALIFY row_number() OVER (PARTITION BY k ORDER BY v DESC, t) = 1;"
    "CREATE MATERIALIZED VIEW outer_join AS SELECT x.k, x.c, y.k AS other, y.w FROM"
    "  (SELECT k, count(*) AS c FROM a GROUP BY k) x FULL JOIN b y ON x.k = y.k AND x.c > y.w;"
    "CREATE MATERIALIZED VIEW without AS SELECT k, c FROM (SELECT k, count(*) AS c FROM a GROUP BY "
    "k) x"
    "  WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.k = x.k AND b.w < x.c);"
    "CREATE MATERIALIZED VIEW kept AS SELECT c % 3 AS m, bit_xor(k) AS x, any_value(c % 3) AS k "
    "FROM"
    "  (SELECT k, count(*) AS c FROM a GROUP BY k) GROUP BY m;"
    "CREATE MATERIALIZED VIEW above AS SELECT k, c FROM (SELECT k, count(*) AS c FROM a GROUP BY "
    "k) x"
    "  WHERE c > (SELECT avg(c) FROM (SELECT count(*) AS c FROM a GROUP BY k));"
    "CREATE MATERIALIZED VIEW running AS SELECT k, v, sum(v) OVER (PARTITION BY k ORDER BY v, t) "
    "AS s"
    "  FROM a;";
constexpr const char* kNames[] = {"groups",     "texts",   "of_groups", "everything", "latest",
                                  "outer_join", "without", "kept",      "above",      "running"};

class EngineCheckpoint : public testing::Test {
 protected:
  void AppendSome(size_t rows) {
    std::vector<std::vector<std::string>> a, b;
    for (size_t i = 0; i < rows; i++) {
      std::string key = std::to_string(random_.Below(300));
      // Halves and quarters: sums of them have one value in whatever order they are made.
      a.push_back({key, std::to_string(random_.Below(400)) + ".25",
                   "t" + std::to_string(random_.Below(90))});
      if (i % 4 == 0)
        b.push_back({std::to_string(random_.Below(300)), std::to_string(random_.Below(12))});
    }
    world_.Append("a", a);
    if (!b.empty()) world_.Append("b", b);
  }
  uint64_t Written() { return world_.engine->Info().checkpoint.written; }
  std::map<std::string, std::vector<std::string>> All() {
    std::map<std::string, std::vector<std::string>> all;
    for (auto* name : kNames) all[name] = world_.Read(name);
    return all;
  }

  SeededRandom random_{20261130};
  TestEngine world_;
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kLives = 1;  // each takes a minute
constexpr size_t kLongRows = 500;
#else
constexpr int kLives = 4;
constexpr size_t kLongRows = 2000;
#endif

// The smallest pieces, so that most of what is written has been about to change: each checkpoint is
// the state as of one step though a hundred have gone by when it is whole.
TEST_F(EngineCheckpoint, IsTheStateOfOneStepThoughOthersGoOn) {
  world_.options.checkpoint_slice = 0;
  world_.Open();
  world_.Execute(kViews);
  AppendSome(2000);
  world_.Settle();
  for (int life = 0; life < kLives; life++) {
    uint64_t written = Written();
    for (int i = 0; Written() < written + 2 && i < 20'000; i++) {
      AppendSome(1 + random_.Below(6));
      world_.Settle();
      // Pieces are written where nothing waits; on a fast machine there would be next to no time.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_GE(Written(), written + 2) << world_.engine->Info().checkpoint.failure;
    auto saved = *world_.engine->Info().checkpoint.offset;
    // The process is killed: what was synced is there, and maybe more.
    auto found = world_.disk->CrashState(random_);
    world_.Close();
    world_.disk = std::move(found);
    auto first = std::make_shared<std::atomic<uint64_t>>(UINT64_MAX);
    world_.before_scan = [first](const Stream&, Offset after) {
      *first = std::min<uint64_t>(*first, after.value);
    };
    world_.Open();
    world_.Settle();
    auto restored = All();
    EXPECT_GE(*first, saved.value) << "history was read although a checkpoint is there";

    // Without a checkpoint, the same.
    world_.Close();
    world_.before_scan = nullptr;
    world_.disk->Remove("/checkpoint/views");
    world_.Open();
    world_.Settle();
    auto filled = All();
    for (auto* name : kNames) EXPECT_EQ(restored[name], filled[name]) << name << ", life " << life;
  }
}

// A part that is damaged costs time: views are filled from history, and right.
TEST_F(EngineCheckpoint, OfWhichAPartIsDamagedIsLeft) {
  world_.Open();
  world_.Execute(kViews);
  AppendSome(3000);
  world_.Settle();
  auto right = All();
  world_.Close();
  std::string bytes = ReadWholeFile(*world_.disk, "/checkpoint/views");
  ASSERT_GT(bytes.size(), 20'000u);
  for (size_t at : {size_t{9}, bytes.size() / 4, bytes.size() / 2}) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    WriteFileAtomically(*world_.disk, "/checkpoint/views", damaged);
    world_.Open();
    world_.Settle();
    EXPECT_EQ(All(), right) << "byte " << at;
    world_.Close();
  }
}

// A view that goes while its state is written leaves the others' checkpoint whole.
TEST_F(EngineCheckpoint, GoesOnWhenAViewIsDropped) {
  world_.options.checkpoint_slice = 0;
  world_.Open();
  world_.Execute(kViews);
  AppendSome(2000);
  world_.Settle();
  for (auto* name : {"latest", "groups", "running"}) {
    world_.Until([&] {
      AppendSome(1);
      world_.Settle();  // with events waiting all the time, pieces get a tenth of it
      return world_.engine->Info().checkpoint.is_under_way;
    });
    world_.Execute(std::string("DROP VIEW ") + name);
    uint64_t written = Written(), failed = world_.engine->Info().checkpoint.failed;
    world_.Until([&] {
      AppendSome(1);
      world_.Settle();  // with events waiting all the time, pieces get a tenth of it
      return Written() >= written + 2;
    });
    EXPECT_EQ(world_.engine->Info().checkpoint.failed, failed);
  }
}

// One that cannot be written is said, and costs nothing else.
TEST_F(EngineCheckpoint, ThatFailsIsSeen) {
  world_.options.checkpoint_directory = "/checkpoint";
  world_.Open();
  world_.Execute(kViews);
  AppendSome(100);
  world_.Settle();
  world_.Until([&] { return Written() > 0; });
  // The file it would write cannot be made.
  world_.disk->MakeDirectories("/checkpoint/views.tmp");
  world_.Until([&] {
    AppendSome(1);
    return world_.engine->Info().checkpoint.failed > 0;
  });
  EXPECT_FALSE(world_.engine->Info().checkpoint.failure.empty());
  world_.Settle();
  EXPECT_EQ(world_.Info("groups").status, ViewStatus::kLive);
}

// A view that came since the last one is not forgotten with one that fails.
TEST_F(EngineCheckpoint, ThatFailsIsTriedAgainThoughNothingHappensSince) {
  world_.options.checkpoint_directory = "/checkpoint";
  world_.Open();
  world_.Execute(kViews);
  AppendSome(100);
  world_.Settle();
  auto end = world_.log->End();
  world_.Until([&] { return world_.engine->Info().checkpoint.offset == end; });
  world_.disk->MakeDirectories("/checkpoint/views.tmp");
  world_.Execute("CREATE MATERIALIZED VIEW another AS SELECT count(*) AS n FROM a");
  world_.Until([&] { return world_.engine->Info().checkpoint.failed > 0; });
  auto before = Written();
  world_.disk->RemoveEmptyFolder("/checkpoint/views.tmp");
  world_.Until([&] { return Written() > before; });
}

// ---- rows in the file for what does not fit in memory
// ------------------------------------------------------------------------------------

class SpilledCheckpoint : public EngineCheckpoint {
 protected:
  static constexpr uint64_t kLimit = 100 << 20, kInFile = 2 << 20;
  SpilledCheckpoint() {
    folder_ = mkdtemp(name_);
    auto& memory = world_.options.memory;
    memory.limit = kLimit;
    memory.spill_directory = folder_;
    memory.in_use = [this] { return in_use_.load(); };
  }
  ~SpilledCheckpoint() override {
    world_.Close();
    std::filesystem::remove_all(folder_);
  }
  void AppendLong(size_t rows) {
    std::vector<std::vector<std::string>> a, b;
    for (size_t i = 0; i < rows; i++) {
      std::string key = std::to_string(random_.Below(300));
      a.push_back({key, std::to_string(random_.Below(400)) + ".25",
                   std::string(300, 'x') + std::to_string(random_.Below(5000))});
      if (i % 8 == 0) b.push_back({key, std::to_string(random_.Below(12))});
    }
    world_.Append("a", a);
    if (!b.empty()) world_.Append("b", b);
    world_.Settle();
    appended_ += rows;
  }
  uint64_t InFile() { return EngineForTests::BytesInFile(*world_.engine); }

  char name_[32] = "/tmp/weir-spilled-XXXXXX";
  std::string folder_;
  std::atomic<uint64_t> in_use_{0};
  uint64_t appended_ = 0;
};

// Most of what is kept stands in the file when the checkpoint is written, and again when it is
// restored.
TEST_F(SpilledCheckpoint, HasTheRowsInTheFileAsWell) {
  world_.Open();
  world_.Execute(kViews);
  AppendLong(kLongRows);
  in_use_ = kLimit / 100 * 85;
  world_.Until([&] {
    AppendLong(1);
    return InFile() > kInFile;
  });
  Offset spilled = world_.log->End(), saved;
  world_.Until([&] {
    AppendLong(1 + random_.Below(5));
    saved = world_.engine->Info().checkpoint.offset.value_or(Offset{});
    return saved >= spilled;
  });
  ASSERT_GT(InFile(), kInFile);
  AppendLong(20);
  auto right = All();

  auto found = world_.disk->CrashState(random_);
  world_.Close();
  world_.disk = std::move(found);
  auto first = std::make_shared<std::atomic<uint64_t>>(UINT64_MAX);
  world_.before_scan = [first](const Stream&, Offset after) {
    *first = std::min<uint64_t>(*first, after.value);
  };
  world_.Open();
  world_.Settle();
  EXPECT_GE(*first, saved.value) << "history was read although a checkpoint is there";
  auto restored = All();
  for (auto* name : kNames) EXPECT_EQ(restored[name], right[name]) << name;
  world_.Until([&] {
    AppendLong(1);
    return InFile() > kInFile;
  });
  AppendLong(100);
  std::string count = std::to_string(appended_) + "|";
  EXPECT_EQ(world_.Read("everything").at(0).substr(0, count.size()), count);
  auto gone_on = All();

  // The same of all events anew, in memory.
  world_.Close();
  world_.before_scan = nullptr;
  in_use_ = 0;
  world_.disk->Remove("/checkpoint/views");
  world_.Open();
  world_.Settle();
  EXPECT_EQ(InFile(), 0u);
  auto filled = All();
  for (auto* name : kNames) EXPECT_EQ(gone_on[name], filled[name]) << name;
}

}  // namespace
}  // namespace weir
