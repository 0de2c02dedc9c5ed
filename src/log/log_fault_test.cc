// The log on a disk that fails: what was acknowledged is there, once; what was refused is not; what
// is damaged is said.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "io/disk/simulated_disk.h"
#include "log/frame.h"
#include "log/test_log.h"

namespace weir {
namespace {

using Fault = SimulatedDisk::Fault;
using Strings = std::vector<std::string>;

LogOptions SmallSegments(uint64_t bytes = 32 << 10) {
  LogOptions options;
  options.directory = "log";
  options.segment_bytes = bytes;
  options.mark_after = 3'600'000'000;  // only Close marks, so that a seed repeats itself
  return options;
}

std::string Path(uint64_t number) {
  std::string digits = std::to_string(number);
  return "log/segment-" + std::string(20 - digits.size(), '0') + digits;
}

class LogFault : public testing::Test {
 protected:
  std::unique_ptr<Log> Open(SimulatedDisk& disk) { return Log::Open(disk, clock_, options_); }
  ErrorCode CodeOfOpen(SimulatedDisk& disk) {
    try {
      Open(disk);
    } catch (const Error& error) {
      return error.code;
    }
    return ErrorCode::kInternal;
  }

  ManualClock clock_;
  LogOptions options_ = SmallSegments();
};

// What a store was asked to keep, and what it promised.
struct History {
  Strings attempted;
  std::set<std::string> acknowledged;
  std::set<std::string> refused;  // by a log that had not failed: must not be kept
};

// Appends units of one to three records, one after the other, until done or the log has failed.
void Work(Log& log, History& history, Random& random, int units, size_t bytes_max) {
  for (int u = 0; u < units && !log.Failed(); u++) {
    std::vector<LogRecord> unit;
    Strings names;
    std::string base = std::to_string(history.attempted.size());
    size_t records = 1 + random.Below(3);
    for (size_t r = 0; r < records; r++) {
      std::string name = base + "." + std::to_string(r) + "of" + std::to_string(records) + ":" +
                         std::string(random.Below(bytes_max), char('a' + random.Below(26)));
      names.push_back(name);
      unit.push_back(MakeRecord(name, 1 + random.Below(5), std::string(random.Below(30), 'm')));
    }
    history.attempted.insert(history.attempted.end(), names.begin(), names.end());
    try {
      AppendAndWait(log, std::move(unit));
      history.acknowledged.insert(names.begin(), names.end());
    } catch (const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::kUnavailable) << error.message;
      EXPECT_FALSE(error.hint.empty() && !log.Failed());
      if (!log.Failed()) {
        history.refused.insert(names.begin(), names.end());
      }
    }
  }
}

// All that was acknowledged is there; all that is there was attempted, in that order, once, whole
// units only, and was not refused.
void Check(Log& log, const History& history) {
  Strings found = Payloads(log);
  std::set<std::string> present(found.begin(), found.end());
  ASSERT_EQ(present.size(), found.size()) << "doubled";
  for (const std::string& name : history.acknowledged) {
    ASSERT_TRUE(present.contains(name)) << "lost: " << name.substr(0, 20);
  }
  std::map<std::string, size_t> unit_sizes;
  for (const std::string& name : found) {
    unit_sizes[name.substr(0, name.find('.'))]++;
  }
  auto next = history.attempted.begin();
  for (const std::string& name : found) {
    next = std::find(next, history.attempted.end(), name);
    ASSERT_NE(next, history.attempted.end()) << "never written, or out of order";
    ASSERT_FALSE(history.refused.contains(name)) << "refused, yet kept";
    // "17.0of3": the other two must be there as well.
    size_t size = std::stoul(name.substr(name.find("of") + 2));
    ASSERT_EQ(unit_sizes[name.substr(0, name.find('.'))], size) << "half a unit";
  }
}

// Each byte of a log is tried; under a sanitizer, where that takes minutes, one of these many.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kStride = 19;
#else
constexpr uint64_t kStride = 1;
#endif

TEST_F(LogFault, ATornLastRecordIsDroppedAtEveryLengthAndTheRestSurvive) {
  SimulatedDisk disk;
  auto log = Open(disk);
  AppendAndWait(*log, "one");
  AppendAndWait(*log, "two");
  uint64_t begin = log->Segments(Offset{0}, Offset{2}).segments[0].bytes;
  AppendAndWait(*log, std::string(5000, 'L'));
  size_t length = kFrameHeaderBytes + 5000;
  for (bool cut : {false, true}) {  // the rest is zeros, or the file just ends
    for (size_t kept = 0; kept < length; kept += kStride) {
      auto torn = disk.KillState();
      {
        auto file = torn->Open(Path(1), OpenMode::kReadWrite);
        if (cut) {
          file->Truncate(begin + kept);
        } else {
          file->Write(begin + kept, std::string(length - kept, '\0'));
        }
      }
      auto recovered = Open(*torn);
      ASSERT_EQ(Payloads(*recovered), (Strings{"one", "two"})) << kept;
      ASSERT_EQ(recovered->Recovery().torn_bytes > 0, kept > 0) << kept;
      if (kept % 97 == 0) {
        ASSERT_EQ(AppendAndWait(*recovered, "three").last, Offset{3});
        recovered.reset();
        recovered = Open(*torn);
        ASSERT_EQ(Payloads(*recovered), (Strings{"one", "two", "three"})) << kept;
        ASSERT_EQ(recovered->Recovery().torn_bytes, 0u) << "what was dropped once is gone";
      }
    }
  }
}

TEST_F(LogFault, ADamagedRecordBeforeAMarkIsCorruptionNotATornTail) {
  SimulatedDisk disk;
  {
    auto log = Open(disk);
    AppendAndWait(*log, "one");
    AppendAndWait(*log, "two");
  }
  disk.FlipByte(Path(1), kSegmentHeaderBytes + kPageBytes + kFrameHeaderBytes, 1);
  uint64_t calls = disk.Calls();
  try {
    Open(disk);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kCorruption);
    EXPECT_NE(error.message.find("rows 2 to 2"), std::string::npos) << error.message;
  }
  EXPECT_LE(disk.Calls() - calls, 3u) << "syncs, but changes nothing";
}

