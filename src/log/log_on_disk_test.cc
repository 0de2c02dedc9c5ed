// The log on the machine's own disk: what the simulated one cannot show.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "log/test_log.h"

namespace weir {
namespace {

class LogOnDisk : public testing::Test {
 protected:
  LogOnDisk() {
    std::string name = testing::TempDir() + "weir-log-XXXXXX";
    directory_ = mkdtemp(name.data());
    options_.directory = directory_ + "/log";
  }
  ~LogOnDisk() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Log> Open() { return Log::Open(*disk_, SystemClock(), options_); }

  std::string directory_;
  LogOptions options_;
  std::unique_ptr<Disk> disk_ = MakeRealDisk();
};

TEST_F(LogOnDisk, WhatWasAppendedIsThereAfterARestart) {
  std::vector<std::string> written = {"a", std::string(100, 'b'), std::string(300'000, 'c'),
                                      std::string(5'000'000, 'd'), ""};
  {
    auto log = Open();
    for (const std::string& payload : written) {
      AppendAndWait(*log, payload);
    }
    EXPECT_EQ(Payloads(*log), written);
  }
  auto log = Open();
  EXPECT_EQ(Payloads(*log), written);
  EXPECT_EQ(log->End(), Offset{5});
  EXPECT_EQ(log->Recovery().records, 5u);
  EXPECT_EQ(log->Recovery().torn_bytes, 0u);
  EXPECT_GT(log->Recovery().took, 0);
}

TEST_F(LogOnDisk, ASecondOpenIsRefusedAndNamesTheHolder) {
  auto log = Open();
  try {
    Open();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    EXPECT_NE(error.message.find(std::to_string(getpid())), std::string::npos) << error.message;
  }
}

TEST_F(LogOnDisk, AnotherProcessReadsTheSegmentFilesUpToAPosition) {
  options_.segment_bytes = 64 << 10;
  auto log = Open();
  for (int i = 1; i <= 100; i++) {
    AppendAndWait(*log, std::to_string(i) + std::string(2000, '.'));
  }
  Log::PinnedSegments pinned = log->Segments(Offset{10}, Offset{90});
  EXPECT_GT(pinned.segments.size(), 2u);
  std::vector<uint64_t> offsets;
  for (const SegmentInfo& segment : pinned.segments) {
    auto reader = ReadSegmentFile(segment, Offset{10}, Offset{90});
    while (auto record = reader->Next()) {
      EXPECT_EQ(record->record.payload.substr(0, 2), std::to_string(record->first.value));
      offsets.push_back(record->first.value);
    }
  }
  ASSERT_EQ(offsets.size(), 80u);
  EXPECT_EQ(offsets.front(), 11u);
  EXPECT_EQ(offsets.back(), 90u);
}

TEST_F(LogOnDisk, KilledAtAnyMomentItKeepsEveryAcknowledgedRecordOnce) {
  options_.segment_bytes = 256 << 10;
  uint64_t acknowledged = 0;
  for (int cycle = 0; cycle < 20; cycle++) {
    int acks[2];
    ASSERT_EQ(pipe(acks), 0);
    pid_t child = fork();
    if (child == 0) {
      auto log = Open();
      for (uint64_t i = log->End().value + 1;; i++) {
        size_t padding = i * 7919 % 10'000;
        AppendAndWait(*log, std::to_string(i) + "/" + std::string(padding, '.'));
        ssize_t written = write(acks[1], &i, sizeof i);
        (void)written;
      }
    }
    close(acks[1]);
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + cycle * 7 % 40));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    uint64_t ack;
    while (read(acks[0], &ack, sizeof ack) == sizeof ack) {
      acknowledged = ack;
    }
    close(acks[0]);

    auto log = Open();
    ASSERT_GE(log->End().value, acknowledged);
    std::vector<std::string> payloads = Payloads(*log);
    ASSERT_EQ(payloads.size(), log->End().value);
    for (size_t i = 0; i < payloads.size(); i++) {
      ASSERT_EQ(payloads[i].substr(0, payloads[i].find('/')), std::to_string(i + 1));
    }
  }
  EXPECT_GT(acknowledged, 20u);
}

}  // namespace
}  // namespace weir
