#include "ingest/idempotency.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

namespace weir {
namespace {

IngestAnswer Accepted(uint64_t rows, uint64_t offset) {
  IngestAnswer answer;
  answer.accepted = rows;
  answer.offset = Offset{offset};
  return answer;
}

class IdempotencyWindowTest : public testing::Test {
 protected:
  using Begun = IdempotencyWindow::Begun;
  using Ticket = IdempotencyWindow::Ticket;

  Ticket Begin(const std::string& key, uint64_t use) {
    Ticket ticket;
    EXPECT_EQ(window.Begin(key, use, ticket, got), Begun::kMine);
    return ticket;
  }
  void Finish(const std::string& key, uint64_t use, const IngestAnswer& answer, Micros time) {
    auto ticket = Begin(key, use);
    ticket.Prepare(answer);
    ticket.Finish(answer.offset, time);
  }
  Begun Again(const std::string& key, uint64_t use) {
    Ticket ticket;
    return window.Begin(key, use, ticket, got);
  }

  TaskThread resumed;
  IdempotencyWindow window{resumed};
  IngestAnswer got;
};

TEST_F(IdempotencyWindowTest, TheSameKeyAgainGetsTheFirstAnswer) {
  auto first = Begin("a", 1);
  EXPECT_EQ(Again("a", 1), Begun::kOnItsWay);
  first.Prepare(Accepted(3, 0));
  first.Finish(Offset{9}, 100);
  EXPECT_EQ(Again("a", 1), Begun::kAnswered);
  EXPECT_EQ(got.accepted, 3u);
  EXPECT_EQ(got.offset, Offset{9});
}

TEST_F(IdempotencyWindowTest, WhoWaitsGetsTheFirstAnswer) {
  auto first = Begin("a", 1);
  std::list<IdempotencyWindow::Waiting> waiting(1);
  IngestAnswer told;
  waiting.front().answered = [&](IngestAnswer answer) { told = std::move(answer); };
  waiting.front().place = std::make_shared<Ticket>();
  waiting.front().take_over = TaskThread::Make([] { FAIL() << "there was nothing to take over"; });
  Ticket none;
  EXPECT_EQ(window.Begin("a", 1, none, got, &waiting), Begun::kOnItsWay);
  first.Prepare(Accepted(3, 0));
  first.Finish(Offset{9}, 100);
  EXPECT_EQ(told.accepted, 3u);
  EXPECT_EQ(told.offset, Offset{9});
}

TEST_F(IdempotencyWindowTest, AWaitingOneThatCannotBeToldIsNothingToTheNext) {
  auto first = Begin("a", 1);
  int told = 0;
  for (bool fails : {true, false}) {
    std::list<IdempotencyWindow::Waiting> waiting(1);
    waiting.front().answered = [&told, fails](IngestAnswer) {
      if (fails) throw std::runtime_error("gone");
      told++;
    };
    waiting.front().place = std::make_shared<Ticket>();
    waiting.front().take_over = TaskThread::Make([] {});
    Ticket none;
    EXPECT_EQ(window.Begin("a", 1, none, got, &waiting), Begun::kOnItsWay);
  }
  first.Prepare(Accepted(3, 0));
  first.Finish(Offset{9}, 100);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(Again("a", 1), Begun::kAnswered);
}

TEST_F(IdempotencyWindowTest, WhoWaitsTakesThePlaceOfAFirstThatCameToNothing) {
  auto first = Begin("a", 1);
  std::promise<void> taken;
  std::list<IdempotencyWindow::Waiting> waiting(1);
  auto place = std::make_shared<Ticket>();
  waiting.front().answered = [](IngestAnswer) { FAIL() << "there was no answer"; };
  waiting.front().place = place;
  waiting.front().take_over = TaskThread::Make([&] { taken.set_value(); });
  Ticket none;
  EXPECT_EQ(window.Begin("a", 1, none, got, &waiting), Begun::kOnItsWay);
  first.Abandon();
  taken.get_future().get();
  EXPECT_EQ(Again("a", 1), Begun::kOnItsWay);  // the key has not been free in between
  place->Prepare(Accepted(2, 0));
  place->Finish(Offset{4}, 100);
  EXPECT_EQ(Again("a", 1), Begun::kAnswered);
  EXPECT_EQ(got.offset, Offset{4});
}

TEST_F(IdempotencyWindowTest, TheSameKeyForSomethingElseIsAConflict) {
  auto first = Begin("a", 1);
  EXPECT_EQ(Again("a", 2), Begun::kConflict);
  first.Prepare(Accepted(1, 0));
  first.Finish(Offset{1}, 100);
  EXPECT_EQ(Again("a", 2), Begun::kConflict);
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, ErrorCode::kConflict);
}

TEST_F(IdempotencyWindowTest, AKeyWhoseBodyCameToNothingIsFreeAgain) {
  { auto first = Begin("a", 1); }
  EXPECT_EQ(Again("a", 2), Begun::kMine);
}

TEST_F(IdempotencyWindowTest, SavedKeysComeBackWithTheirAnswers) {
  auto answer = Accepted(2, 7);
  answer.rejected.push_back({4, "column", "value", "reason"});
  answer.rejected_total = 1;
  Finish("a", 1, answer, 100);
  auto in_flight = Begin("in flight", 5);
  IdempotencyWindow other(resumed);
  other.Load(window.Save());
  other.Load(window.Save());  // what the log has, too, is there once
  EXPECT_EQ(other.Save(), window.Save());
  Ticket ticket;
  EXPECT_EQ(other.Begin("a", 1, ticket, got), Begun::kAnswered);
  EXPECT_EQ(got.accepted, 2u);
  EXPECT_EQ(got.offset, Offset{7});
  EXPECT_EQ(got.rejected.at(0).line, 4u);
  EXPECT_EQ(other.Begin("in flight", 5, ticket, got), Begun::kMine);
}

// While keys are saved others come, and push out the oldest.
TEST_F(IdempotencyWindowTest, KeysAreSavedBesideThoseThatComeAndGo) {
  constexpr size_t kBytesMax = 1 << 20;
  constexpr uint64_t kKeys = 60'000;
  IdempotencyWindow small(resumed, kBytesMax);
  std::atomic<uint64_t> finished{0};
  std::thread producer([&] {
    for (uint64_t n = 1; n <= kKeys; n++) {
      Ticket ticket;
      IngestAnswer none;
      small.Begin("key " + std::to_string(n), n, ticket, none);
      ticket.Prepare(Accepted(n, 0));
      ticket.Finish(Offset{n}, 100);
      finished = n;
    }
  });
  while (finished < kKeys) {
    uint64_t before = finished;
    std::string bytes = small.Save();
    uint64_t forgotten = finished - small.Now().keys;
    IdempotencyWindow loaded(resumed);
    loaded.Load(bytes);
    for (uint64_t n = forgotten + 2; n <= before; n++) {
      Ticket ticket;
      ASSERT_EQ(loaded.Begin("key " + std::to_string(n), n, ticket, got), Begun::kAnswered) << n;
      EXPECT_EQ(got.offset, Offset{n});
    }
  }
  producer.join();
  EXPECT_GT(small.Now().shortened, 0u);
}

TEST_F(IdempotencyWindowTest, DamagedBytesAreAnError) {
  Finish("a", 1, Accepted(2, 7), 100);
  std::string bytes = window.Save();
  for (size_t size = 1; size < bytes.size(); size++) {
    EXPECT_THROW(IdempotencyWindow(resumed).Load(std::string_view(bytes).substr(0, size)), Error);
  }
  bytes.back() = '\x80';  // a time before there was one
  EXPECT_THROW(IdempotencyWindow(resumed).Load(bytes), Error);
}

TEST_F(IdempotencyWindowTest, BytesAreBoundedAndTheOldestKeysGoFirst) {
  constexpr size_t kBytesMax = 1 << 20;
  IdempotencyWindow small(resumed, kBytesMax);
  IngestAnswer answer;
  for (int i = 0; i < 100; i++) answer.rejected.push_back({1, "c", std::string(200, 'x'), "bad"});
  for (int i = 0; i < 200; i++) {
    Ticket ticket;
    ASSERT_EQ(small.Begin(std::to_string(i), 1, ticket, got), Begun::kMine);
    ticket.Prepare(answer);
    ticket.Finish(Offset{1}, 100 + i);
    ASSERT_LE(small.Now().bytes, kBytesMax);
  }
  EXPECT_GT(small.Now().shortened, 100u);
  EXPECT_EQ(small.Now().shortened + small.Now().keys, 200u);
  Ticket ticket;
  EXPECT_EQ(small.Begin("199", 1, ticket, got), Begun::kAnswered);
  EXPECT_EQ(small.Begin("0", 1, ticket, got), Begun::kMine);
}

TEST_F(IdempotencyWindowTest, KeysWhoseTimeIsOverAreNotCountedAsForgottenEarly) {
  Finish("a", 1, Accepted(1, 1), 100);
  Finish("b", 1, Accepted(1, 2), 101 + IdempotencyWindow::kWindow);
  EXPECT_EQ(Again("a", 2), Begun::kMine);
  EXPECT_EQ(window.Now().keys, 1u);
  EXPECT_EQ(window.Now().shortened, 0u);
}

}  // namespace
}  // namespace weir