TEST_F(LogFault, EveryDamagedByteOfAStoreIsDetectedOrHarmless) {
  options_ = SmallSegments(20 << 10);
  SimulatedDisk disk;
  Strings written;
  {
    auto log = Open(disk);
    for (int i = 0; i < 5; i++) {
      written.push_back(std::to_string(i) + std::string(300 * i, 'p'));
      AppendAndWait(*log, Unit(MakeRecord(written.back(), 2, "meta")));
    }
  }
  uint64_t detected = 0, harmless = 0;
  for (uint64_t segment = 1; disk.Exists(Path(segment)); segment++) {
    for (uint64_t at = 0; at < disk.FileSize(Path(segment)); at += kStride) {
      uint8_t mask = at % 3 == 0 ? 0xff : 1 << at % 8;
      disk.FlipByte(Path(segment), at, mask);
      auto copy = disk.KillState();
      disk.FlipByte(Path(segment), at, mask);
      try {
        ASSERT_EQ(Payloads(*Open(*copy)), written) << "segment " << segment << " byte " << at;
        harmless++;
      } catch (const Error& error) {
        ASSERT_EQ(error.code, ErrorCode::kCorruption) << error.message;
        detected++;
      }
    }
  }
  EXPECT_GT(detected, 5 * kFrameHeaderBytes / kStride);
  EXPECT_GT(harmless, kPageBytes / kStride) << "padding";
}

TEST_F(LogFault, AMissingSegmentIsRefusedWhereverItStood) {
  SimulatedDisk disk;
  {
    auto log = Open(disk);
    for (int i = 0; i < 20; i++) {
      AppendAndWait(*log, std::string(5000, '.'));
    }
    ASSERT_GT(log->Segments(Offset{0}, log->End()).segments.size(), 3u);
  }
  uint64_t last = 1;
  while (disk.Exists(Path(last + 1))) {
    last++;
  }
  for (uint64_t missing : {uint64_t{2}, last}) {
    auto copy = disk.KillState();
    copy->Remove(Path(missing));
    EXPECT_EQ(CodeOfOpen(*copy), ErrorCode::kCorruption) << missing;
  }
}

