// What the log promises while nothing goes wrong.
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "io/disk/simulated_disk.h"
#include "log/test_log.h"

namespace weir {
namespace {

class LogTest : public testing::Test {
 protected:
  LogTest() {
    options_.directory = "data/log";
    options_.segment_bytes = 64 << 10;
  }
  std::unique_ptr<Log> Open() { return Log::Open(disk_, clock_, options_); }

  SimulatedDisk disk_;
  ManualClock clock_;
  LogOptions options_;
};

// Keeps everything it is told; can hold the log's thread until let go.
class Recorder : public CommitListener {
 public:
  void OnCommit(const CommittedRecords& group) override {
    entered.count_down();
    if (gate) {
      gate->wait();
    }
    groups.push_back(group);
  }
  std::latch entered{1};
  std::latch* gate = nullptr;
  std::vector<CommittedRecords> groups;
};

TEST_F(LogTest, AnEmptyLogEndsAtZeroAndHasNothingToRead) {
  auto log = Open();
  EXPECT_EQ(log->End(), Offset{0});
  EXPECT_EQ(log->Begin(), Offset{1});
  EXPECT_TRUE(Payloads(*log).empty());
  EXPECT_TRUE(log->Segments(Offset{0}, Offset{0}).segments.empty());
  EXPECT_EQ(log->Recovery().segments, 1u);
}

TEST_F(LogTest, OffsetsCountRowsOverAllStreamsFromOne) {
  auto log = Open();
  EXPECT_EQ(AppendAndWait(*log, Unit(MakeRecord("a", 3, "", 1))).last, Offset{3});
  EXPECT_EQ(AppendAndWait(*log, Unit(MakeRecord("b", 2, "", 2))).last, Offset{5});
  auto reader = log->Read(Offset{0});
  EXPECT_EQ(reader->Next()->first, Offset{1});
  auto second = reader->Next();
  EXPECT_EQ(second->first, Offset{4});
  EXPECT_EQ(second->record.stream, StreamId{2});
  EXPECT_EQ(reader->Next(), nullptr);
  EXPECT_EQ(log->End(), Offset{5});
}

TEST_F(LogTest, ARecordKeepsItsMetaAndPayloadThroughARestart) {
  {
    auto log = Open();
    AppendAndWait(*log, Unit(MakeRecord(std::string("\0rows\n", 6), 7, "key")));
  }
  auto log = Open();
  auto record = log->Read(Offset{0})->Next();
  EXPECT_EQ(record->record.payload, std::string("\0rows\n", 6));
  EXPECT_EQ(record->record.meta, "key");
  EXPECT_EQ(record->record.count, 7u);
  EXPECT_EQ(record->last(), Offset{7});
}

TEST_F(LogTest, ARecordWithoutRowsTakesNoOffsetAndIsRead) {
  auto log = Open();
  AppendAndWait(*log, "a");
  EXPECT_EQ(AppendAndWait(*log, Unit(MakeRecord("", 0, "only meta"))).last, Offset{1});
  EXPECT_EQ(AppendAndWait(*log, "b").last, Offset{2});
  auto reader = log->Read(Offset{1});
  EXPECT_EQ(reader->Next()->record.meta, "only meta");
  EXPECT_EQ(reader->Next()->record.payload, "b");
}

TEST_F(LogTest, ReadingReturnsTheRecordsThatHoldTheAskedOffsets) {
  auto log = Open();
  for (const char* payload : {"1-10", "11-20", "21-30", "31-40"}) {
    AppendAndWait(*log, Unit(MakeRecord(payload, 10)));
  }
  using Strings = std::vector<std::string>;
  EXPECT_EQ(Payloads(*log->Read(Offset{10}, Offset{20})), Strings{"11-20"});
  EXPECT_EQ(Payloads(*log->Read(Offset{9}, Offset{21})), (Strings{"1-10", "11-20", "21-30"}));
  EXPECT_EQ(Payloads(*log->Read(Offset{40})), Strings{});
  EXPECT_EQ(Payloads(*log->Read(Offset{35}, Offset{1000})), Strings{"31-40"});
}

TEST_F(LogTest, ReadingOneStreamPassesOverTheOthers) {
  auto log = Open();
  AppendAndWait(*log, Unit(MakeRecord("1-2", 2, "", 1)));
  AppendAndWait(*log, Unit(MakeRecord("3-4", 2, "", 2)));
  AppendAndWait(*log, Unit(MakeRecord("5-6", 2, "", 1)));
  using Strings = std::vector<std::string>;
  EXPECT_EQ(Payloads(*log->Read(Offset{0}, std::nullopt, StreamId{1})), (Strings{"1-2", "5-6"}));
  EXPECT_EQ(Payloads(*log->Read(Offset{2}, Offset{4}, StreamId{2})), Strings{"3-4"});
  EXPECT_EQ(Payloads(*log->Read(Offset{2}, Offset{4}, StreamId{1})), Strings{});
}

TEST_F(LogTest, ListenersHearGroupsInOrderBeforeTheProducerDoes) {
  Recorder recorder;
  auto log = Open();
  log->AddListener(recorder);
  auto decoded = std::make_shared<int>(5);
  LogRecord record = MakeRecord("x");
  record.decoded = decoded;
  AppendAndWait(*log, Unit(std::move(record)));
  AppendAndWait(*log, "y");
  ASSERT_EQ(recorder.groups.size(), 2u);
  EXPECT_EQ(recorder.groups[0][0]->record.decoded, decoded);
  EXPECT_EQ(recorder.groups[1][0]->first, Offset{2});
}

TEST_F(LogTest, WhatArrivesDuringAFlushBecomesOneGroup) {
  std::latch gate{1};
  Recorder recorder;
  recorder.gate = &gate;
  auto log = Open();
  log->AddListener(recorder);
  auto first = StartAppend(*log, Unit(MakeRecord("first")));
  recorder.entered.wait();
  std::vector<std::future<AppendResult>> rest;
  for (int i = 0; i < 50; i++) {
    rest.push_back(StartAppend(*log, Unit(MakeRecord("later"))));
  }
  uint64_t calls = disk_.Calls();
  gate.count_down();
  first.get();
  for (auto& answer : rest) {
    EXPECT_EQ(answer.get().error, nullptr);
  }
  EXPECT_EQ(recorder.groups.size(), 2u);
  EXPECT_EQ(recorder.groups[1].size(), 50u);
  EXPECT_EQ(disk_.Calls() - calls, 2u) << "one write and one sync for all of them";
}

TEST_F(LogTest, ABarrierCompletesAfterEverythingQueuedBeforeIt) {
  std::latch gate{1};
  Recorder recorder;
  recorder.gate = &gate;
  auto log = Open();
  log->AddListener(recorder);
  auto first = StartAppend(*log, Unit(MakeRecord("first", 4)));
  recorder.entered.wait();
  auto second = StartAppend(*log, Unit(MakeRecord("second", 5)));
  auto barrier = StartAppend(*log, {});
  gate.count_down();
  EXPECT_EQ(barrier.get().last, Offset{9});
  EXPECT_EQ(second.wait_for(std::chrono::seconds(0)), std::future_status::ready);
}

TEST_F(LogTest, TooMuchWaitingIsRefusedAndNothingElse) {
  options_.queue_bytes_max = 10'000;
  std::latch gate{1};
  Recorder recorder;
  recorder.gate = &gate;
  auto log = Open();
  log->AddListener(recorder);
  auto first = StartAppend(*log, Unit(MakeRecord("first")));
  recorder.entered.wait();
  auto large = StartAppend(*log, Unit(MakeRecord(std::string(50'000, 'x'))));
  try {
    StartAppend(*log, Unit(MakeRecord("one too many")));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kTooManyRequests);
  }
  gate.count_down();
  EXPECT_EQ(large.get().error, nullptr) << "an empty queue takes one of any size";
  EXPECT_EQ(AppendAndWait(*log, "again").last, Offset{3});
}

TEST_F(LogTest, AppendTimesNeverGoBackNotEvenOverARestart) {
  Micros before;
  {
    auto log = Open();
    before = AppendAndWait(*log, "a").append_time;
    EXPECT_EQ(before, clock_.Now());
    clock_.Set(before - 3'600'000'000);
    EXPECT_EQ(AppendAndWait(*log, "b").append_time, before);
  }
  auto log = Open();
  EXPECT_EQ(AppendAndWait(*log, "c").append_time, before);
}

TEST_F(LogTest, AfterCloseAppendsAreRefusedAndWhatWaitedIsDurable) {
  auto log = Open();
  std::vector<std::future<AppendResult>> answers;
  for (int i = 0; i < 20; i++) {
    answers.push_back(StartAppend(*log, Unit(MakeRecord("x"))));
  }
  log->Close();
  log->Close();
  for (auto& answer : answers) {
    EXPECT_EQ(answer.get().error, nullptr);
  }
  EXPECT_THROW(AppendAndWait(*log, "late"), Error);
  EXPECT_EQ(Payloads(*log).size(), 20u);
}

TEST_F(LogTest, ALogOfManySegmentsReadsAsOneAndFindsItsPlace) {
  std::vector<std::string> written;
  for (int restart = 0; restart < 3; restart++) {
    auto log = Open();
    for (int i = 0; i < 40; i++) {
      written.push_back(std::to_string(written.size() + 1) + std::string(3000, '.'));
      AppendAndWait(*log, written.back());
    }
  }
  auto log = Open();
  EXPECT_GT(log->Recovery().segments, 5u);
  EXPECT_EQ(log->Recovery().records, 120u);
  EXPECT_EQ(Payloads(*log), written);
  for (uint64_t after = 0; after <= 120; after++) {
    auto record = log->Read(Offset{after})->Next();
    ASSERT_EQ(record ? record->first.value : 121, after + 1);
  }
}

TEST_F(LogTest, AReaderBeginsNearItsPlaceInALargeSegment) {
  options_.segment_bytes = 64 << 20;
  std::vector<std::string> written;
  auto check = [&](Log& log) {
    EXPECT_EQ(Payloads(log), written);
    for (uint64_t after = 0; after < 60; after++) {
      uint64_t before = disk_.Looks();
      ASSERT_EQ(log.Read(Offset{after})->Next()->record.payload, written[after]);
      ASSERT_LE(disk_.Looks() - before, 20u) << "at most the records of a MiB are passed over";
    }
  };
  {
    auto log = Open();
    for (int i = 1; i <= 60; i++) {
      written.push_back(std::to_string(i) + std::string(100'000, '.'));
      AppendAndWait(*log, written.back());
    }
    check(*log);
  }
  check(*Open());
}

TEST_F(LogTest, ARecordLargerThanASegmentGetsOneOfItsOwn) {
  std::vector<std::string> written = {"small", std::string(300'000, 'L'), "small again"};
  {
    auto log = Open();
    for (const std::string& payload : written) {
      AppendAndWait(*log, payload);
    }
  }
  auto log = Open();
  EXPECT_EQ(Payloads(*log), written);
}

TEST_F(LogTest, TrimForgetsWholeSegmentsButNoneThatIsPinnedOrHoldsMore) {
  auto log = Open();
  for (int i = 0; i < 100; i++) {
    AppendAndWait(*log, std::string(3000, '.'));
  }
  size_t all = log->Segments(Offset{0}, log->End()).segments.size();
  ASSERT_GT(all, 4u);
  auto pinned = log->Segments(Offset{0}, Offset{50});
  log->Trim(Offset{60});
  EXPECT_EQ(log->Begin(), Offset{1}) << "pinned";
  auto reader = log->Read(Offset{0});
  pinned = {};
  log->Trim(Offset{60});
  EXPECT_EQ(log->Begin(), Offset{1}) << "a reader pins, too";
  EXPECT_EQ(Payloads(*reader).size(), 100u);
  reader.reset();
  log->Trim(Offset{60});
  EXPECT_GT(log->Begin(), Offset{30});
  EXPECT_LE(log->Begin(), Offset{61});
  Offset begin = log->Begin();
  log.reset();

  log = Open();
  EXPECT_EQ(log->Begin(), begin);
  EXPECT_EQ(log->End(), Offset{100});
  EXPECT_EQ(Payloads(*log).size(), 101 - begin.value);
  log->Trim(Offset{1000});
  EXPECT_EQ(AppendAndWait(*log, "goes on").last, Offset{101});
}

TEST_F(LogTest, UnitsOfManyProducersStayTogetherAndInTheirOrder) {
  constexpr int kProducers = 8, kUnits = 100;
  auto log = Open();
  std::vector<std::thread> producers;
  for (int p = 0; p < kProducers; p++) {
    producers.emplace_back([&, p] {
      for (int u = 0; u < kUnits; u++) {
        std::vector<LogRecord> unit;
        for (int r = 0; r < 3; r++) {
          unit.push_back(MakeRecord(std::to_string(u * 3 + r), 2, "", p));
        }
        AppendAndWait(*log, std::move(unit));
      }
    });
  }
  for (std::thread& producer : producers) {
    producer.join();
  }
  auto reader = log->Read(Offset{0});
  std::vector<int> next(kProducers);
  uint64_t offset = 1;
  while (auto record = reader->Next()) {
    uint32_t p = record->record.stream.value;
    for (int r = 0; r < 3; r++) {
      ASSERT_EQ(record->record.stream.value, p);
      ASSERT_EQ(record->record.payload, std::to_string(next[p]++));
      ASSERT_EQ(record->first.value, offset);
      offset += 2;
      record = r < 2 ? reader->Next() : record;
    }
  }
  EXPECT_EQ(next, std::vector<int>(kProducers, kUnits * 3));
}

TEST_F(LogTest, AReaderBesideTheWriterSeesOnlyWholeCommittedRecords) {
  auto log = Open();
  std::atomic<bool> stop = false;
  std::thread trimmer([&] {
    while (!stop) {
      uint64_t end = log->End().value;
      log->Trim(Offset{end > 200 ? end - 200 : 0});
    }
  });
  std::thread reader([&] {
    Offset after{0};
    while (!stop) {
      Offset end = log->End();
      auto records = log->Read(after);
      uint64_t expected = 0;
      while (auto record = records->Next()) {
        EXPECT_TRUE(expected == 0 || record->first.value == expected);
        EXPECT_EQ(record->record.payload, std::to_string(record->first.value));
        expected = record->first.value + 1;
        after = record->last();
      }
      EXPECT_GE(after, end);
    }
  });
  for (int i = 1; i <= 2000; i++) {
    AppendAndWait(*log, std::to_string(i));
  }
  stop = true;
  reader.join();
  trimmer.join();
}

TEST_F(LogTest, AnIdleLogLeavesTheDiskAlone) {
  options_.mark_after = 1000;
  auto log = Open();
  AppendAndWait(*log, "x");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  uint64_t calls = disk_.Calls();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(disk_.Calls(), calls);
}

TEST_F(LogTest, NotesAreTheRecordsWithoutTheirPayloads) {
  auto log = Open();
  AppendAndWait(*log, Unit(MakeRecord(std::string(300'000, 'p'), 3, "first")));
  AppendAndWait(*log, Unit(MakeRecord("", 0, "second", 7)));
  AppendAndWait(*log, Unit(MakeRecord("rows", 2)));
  auto notes = log->ReadNotes(Offset{0});
  std::vector<std::string> found;
  while (auto record = notes->Next()) {
    EXPECT_EQ(record->record.payload, "");
    found.push_back(std::to_string(record->first.value) + "+" +
                    std::to_string(record->record.count) + " of " +
                    std::to_string(record->record.stream.value) + " " + record->record.meta);
  }
  EXPECT_EQ(found, (std::vector<std::string>{"1+3 of 1 first", "4+0 of 7 second", "4+2 of 1 "}));
}

TEST_F(LogTest, AListenerThatWasRemovedIsCalledNoMore) {
  struct Counter : CommitListener {
    void OnCommit(const CommittedRecords&) override { calls++; }
    std::atomic<int> calls{0};
  } kept, removed;
  auto log = Open();
  log->AddListener(kept);
  log->AddListener(removed);
  AppendAndWait(*log, "one");
  log->RemoveListener(removed);
  AppendAndWait(*log, "two");
  EXPECT_EQ(kept.calls, 2);
  EXPECT_EQ(removed.calls, 1);
}

TEST_F(LogTest, HasOneIdentityForLifeThatNoOtherLogHas) {
  auto log = Open();
  uint64_t identity = log->Identity();
  EXPECT_NE(identity, 0u);
  log.reset();
  EXPECT_EQ(Open()->Identity(), identity);
  LogOptions other;
  other.directory = "other";
  EXPECT_NE(Log::Open(disk_, clock_, other)->Identity(), identity);
}

TEST_F(LogTest, AFolderThatMustHoldALogIsNotMadeANewOne) {
  LogOptions options;
  options.directory = "lost";
  options.must_exist = true;
  try {
    Log::Open(disk_, clock_, options);
    FAIL() << "a new log in place of a lost one";
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kCorruption);
    EXPECT_NE(error.message.find("\"lost\""), std::string::npos) << error.message;
  }
  EXPECT_EQ(disk_.List("lost"), std::vector<std::string>());
}

}  // namespace
}  // namespace weir
