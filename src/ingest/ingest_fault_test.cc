// What can go wrong with rows on their way, at every point and for every kind of sender; afterwards
// they are sent again, and must be in the log once.
#include <atomic>
#include <set>
#include <thread>

#include "base/test_allocations.h"
#include "ingest/test_ingest.h"

namespace weir {
namespace {

class IngestFaultTest : public IngestTest {
 protected:
  enum class Sender { kBody, kBodyWithKey, kAtomicBody, kInsert, kTableBody, kTableStatement };
  static constexpr Sender kSenders[] = {Sender::kBody,       Sender::kBodyWithKey,
                                        Sender::kAtomicBody, Sender::kInsert,
                                        Sender::kTableBody,  Sender::kTableStatement};

  // Sends row number `n`; throws what is refused.
  IngestAnswer Send(Sender sender, int n) {
    std::string number = std::to_string(n);
    std::string keyed_row = "{\"id\":\"a row longer than twelve bytes " + number + "\"}";
    switch (sender) {
      case Sender::kBody: return Checked(Request("keyed", keyed_row));
      case Sender::kBodyWithKey: return Checked(Request("keyed", keyed_row, "key" + number));
      case Sender::kAtomicBody: {
        auto request = Request("keyed", keyed_row);
        request.atomic = true;
        return Checked(request);
      }
      case Sender::kInsert:
        return ingest->Append(*keyed, Texts({"a row longer than twelve bytes " + number}));
      case Sender::kTableBody:
        return Checked(Request("rows", "{\"k\":" + number + ",\"v\":\"x\"}", "key" + number));
      case Sender::kTableStatement: {
        auto hold = ingest->HoldTable(*table);
        return ingest->Append(*table, TableRow(n));
      }
    }
    return {};
  }
  IngestAnswer Checked(const IngestRequest& request) {
    auto answer = Begin(request).get();
    if (answer.error) throw *answer.error;
    return answer;
  }
  std::shared_ptr<Columns> TableRow(int n) {
    auto columns = std::make_shared<Columns>();
    auto chunk = std::make_unique<duckdb::DataChunk>();
    auto types = table->Types();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), {types.begin(), types.end()});
    chunk->SetValue(0, 0, duckdb::Value::BIGINT(n));
    chunk->SetValue(1, 0, duckdb::Value("x"));
    chunk->SetValue(2, 0, duckdb::Value(duckdb::LogicalType::BOOLEAN));
    chunk->SetCardinality(1);
    columns->rows = 1;
    columns->chunks.push_back(std::move(chunk));
    return columns;
  }
  size_t RowsInTheLog() { return InTheLog(*keyed).size() + InTheLog(*table).size(); }
  bool IsOfTable(Sender sender) {
    return sender == Sender::kTableBody || sender == Sender::kTableStatement;
  }
};

TEST_F(IngestFaultTest, RowsThatTheLogRefusesAreTakenOnceWhenTheyComeAgain) {
  auto thrown = [](ErrorCode code) {
    return [code](ObedientLog& log) {
      log.refuse = [code, &log] {
        log.refuse = nullptr;
        throw Error(code, "no");
      };
    };
  };
  std::vector<std::function<void(ObedientLog&)>> faults = {
      thrown(ErrorCode::kTooManyRequests), thrown(ErrorCode::kUnavailable),
      thrown(ErrorCode::kTooLarge),
      [](ObedientLog& log) {
        log.refuse = [&log] {
          log.refuse = nullptr;
          throw std::bad_alloc();
        };
      },
      [](ObedientLog& log) {
        log.around = [&log](const AppendDone& done, const AppendResult&) {
          log.around = nullptr;
          AppendResult failed;
          failed.error = std::make_exception_ptr(Error(ErrorCode::kUnavailable, "disk full"));
          done(failed);
        };
      }};
  int n = 0;
  for (Sender sender : kSenders) {
    for (size_t fault = 0; fault < faults.size(); fault++, n++) {
      SCOPED_TRACE(std::to_string(static_cast<int>(sender)) + ", fault " + std::to_string(fault));
      size_t before = RowsInTheLog();
      faults[fault](*log);
      EXPECT_THROW(Send(sender, n), Error);
      bool stored = fault + 1 == faults.size();  // by the log below, whose word was twisted
      size_t extra = stored ? 1 : 0;
      EXPECT_EQ(RowsInTheLog(), before + extra);
      auto answer = Send(sender, n);
      EXPECT_EQ(answer.accepted, 1u);
      EXPECT_EQ(answer.duplicates, 0u);
      EXPECT_EQ(RowsInTheLog(), before + extra + 1);
      if (IsOfTable(sender)) continue;
      EXPECT_EQ(Send(Sender::kBody, n).duplicates, 1u);
      EXPECT_EQ(Send(Sender::kInsert, n).duplicates, 1u);
      EXPECT_EQ(RowsInTheLog(), before + extra + 1);
    }
  }
}