TEST_F(LogFault, ASegmentOfAnotherLogIsRefused) {
  SimulatedDisk mine, other;
  for (SimulatedDisk* disk : {&mine, &other}) {
    auto log = Open(*disk);
    for (int i = 0; i < 10; i++) {
      AppendAndWait(*log, std::string(5000, '.'));
    }
  }
  std::string foreign = ReadWholeFile(other, Path(2));
  mine.Remove(Path(2));
  mine.Open(Path(2), OpenMode::kCreate)->Write(0, foreign);
  EXPECT_EQ(CodeOfOpen(mine), ErrorCode::kCorruption);
}

TEST_F(LogFault, AFullDiskAtAnyCallFailsThoseAppendsAndNoOthers) {
  for (uint64_t n = 1;; n++) {
    SimulatedDisk disk;
    SeededRandom random(7);
    History history;
    disk.FailCall(n, Fault::kNoSpace);
    std::unique_ptr<Log> log;
    try {
      log = Open(disk);
    } catch (const Error&) {
      log = Open(disk);  // the fault struck the start: the next start succeeds
    }
    Work(*log, history, random, 30, 4000);
    bool struck = disk.Calls() >= n;
    disk.FailCall(0, Fault::kIoError);  // no more of it
    if (!log->Failed()) {
      EXPECT_LE(history.refused.size(), 3u);  // one unit
      EXPECT_GE(AppendAndWait(*log, "after.0of1:").last, Offset{30});
      history.attempted.push_back("after.0of1:");
      history.acknowledged.insert("after.0of1:");
    }
    auto after_crash = disk.CrashState(random);
    log.reset();
    Check(*Open(disk), history);
    Check(*Open(*after_crash), history);
    if (!struck) {
      EXPECT_GT(n, 50u);
      break;
    }
    ASSERT_FALSE(HasFatalFailure()) << "call " << n;
  }
}

