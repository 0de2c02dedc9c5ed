// A pump's rows reach the log once each, whatever an append throws, and however it ends.
#include "views/outbox.h"

#include <gtest/gtest.h>

#include <new>

#include "formats/block.h"
#include "io/manual_clock.h"

namespace weir {
namespace {

constexpr Micros kRetried = 1'000'000;  // later than an append that failed is tried again

// Keeps what it is given, or throws; appends end when the test says so.
class FailingLog : public Log {
 public:
  void AddListener(CommitListener&) override {}
  void Append(std::vector<LogRecord> records, AppendDone done) override {
    calls++;
    if (fails) fails();
    under_way.push_back({std::move(records), std::move(done)});
  }
  bool Failed() const override { return false; }
  Offset Begin() const override { return {1}; }
  Offset End() const override { return {}; }
  Micros LastTime() const override { return 0; }
  const RecoveryReport& Recovery() const override { return report_; }
  std::unique_ptr<LogReader> Read(Offset, std::optional<Offset>, std::optional<StreamId>) override {
    return nullptr;
  }
  PinnedSegments Segments(Offset, Offset) override { return {}; }
  void Trim(Offset) override {}
  void Close() override {}

  // The oldest append becomes durable, or ends with that.
  void EndOne(std::exception_ptr error = nullptr) {
    auto [records, done] = std::move(under_way.front());
    under_way.pop_front();
    if (!error) {
      for (auto& record : records) durable.push_back(std::move(record));
    }
    AppendResult result;
    result.error = std::move(error);
    done(result);
  }

  std::function<void()> fails;  // called by each append
  int calls = 0;
  std::deque<std::pair<std::vector<LogRecord>, AppendDone>> under_way;
  std::vector<LogRecord> durable;

 private:
  RecoveryReport report_;
};

class OutboxTest : public testing::Test {
 protected:
  void Add(int64_t value) {
    Columns rows;
    auto chunk = std::make_unique<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), {duckdb::LogicalType::BIGINT});
    chunk->SetValue(0, 0, duckdb::Value::BIGINT(value));
    chunk->SetCardinality(1);
    rows.rows = 1;
    rows.chunks.push_back(std::move(chunk));
    outbox->Add(std::move(rows), {{static_cast<uint64_t>(value)}, 0, 0});
  }
  void Send() { outbox->Send(clock.Monotonic()); }
  // The rows that are durable, in the log's order.
  std::vector<int64_t> Durable() {
    std::vector<int64_t> values;
    for (auto& record : log.durable) {
      Columns rows = DecodeBlock(record.payload, {duckdb::LogicalType::BIGINT}, {0});
      values.push_back(rows.chunks.at(0)->GetValue(0, 0).GetValue<int64_t>());
      EXPECT_EQ(DecodePumpMark(record.meta)->input.offset.value, values.back());
    }
    return values;
  }

  ManualClock clock;
  FailingLog log;
  int ended = 0;
  std::shared_ptr<Outbox> outbox = std::make_shared<Outbox>(
      log, clock, 7, StreamId{3}, RowTypes{duckdb::LogicalType::BIGINT}, [this] { ended++; });
};

struct NoException {};

TEST_F(OutboxTest, WhateverAnAppendThrowsIsNotedAndTriedAgain) {
  std::vector<std::pair<std::function<void()>, std::string>> all = {
      {[] { throw std::bad_alloc(); }, "memory"},
      {[] { throw std::runtime_error("what it was"); }, "what it was"},
      {[] { throw Error(ErrorCode::kTooManyRequests, "too much waits"); }, "too much waits"},
      {[] { throw NoException(); }, ""}};
  std::vector<int64_t> sent;
  int64_t next = 1;
  for (auto& [fails, why] : all) {
    log.fails = fails;
    int calls = log.calls;
    Add(next);
    sent.push_back(next++);
    Send();
    ASSERT_EQ(log.calls, calls + 1);
    ASSERT_TRUE(outbox->Trouble());
    EXPECT_NE(outbox->Trouble()->message.find(why), std::string::npos)
        << outbox->Trouble()->message;
    EXPECT_GT(outbox->Bytes(), 0u);
    EXPECT_LT(outbox->Done(), outbox->Added());
    // Not at once; what comes meanwhile waits behind it.
    Add(next);
    sent.push_back(next++);
    Send();
    EXPECT_EQ(log.calls, calls + 1);
    clock.Advance(kRetried);
    Send();
    EXPECT_EQ(log.calls, calls + 2);

    log.fails = nullptr;
    clock.Advance(kRetried);
    Send();
    EXPECT_EQ(log.under_way.size(), 1u);
    Send();  // one at a time
    ASSERT_EQ(log.under_way.size(), 1u);
    log.EndOne();
    EXPECT_FALSE(outbox->Trouble());
    EXPECT_EQ(Durable(), sent);
    EXPECT_EQ(outbox->Rows(), sent.size());
    EXPECT_EQ(outbox->Bytes(), 0u);
    EXPECT_EQ(outbox->Done(), outbox->Added());
  }
  EXPECT_EQ(ended, static_cast<int>(all.size()));
}

TEST_F(OutboxTest, AnAppendThatEndsWithWhateverItWasIsTriedAgain) {
  Add(1);
  Add(2);
  Send();
  Add(3);
  log.EndOne(std::make_exception_ptr(std::bad_alloc()));
  ASSERT_TRUE(outbox->Trouble());
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(Durable(), std::vector<int64_t>());
  clock.Advance(kRetried);
  Send();
  log.EndOne();
  EXPECT_EQ(Durable(), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_FALSE(outbox->Trouble());
  EXPECT_EQ(outbox->Done(), outbox->Added());
}

// What will not become better is the caller's to know.
TEST_F(OutboxTest, ARecordThatIsTooLargeIsThrown) {
  log.fails = [] { throw Error(ErrorCode::kTooLarge, "a record is larger than 1 GiB"); };
  Add(1);
  EXPECT_THROW(Send(), Error);
  outbox->Close();
  EXPECT_EQ(outbox->Done(), outbox->Added());
  clock.Advance(kRetried);
  Send();
  EXPECT_EQ(log.calls, 1);
}

}  // namespace
}  // namespace weir