TEST_F(IngestFaultTest, NoMemoryAtAnyPointOfASenderLosesNothingAndLeavesNothingTaken) {
  int n = 0;
  for (Sender sender : kSenders) {
    Send(sender, n++);  // what is made once is there
    int points = 0;
    for (int64_t point = 0;; point++, n++) {
      ASSERT_LT(point, 20'000);
      SCOPED_TRACE(std::to_string(static_cast<int>(sender)) + ", allocation " +
                   std::to_string(point));
      size_t before = RowsInTheLog();
      FailingAllocations::After(point);
      bool refused = false;
      try {
        Send(sender, n);
      } catch (const Error&) {
        refused = true;
      } catch (const std::bad_alloc&) {  // of the test's own
        refused = true;
      }
      FailingAllocations::Never();
      bool failed = FailingAllocations::Happened();
      size_t after = RowsInTheLog();
      ASSERT_LE(after, before + 1);
      if (!refused) {
        ASSERT_EQ(after, before + 1);
      }
      // Tables take the same row twice: what a statement writes has no key.
      if (!IsOfTable(sender)) {
        auto again = Send(sender, n);
        ASSERT_EQ(RowsInTheLog(), before + 1) << "refused " << refused;
      } else if (refused) {
        Send(sender, n);
        ASSERT_LE(RowsInTheLog(), before + 2);
      }
      if (!failed) break;
      points++;
    }
    EXPECT_GT(points, 10);
  }
}

TEST_F(IngestFaultTest, NoMemoryWhileRowsAreAnsweredLosesNothing) {
  int n = 0;
  for (Sender sender : kSenders) {
    for (int64_t point = 0; point < 40; point++, n++) {
      SCOPED_TRACE(std::to_string(static_cast<int>(sender)) + ", allocation " +
                   std::to_string(point));
      size_t before = RowsInTheLog();
      log->around = [point](const AppendDone& done, const AppendResult& result) {
        FailingAllocations::After(point);
        done(result);
        FailingAllocations::Never();
      };
      EXPECT_EQ(Send(sender, n).accepted, 1u);
      log->around = nullptr;
      EXPECT_EQ(RowsInTheLog(), before + 1);
      if (IsOfTable(sender)) continue;
      Send(sender, n);
      EXPECT_EQ(RowsInTheLog(), before + 1);
    }
  }
}

// One more body waits for the answer: it gets it, or may ask again.
TEST_F(IngestFaultTest, NoMemoryWhileAWaitingBodyIsAnsweredLosesNothing) {
  const std::string body = "{\"n\":1}\n{\"n\":\"no number, but a text of some length\"}";
  int answered = 0;
  constexpr int kPoints = 40;
  for (int64_t point = 0; point < kPoints; point++) {
    SCOPED_TRACE(point);
    std::string key = "waits" + std::to_string(point);
    log->paused = true;
    log->around = [point](const AppendDone& done, const AppendResult& result) {
      FailingAllocations::After(point);
      done(result);
      FailingAllocations::Never();
    };
    auto first = Begin(Request("events", body, key));
    auto second = Begin(Request("events", body, key));
    log->around = nullptr;
    log->Go();
    EXPECT_EQ(first.get().accepted, 1u);
    try {
      EXPECT_EQ(second.get().accepted, 1u);
      answered++;
    } catch (const std::future_error&) {  // there was no memory for its answer
    }
    log->paused = false;
    EXPECT_EQ(Post(body, key).offset, Offset{static_cast<uint64_t>(point) + 1});
  }
  EXPECT_EQ(InTheLog(*events).size(), static_cast<size_t>(kPoints));
  EXPECT_GT(answered, 0);
  EXPECT_LT(answered, kPoints);
}

// ---- two at once --------------------------------------------------------------------------------

TEST_F(IngestFaultTest, ADuplicateIsOneOnlyWhenTheFirstCopyIsDurable) {
  log->paused = true;
  auto first = Begin(Request("keyed", R"({"id":"a"})"));
  auto second = Begin(Request("keyed", R"({"id":"a"})"));
  auto insert =
      std::async(std::launch::async, [&] { return ingest->Append(*keyed, Texts({"a"})); });
  EXPECT_FALSE(IsReady(second, 20));
  EXPECT_EQ(log->Waiting(), 1u);
  log->Go();
  EXPECT_EQ(first.get().accepted, 1u);
  log->AwaitAppends(2);  // barriers: both have no rows
  log->Go();
  log->Go();
  EXPECT_EQ(second.get().duplicates, 1u);
  EXPECT_EQ(insert.get().duplicates, 1u);
  EXPECT_EQ(InTheLog(*keyed), std::vector<std::string>{"a"});
}

TEST_F(IngestFaultTest, ASecondCopyTakesThePlaceOfAFirstThatFailed) {
  log->paused = true;
  auto first = Begin(Request("keyed", R"({"id":"a"})"));
  auto second = Begin(Request("keyed", "{\"id\":\"b\"}\n{\"id\":\"a\"}\n{\"id\":\"a\"}", "key"));
  auto third = Begin(Request("keyed", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}"));
  log->Drop();
  EXPECT_TRUE(first.get().error);
  log->AwaitAppends(1);
  EXPECT_FALSE(IsReady(third, 20));
  EXPECT_EQ(log->Waiting(), 1u);  // the third waits for the second
  log->Drop();
  EXPECT_TRUE(second.get().error);
  log->AwaitAppends(1);
  log->Go();
  auto answer = third.get();
  EXPECT_EQ(answer.accepted, 3u);
  EXPECT_EQ(answer.duplicates, 0u);
  log->paused = false;
  auto retried = PostKeyed("{\"id\":\"b\"}\n{\"id\":\"a\"}\n{\"id\":\"a\"}", "key");
  EXPECT_EQ(retried.accepted, 0u);
  EXPECT_EQ(retried.duplicates, 3u);
  EXPECT_EQ(InTheLog(*keyed), (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(IngestFaultTest, TheSecondOfTwoBodiesWithOneKeyTakesThePlaceOfTheFirst) {
  log->paused = true;
  auto first = Begin(Request("events", "{\"n\":1}", "key"));
  std::future<IngestAnswer> second, third;
  {
    std::string body = "{\"n\":1}";  // gone before it is used
    second = Begin(Request("events", body, "key"));
    third = Begin(Request("events", body, "key"));
    body = "{\"x\":2}";
  }
  EXPECT_FALSE(IsReady(second, 20));
  EXPECT_EQ(log->Waiting(), 1u);
  log->Drop();
  EXPECT_TRUE(first.get().error);
  log->AwaitAppends(1);
  EXPECT_FALSE(IsReady(third, 20));
  EXPECT_EQ(log->Waiting(), 1u);
  log->Go();
  EXPECT_EQ(second.get().accepted, 1u);
  EXPECT_EQ(third.get().offset, Offset{1});
  log->paused = false;
  EXPECT_EQ(Post("{\"n\":1}", "key").offset, Offset{1});
  EXPECT_EQ(InTheLog(*events).size(), 1u);
}

// The views may have fallen behind by the time it is the second one's turn.
TEST_F(IngestFaultTest, ASecondBodyThatIsRefusedInItsTurnLeavesTheKeyFree) {
  log->paused = true;
  auto first = Begin(Request("events", "{\"n\":1}", "key"));
  auto second = Begin(Request("events", "{\"n\":1}", "key"));
  EXPECT_FALSE(IsReady(second, 20));
  backpressure.behind = true;
  log->Drop();
  EXPECT_TRUE(first.get().error);
  auto refused = second.get();
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, ErrorCode::kTooManyRequests);
  backpressure.behind = false;
  log->paused = false;
  EXPECT_EQ(Post("{\"n\":1}", "key").offset, Offset{1});
  EXPECT_EQ(InTheLog(*events).size(), 1u);
}

TEST_F(IngestFaultTest, AnAnswerThatCannotBeGivenStopsNothing) {
  std::promise<void> called;
  ingest->Post(Request("keyed", R"({"id":"a"})", "key"), [&](IngestAnswer) {
    called.set_value();
    throw std::runtime_error("gone");
  });
  called.get_future().get();
  EXPECT_EQ(PostKeyed(R"({"id":"a"})", "key").accepted, 1u) << "as it was answered before";
  EXPECT_EQ(PostKeyed(R"({"id":"a"})").duplicates, 1u);
  EXPECT_EQ(InTheLog(*keyed).size(), 1u);
}

// A first copy that fails after the window of its key is over, and a later one that was taken
// since.
TEST_F(IngestFaultTest, ACopyThatWaitedLongerThanTheWindowCountsAgain) {
  log->paused = true;
  auto first = Begin(Request("keyed", R"({"id":"a"})"));
  auto second = Begin(Request("keyed", R"({"id":"a"})"));
  EXPECT_FALSE(IsReady(second, 20));
  clock.Advance(2 * keyed->dedup_window);
  auto later = Begin(Request("keyed", R"({"id":"a"})"));
  EXPECT_EQ(log->Waiting(), 2u) << "to the later one the key is new";
  log->Drop();
  EXPECT_TRUE(first.get().error);
  log->AwaitAppends(2);
  log->Go();
  log->Go();
  EXPECT_EQ(later.get().accepted, 1u);
  EXPECT_EQ(second.get().accepted, 1u);
  EXPECT_EQ(InTheLog(*keyed).size(), 2u);
}

TEST_F(IngestFaultTest, WhatWaitsForOthersIsBounded) {
  log->paused = true;
  auto first = Begin(Request("keyed", R"({"id":"a"})"));
  std::string body = R"({"id":"a"})" + std::string(15 << 20, ' ');
  std::vector<std::future<IngestAnswer>> waiting;
  EXPECT_THROW(
      {
        for (int i = 0; i < 10; i++) waiting.push_back(Begin(Request("keyed", body)));
      },
      Error);
  EXPECT_EQ(waiting.size(), 4u);
  log->paused = false;
  log->Go();
  for (auto& answer : waiting) EXPECT_EQ(answer.get().duplicates, 1u);
  EXPECT_EQ(PostKeyed(body).duplicates, 1u);
}

// Of a body of duplicates only and one with a key, which become durable together, the first is
// answered before the key of the second is known.
TEST_F(IngestFaultTest, KeysAreSavedOnlyUpToWhatIsAnswered) {
  EXPECT_EQ(PostKeyed(R"({"id":"a"})").offset, Offset{1});
  std::promise<void> both_wait;
  auto wait = both_wait.get_future();
  int answers = 0;
  Offset saved;
  log->around = [&](const AppendDone& done, const AppendResult& result) {
    if (answers == 0) wait.wait();
    done(result);
    if (++answers == 2) saved = ingest->SaveKeys();
  };
  auto holds_the_log = Begin(Request("events", "{\"n\":1}"));
  auto duplicates = Begin(Request("keyed", R"({"id":"a"})"));
  auto with_key = Begin(Request("events", "{\"n\":2}", "key"));
  both_wait.set_value();
  EXPECT_EQ(with_key.get().offset, Offset{3});
  EXPECT_EQ(duplicates.get().offset, Offset{3}) << "of one group, or this shows nothing";
  EXPECT_EQ(saved, Offset{2});
}

TEST_F(IngestFaultTest, AnAppendThatTheLogForgetsFreesItsKeys) {
  log->paused = true;
  auto first = Begin(Request("keyed", R"({"id":"a"})", "key"));
  auto same_key = Begin(Request("keyed", R"({"id":"a"})", "key"));
  auto same_row = Begin(Request("keyed", R"({"id":"a"})"));
  log->Forget();
  EXPECT_THROW(first.get(), std::future_error);
  log->AwaitAppends(1);
  log->Go();
  log->AwaitAppends(1);
  log->Go();
  EXPECT_EQ(same_row.get().accepted + same_key.get().accepted, 1u);
  EXPECT_EQ(InTheLog(*keyed).size(), 1u);
}

TEST_F(IngestFaultTest, ManyThreadsWithTheSameRowsAndALogThatNowAndThenRefuses) {
  std::atomic<uint64_t> appends{0}, accepted{0};
  log->refuse = [&] {
    if (appends++ % 3 == 1) throw Error(ErrorCode::kTooManyRequests, "too many appends wait");
  };
  constexpr int kThreads = 6, kRows = 300;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; thread++) {
    threads.emplace_back([&, thread] {
      for (int row = 0; row < kRows; row++) {
        std::string body = "{\"id\":\"" + std::to_string(row) + "\"}\n{\"id\":\"" +
                           std::to_string((row * 7 + thread) % kRows) + "\"}";
        // Every other thread says which of its bodies is which, and two of them the same.
        std::string key = thread % 2 ? std::to_string(row) + "/" + std::to_string(thread / 4) : "";
        if (!key.empty()) body = "{\"id\":\"" + std::to_string(row) + "\"}";
        for (int tries = 0;; tries++) {
          ASSERT_LT(tries, 1000);
          try {
            auto answer = PostKeyed(body, key);
            if (answer.error) continue;
            if (key.empty()) accepted += answer.accepted;
            break;
          } catch (const Error&) {
          }
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  auto rows = InTheLog(*keyed);
  EXPECT_EQ(rows.size(), static_cast<size_t>(kRows));
  EXPECT_EQ(std::set<std::string>(rows.begin(), rows.end()).size(), static_cast<size_t>(kRows));
  EXPECT_LE(accepted, static_cast<uint64_t>(kRows));
}

}  // namespace
}  // namespace weir
