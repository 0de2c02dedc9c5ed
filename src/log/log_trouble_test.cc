// What goes wrong while the log runs, and what files say that are not as they were left: who is
// told what, and that nothing else is touched.
#include <gtest/gtest.h>

#include <cstring>
#include <latch>
#include <thread>

#include "base/crc32c.h"
#include "io/disk/simulated_disk.h"
#include "log/frame.h"
#include "log/test_log.h"

namespace weir {
namespace {

using Fault = SimulatedDisk::Fault;
using Strings = std::vector<std::string>;

const std::string kFirst = "log/segment-00000000000000000001";
const std::string kSecond = "log/segment-00000000000000000002";

class LogTrouble : public testing::Test {
 protected:
  LogTrouble() {
    options_.directory = "log";
    options_.segment_bytes = 32 << 10;
    options_.mark_after = 3'600'000'000;
    options_.on_failure = [this](const std::string& message) { told_.push_back(message); };
  }
  std::unique_ptr<Log> Open() { return Log::Open(disk_, clock_, options_); }
  std::string WhyNotOpened() {
    return MessageOf([this] { Open(); });
  }
  template <class Work>
  std::string MessageOf(const Work& work) {
    try {
      work();
      return "";
    } catch (const Error& error) {
      code_ = error.code;
      return error.message;
    }
  }