TEST_F(LogFault, AppendsSucceedAgainByThemselvesWhenThereIsSpace) {
  SimulatedDisk disk;
  disk.SetCapacity(100'000);
  SeededRandom random(3);
  History history;
  auto log = Open(disk);
  Work(*log, history, random, 100, 3000);
  EXPECT_FALSE(log->Failed());
  EXPECT_GT(history.refused.size(), 10u);
  EXPECT_GT(history.acknowledged.size(), 10u);
  Check(*log, history);
  log->Trim(log->End());
  EXPECT_GT(AppendAndWait(*log, "fits").last, Offset{0});
  disk.SetCapacity(UINT64_MAX);
  EXPECT_GT(AppendAndWait(*log, std::string(50'000, 'x')).last, Offset{0});
}

TEST_F(LogFault, AnErrorAtAnyCallIsFinalAndNothingIsAcknowledgedAfterIt) {
  for (uint64_t n = 1;; n++) {
    for (Fault fault : {Fault::kLostWord, Fault::kIoError}) {
      SimulatedDisk disk;
      SeededRandom random(7);
      History history;
      int told = 0;
      options_.on_failure = [&](const std::string&) { told++; };
      disk.FailCall(n, fault);
      std::unique_ptr<Log> log;
      try {
        log = Open(disk);
      } catch (const DiskFailure&) {
        log = Open(disk);
      }
      Work(*log, history, random, 30, 4000);
      bool failed = log->Failed();
      EXPECT_EQ(told, failed ? 1 : 0);
      if (failed) {
        uint64_t calls = disk.Calls();
        EXPECT_THROW(AppendAndWait(*log, "late"), Error);
        log->Close();
        EXPECT_EQ(disk.Calls(), calls) << "a failed log never touches the disk again";
      }
      bool struck = disk.Calls() >= n;
      disk.FailCall(0, Fault::kIoError);  // no more of it
      auto after_crash = disk.CrashState(random);
      log.reset();
      options_.on_failure = nullptr;
      Check(*Open(*after_crash), history);
      Check(*Open(disk), history);
      ASSERT_FALSE(HasFatalFailure()) << "call " << n;
      if (!struck) {
        return;
      }
    }
  }
}

TEST_F(LogFault, ASyncThatFailsOnceFailsItsWaitersEvenIfTheNextWouldSucceed) {
  SimulatedDisk disk;
  SeededRandom random(1);
  auto log = Open(disk);
  AppendAndWait(*log, "kept");
  disk.FailCall(2, Fault::kIoError);  // a write, then its sync
  EXPECT_THROW(AppendAndWait(*log, "lost"), Error);
  EXPECT_TRUE(log->Failed());
  EXPECT_EQ(log->End(), Offset{1});
  EXPECT_EQ(Payloads(*log), Strings{"kept"}) << "what was durable can still be read";
  EXPECT_EQ(Payloads(*Open(*disk.CrashState(random))), Strings{"kept"});
}

TEST_F(LogFault, AnUnreadableDiskIsAnErrorNotAnEnd) {
  SimulatedDisk disk;
  auto log = Open(disk);
  AppendAndWait(*log, "x");
  disk.FailReads(true);
  EXPECT_THROW(Payloads(*log), DiskFailure);
  disk.FailReads(false);
  EXPECT_EQ(Payloads(*log), Strings{"x"});
}

uint64_t BaseSeed() {
  const char* given = std::getenv("WEIR_SEED");
  return given ? std::strtoull(given, nullptr, 10) : SystemRandom().Next() % 1'000'000'000;
}

// One store through several lives.  Each ends with a power cut at a random call, which may fall
// into recovery, a roll or a trim; what the crash leaves is the next life's disk.
void LiveThroughCrashes(uint64_t seed, Clock& clock) {
  SeededRandom random(seed);
  LogOptions options = SmallSegments((5 + random.Below(20)) * kPageBytes);
  size_t bytes_max = 1 + random.Below(random.OneIn(3) ? 20'000 : 2'000);
  auto disk = std::make_unique<SimulatedDisk>();
  History history;
  for (int life = 0; life < 5; life++) {
    disk->FailCall(1 + random.Below(random.OneIn(3) ? 8 : 150), Fault::kPowerCut);
    try {
      auto log = Log::Open(*disk, clock, options);
      Work(*log, history, random, 40, bytes_max);
    } catch (const DiskFailure&) {  // the power went while the log was opened
    }
    disk = random.OneIn(8) ? disk->KillState() : disk->CrashState(random);
    auto checked = disk->KillState();
    Check(*Log::Open(*checked, clock, options), history);
    if (testing::Test::HasFatalFailure()) {
      return;
    }
    // Whoever recovered once has shown these to somebody; they may not vanish later.
    if (random.OneIn(2)) {
      disk = std::move(checked);
      auto log = Log::Open(*disk, clock, options);
      for (const std::string& name : Payloads(*log)) {
        history.acknowledged.insert(name);
      }
    }
  }
}

TEST_F(LogFault, EveryCrashStateKeepsWhatWasAcknowledgedOnce) {
  uint64_t seed = BaseSeed();
  std::printf("WEIR_SEED=%llu repeats this run\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  const char* given = std::getenv("WEIR_CRASH_STATES");
  uint64_t runs = given ? std::strtoull(given, nullptr, 10) : 1'000;
  for (uint64_t i = 0; i < runs; i++) {
    LiveThroughCrashes(seed + i, clock_);
    ASSERT_FALSE(HasFailure()) << "seed " << seed + i;
  }
}

TEST_F(LogFault, RecoveryInterruptedAtEveryCallConvergesToTheSameStore) {
  SimulatedDisk disk;
  SeededRandom random(11);
  {
    auto log = Open(disk);
    for (int i = 0; i < 12; i++) {
      AppendAndWait(*log, std::to_string(i) + std::string(4000, '.'));
    }
    disk.FailCall(2, Fault::kPowerCut);  // the write is half there, its sync never comes
    EXPECT_THROW(AppendAndWait(*log, std::string(9000, 't')), Error);
  }
  auto crashed = disk.KillState();
  Strings expected = Payloads(*Open(*crashed->KillState()));
  ASSERT_EQ(expected.size(), 12u);
  for (uint64_t n = 1; n < 10; n++) {
    for (int state = 0; state < 20; state++) {
      auto copy = crashed->KillState();
      copy->FailCall(n, Fault::kPowerCut);
      try {
        Open(*copy);
      } catch (const DiskFailure&) {
      }
      ASSERT_EQ(Payloads(*Open(*copy->CrashState(random))), expected) << n;
    }
  }
}

TEST_F(LogFault, ACrashBetweenTheNextSegmentAndTheSealIsHealed) {
  for (uint64_t n = 1; n < 16; n++) {
    SimulatedDisk disk;
    SeededRandom random(n);
    auto log = Open(disk);
    History history;
    while (!disk.Exists(Path(2)) && history.attempted.size() < 100) {
      auto before = disk.KillState();
      std::string name =
          std::to_string(history.attempted.size()) + ".0of1:" + std::string(4000, 's');
      AppendAndWait(*log, name);
      history.attempted.push_back(name);
      history.acknowledged.insert(name);
      if (!disk.Exists(Path(2))) {
        continue;
      }
      // That append rolled.  Do it again on the disk as it was, with the power cut at call n of it.
      history.acknowledged.erase(name);
      auto again = Open(*before);
      before->FailCall(n, Fault::kPowerCut);
      try {
        AppendAndWait(*again, name);
        history.acknowledged.insert(name);
      } catch (const Error&) {
      }
      auto crashed = before->CrashState(random);
      again.reset();
      auto recovered = Open(*crashed);
      Check(*recovered, history);
      EXPECT_GT(AppendAndWait(*recovered, std::string(9000, 'x')).last, Offset{0});
    }
    ASSERT_FALSE(HasFailure()) << n;
  }
}

TEST_F(LogFault, TrimInterruptedAtAnyCallLeavesNoHole) {
  for (uint64_t n = 1; n < 12; n++) {
    SimulatedDisk disk;
    SeededRandom random(n);
    auto log = Open(disk);
    for (int i = 0; i < 30; i++) {
      AppendAndWait(*log, std::string(5000, '.'));
    }
    disk.FailCall(n, Fault::kPowerCut);
    try {
      log->Trim(log->End());
    } catch (const DiskFailure&) {
    }
    for (int state = 0; state < 10; state++) {
      auto crashed = disk.CrashState(random);
      auto recovered = Open(*crashed);
      ASSERT_EQ(recovered->End(), Offset{30});
      ASSERT_EQ(Payloads(*recovered).size(), 31 - recovered->Begin().value);
    }
  }
}

TEST_F(LogFault, ATrimThatFailsAtAnyCallAndIsTriedAgainLeavesNoHole) {
  SimulatedDisk base;
  {
    auto log = Open(base);
    for (int i = 0; i < 12; i++) {
      AppendAndWait(*log, std::string(20'000, char('a' + i)));
    }
  }
  uint64_t calls = 0;
  {
    auto disk = base.KillState();
    auto log = Open(*disk);
    uint64_t before = disk->Calls();
    log->Trim(log->End());
    calls = disk->Calls() - before;
  }
  ASSERT_GE(calls, 8u);
  for (uint64_t n = 1; n <= calls; n++) {
    SCOPED_TRACE(testing::Message() << "call " << n);
    auto disk = base.KillState();
    std::string last;
    {
      auto log = Open(*disk);
      last = Payloads(*log).back();
      disk->FailCall(n, Fault::kIoError);
      EXPECT_THROW(log->Trim(log->End()), DiskFailure);
      EXPECT_EQ(Payloads(*log).back(), last) << "what is left can be read";
      log->Trim(log->End());
    }
    for (uint64_t seed = 0; seed < 10; seed++) {
      SeededRandom random(seed);
      auto after = disk->CrashState(random);
      EXPECT_EQ(Payloads(*Open(*after)).back(), last);
    }
    EXPECT_EQ(Payloads(*Open(*disk)).back(), last);
  }
}

}  // namespace
}  // namespace weir