  SimulatedDisk disk_;
  ManualClock clock_;
  LogOptions options_;
  Strings told_;
  ErrorCode code_ = ErrorCode::kInternal;
};

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// ---- listeners and answers ----------------------------------------------------------------------

TEST_F(LogTrouble, AListenerThatFailsEndsTheLogAndWhatItMissedIsDurable) {
  struct Failing : CommitListener {
    void OnCommit(const CommittedRecords&) override { throw std::runtime_error("out of luck"); }
  } failing;
  {
    auto log = Open();
    log->AddListener(failing);
    std::string message = MessageOf([&] { AppendAndWait(*log, "x"); });
    EXPECT_EQ(message, "a listener of the log failed: out of luck");
    EXPECT_TRUE(log->Failed());
    EXPECT_EQ(told_, Strings{message});
    EXPECT_EQ(MessageOf([&] { AppendAndWait(*log, "y"); }), "the log has failed: " + message);
    EXPECT_EQ(code_, ErrorCode::kUnavailable);
  }
  EXPECT_EQ(Payloads(*Open()), Strings{"x"});
}

TEST_F(LogTrouble, AnAnswerThatCannotBeGivenIsNothingToTheOthers) {
  auto log = Open();
  log->Append(Unit(MakeRecord("x")), [](const AppendResult&) { throw std::runtime_error("gone"); });
  EXPECT_EQ(AppendAndWait(*log, "y").last, Offset{2});
  EXPECT_FALSE(log->Failed());
}

// What waited behind a group that failed never reaches the disk.
TEST_F(LogTrouble, WhatIsQueuedWhenTheLogFailsIsRefusedUnwritten) {
  struct Gate : CommitListener {
    void OnCommit(const CommittedRecords&) override {
      entered.count_down();
      open.wait();
    }
    std::latch entered{1}, open{1};
  } gate;
  options_.group_bytes_max = 1;  // each unit is a group
  auto log = Open();
  log->AddListener(gate);
  auto first = StartAppend(*log, Unit(MakeRecord("first")));
  gate.entered.wait();
  auto second = StartAppend(*log, Unit(MakeRecord("second")));
  auto third = StartAppend(*log, Unit(MakeRecord("third")));
  disk_.FailCall(1, Fault::kIoError);
  uint64_t calls = disk_.Calls();
  gate.open.count_down();
  EXPECT_EQ(first.get().error, nullptr);
  auto message = [&](std::future<AppendResult>& answer) {
    return MessageOf([&] {
      if (auto error = answer.get().error) std::rethrow_exception(error);
    });
  };
  EXPECT_TRUE(Contains(message(second), "input/output error"));
  EXPECT_EQ(message(third), "the log has failed");
  EXPECT_EQ(code_, ErrorCode::kUnavailable);
  EXPECT_EQ(disk_.Calls(), calls + 1);
  EXPECT_EQ(log->End(), Offset{1});
}

TEST_F(LogTrouble, AMarkThatFailsEndsTheLogAndOneWithoutSpaceDoesNot) {
  for (Fault fault : {Fault::kNoSpace, Fault::kIoError}) {
    options_.directory = fault == Fault::kNoSpace ? "full" : "broken";
    auto log = Open();
    AppendAndWait(*log, "x");
    disk_.FailCall(1, fault);
    log->Close();  // marks that all is durable
    EXPECT_EQ(log->Failed(), fault == Fault::kIoError);
    EXPECT_EQ(told_.size(), fault == Fault::kIoError ? 1u : 0u);
    log.reset();
    EXPECT_EQ(Payloads(*Open()), Strings{"x"});
  }
}

// Whether the last group was promised to somebody is known as soon as the log has nothing to do.
TEST_F(LogTrouble, AnIdleLogNotesThatAllIsDurable) {
  options_.mark_after = 1000;
  auto log = Open();
  AppendAndWait(*log, "x");
  std::string said;
  for (int i = 0; i < 1000 && said.empty(); i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    auto killed = disk_.KillState();
    killed->FlipByte(kFirst, kSegmentHeaderBytes + kFrameHeaderBytes, 1);
    said = MessageOf([&] { Log::Open(*killed, clock_, options_); });
  }
  EXPECT_TRUE(Contains(said, "rows 1 to 1 were durable and cannot be read")) << said;
}

// A part of a group stands on a full disk and cannot be taken back: what is there is not known.
TEST_F(LogTrouble, AFullDiskThatCannotBeTidiedEndsTheLog) {
  auto log = Open();
  AppendAndWait(*log, "x");
  disk_.FailCall(1, Fault::kNoSpace, 2);  // the write, then the truncation
  EXPECT_NE(MessageOf([&] { AppendAndWait(*log, "y"); }), "");
  EXPECT_TRUE(log->Failed());
  EXPECT_EQ(told_.size(), 1u);
  EXPECT_EQ(log->End(), Offset{1});
  EXPECT_EQ(Payloads(*log), Strings{"x"});
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(LogTrouble, ARecordOfAGibibyteIsRefused) {
  auto log = Open();
  for (bool in_meta : {false, true}) {
    std::string bytes(size_t{1} << 30, '\0');
    LogRecord record = in_meta ? MakeRecord("", 1, std::move(bytes)) : MakeRecord(std::move(bytes));
    EXPECT_EQ(MessageOf([&] { AppendAndWait(*log, Unit(std::move(record))); }),
              "a record is larger than 1 GiB");
    EXPECT_EQ(code_, ErrorCode::kTooLarge);
  }
  EXPECT_EQ(AppendAndWait(*log, "x").last, Offset{1});
}
#endif

// ---- bytes that go bad while the log is open ----------------------------------------------------

TEST_F(LogTrouble, ARecordThatGoesBadIsNamedByWhoReadsItAndNotPassedOver) {
  auto log = Open();
  AppendAndWait(*log, Unit(MakeRecord("payload one", 1, "meta")));
  AppendAndWait(*log, Unit(MakeRecord("payload two", 1, "meta", 2)));
  uint64_t first = kSegmentHeaderBytes;
  struct Case {
    uint64_t at;
    const char* says;
    bool notes_too;
  };
  for (auto [at, says, notes_too] : {Case{0, "no valid record begins there", true},
                                     Case{79, "no valid record begins there", true},
                                     Case{80, "do not match their checksum", true},
                                     Case{84, "do not match their checksum", false}}) {
    SCOPED_TRACE(at);
    disk_.FlipByte(kFirst, first + at, 1);
    std::string message = MessageOf([&] { Payloads(*log); });
    EXPECT_EQ(code_, ErrorCode::kCorruption);
    EXPECT_TRUE(Contains(message, "\"" + kFirst + "\" is damaged at byte 8192")) << message;
    EXPECT_TRUE(Contains(message, says)) << message;
    auto notes = log->ReadNotes(Offset{0});
    EXPECT_EQ(MessageOf([&] { notes->Next(); }).empty(), !notes_too);
    disk_.FlipByte(kFirst, first + at, 1);
  }
  // The chain: a whole frame, but not the one that was written there.
  std::string text = ReadWholeFile(disk_, kFirst);
  disk_.Open(kFirst, OpenMode::kReadWrite)->Write(first, text.substr(first + kPageBytes, 200));
  EXPECT_TRUE(Contains(MessageOf([&] { Payloads(*log); }),
                       "is damaged at byte 8192: no valid record begins there"));
  disk_.Open(kFirst, OpenMode::kReadWrite)->Write(first, text.substr(first, 200));
  // The file is shorter than what was durable.
  disk_.CutFile(kFirst, first + kPageBytes + 90);
  auto reader = log->Read(Offset{0});
  EXPECT_EQ(reader->Next()->record.payload, "payload one");
  EXPECT_TRUE(Contains(MessageOf([&] { reader->Next(); }), "do not match their checksum"));
}

TEST_F(LogTrouble, OneCopyOfASegmentsHeaderIsEnough) {
  auto log = Open();
  AppendAndWait(*log, "x");
  log.reset();
  for (uint64_t copy = 0; copy < 2; copy++) {
    disk_.FlipByte(kFirst, copy * kPageBytes + 20, 1);
    EXPECT_EQ(Payloads(*Open()), Strings{"x"}) << copy;
    disk_.FlipByte(kFirst, copy * kPageBytes + 20, 1);
  }
  disk_.FlipByte(kFirst, 20, 1);
  disk_.FlipByte(kFirst, kPageBytes + 20, 1);
  EXPECT_EQ(WhyNotOpened(),
            "log segment \"" + kFirst + "\" is damaged at byte 0: its header cannot be read");
  EXPECT_EQ(code_, ErrorCode::kCorruption);
}

// ---- files that are not as they were left -------------------------------------------------------

TEST_F(LogTrouble, ALogOfALaterVersionIsNotRead) {
  Open();
  std::string page = ReadWholeFile(disk_, kFirst).substr(0, kPageBytes);
  page[12]++;  // the version follows magic and checksum
  uint32_t sum = Crc32c(std::string_view(page).substr(12));
  std::memcpy(page.data() + 8, &sum, sizeof sum);
  disk_.Open(kFirst, OpenMode::kReadWrite)->Write(0, page + page);
  EXPECT_EQ(WhyNotOpened(), "the log has a format this version does not know");
}

TEST_F(LogTrouble, SegmentsThatAreNotWhatTheirNamesSayAreRefused) {
  {
    auto log = Open();
    while (!disk_.Exists(kSecond)) AppendAndWait(*log, std::string(4000, '.'));
  }
  std::string first = ReadWholeFile(disk_, kFirst), second = ReadWholeFile(disk_, kSecond);
  // Named as another.
  std::string third = "log/segment-00000000000000000003";
  disk_.Open(third, OpenMode::kCreate)->Write(0, second);
  EXPECT_EQ(WhyNotOpened(), "log segment \"" + third + "\" is damaged at byte 0: it is segment 2");
  disk_.LoseFile(third);
  // What only looks like a segment is left alone; so is what a crash left half-made, but it goes.
  for (std::string name : {"segment-2", "segment-0000000000000000000x", "other"}) {
    disk_.Open("log/" + name, OpenMode::kCreate);
  }
  disk_.Open(third + ".tmp", OpenMode::kCreate);
  EXPECT_EQ(Open()->Recovery().segments, 2u);
  EXPECT_TRUE(disk_.Exists("log/segment-2") && disk_.Exists("log/other"));
  EXPECT_FALSE(disk_.Exists(third + ".tmp"));
}

// A producer may send what looks like a frame.  What follows a torn write is only asked whether it
// is a frame of this log, whose id nobody is told.
TEST_F(LogTrouble, BytesOfAProducerAreNotTakenForAFrame) {
  for (bool of_this_log : {false, true}) {
    options_.directory = of_this_log ? "this" : "other";
    std::string path = options_.directory + kFirst.substr(3);
    auto log = Open();
    AppendAndWait(*log, "one");
    LogId id = DecodeSegmentHeader(ReadWholeFile(disk_, path)).value().log_id;
    FrameHeader frame;
    frame.first = {3};
    frame.sequence = 3;
    frame.durable_sequence = 2;
    FrameHeaderBytes bytes = Encode(frame, id.low + (of_this_log ? 0 : 1));
    std::string payload(kPageBytes - kFrameHeaderBytes, '.');  // so that a page begins with it
    payload.append(bytes.data(), bytes.size());
    AppendAndWait(*log, payload);
    auto torn = disk_.KillState();
    torn->FlipByte(path, kSegmentHeaderBytes + kPageBytes, 1);
    std::string message = MessageOf([&] {
      auto recovered = Log::Open(*torn, clock_, options_);
      EXPECT_EQ(Payloads(*recovered), Strings{"one"});
      EXPECT_EQ(recovered->Recovery().torn_bytes, 2 * kPageBytes);
    });
    EXPECT_EQ(Contains(message, "rows 2 to 2 were durable"), of_this_log) << message;
  }
}

// The seal of a segment is the promise that all of it was written.
TEST_F(LogTrouble, ASealThatIsGoneCountsOnlyWhileNothingFollowsIt) {
  auto log = Open();
  while (!disk_.Exists(kSecond)) AppendAndWait(*log, std::string(4000, '.'));
  uint64_t end = log->Segments(Offset{0}, Offset{1}).segments.at(0).bytes;
  Offset last = log->End();
  log.reset();
  auto whole = disk_.KillState();
  auto recovers = [&](SimulatedDisk& disk) {
    return MessageOf([&] { EXPECT_GE(Log::Open(disk, clock_, options_)->End(), Offset{1}); });
  };
  // Rows follow it: they were written once it was durable.
  whole->FlipByte(kFirst, end, 1);
  EXPECT_TRUE(Contains(recovers(*whole), "the seal of the segment cannot be read"));
  // Nothing follows it, as after a crash: it is written again.
  whole->CutFile(kSecond, kSegmentHeaderBytes);
  auto damaged = whole->KillState();
  EXPECT_EQ(recovers(*whole), "");
  EXPECT_EQ(recovers(*whole), "") << "the seal stands again";
  EXPECT_EQ(Payloads(*Log::Open(*whole, clock_, options_)).size(), last.value - 1);
  // The file ends where the seal should be: so may it be found after a crash.
  for (uint64_t kept : {uint64_t{0}, uint64_t{79}}) {
    auto cut = whole->KillState();
    cut->CutFile(kFirst, end + kept);
    EXPECT_EQ(recovers(*cut), "");
    EXPECT_EQ(cut->FileSize(kFirst), end + kPageBytes);
    EXPECT_EQ(Payloads(*Log::Open(*cut, clock_, options_)).size(), last.value - 1);
  }
  // Nothing follows it, but what it would seal is not all there.
  damaged->FlipByte(kFirst, end - 10, 1);
  damaged->FlipByte(kFirst, end - kPageBytes + 1, 1);
  EXPECT_TRUE(Contains(recovers(*damaged), "were durable and cannot be read"));
}

}  // namespace
}  // namespace weir
