#include "ingest/ingest.h"

#include <gtest/gtest.h>

#include <future>

#include "io/manual_clock.h"
#include "io/simulated_disk.h"
#include "log/log.h"

namespace weir {
namespace {

class MemoryStore : public CatalogStore {
 public:
  std::string Load() override { return text_; }
  void Save(const std::string& text) override { text_ = text; }

 private:
  std::string text_;
};

class Switch : public Backpressure {
 public:
  bool Behind() const override { return behind; }
  bool behind = false;
};

class NoHistory : public KeyHistory {
 public:
  void Scan(const Stream&, size_t, Micros,
            const std::function<void(duckdb::Vector&, duckdb::Vector&, duckdb::idx_t)>&) override {}
};

class IngestTest : public testing::Test {
 protected:
  IngestTest() : clock(1'700'000'000'000'000), catalog(store) {
    auto stream = std::make_shared<Stream>();
    stream->id = {1};
    stream->name = "events";
    stream->columns = {{"n", duckdb::LogicalType::BIGINT, true}};
    catalog.Change([&](CatalogState& state) { state.streams["events"] = stream; });
    LogOptions options;
    options.directory = "log";
    log = Log::Open(disk, clock, options);
    ingest = Ingest::Open(disk, "keys", catalog, *log, clock, backpressure, history);
  }

  IngestAnswer Post(std::string_view body, const std::string& key = "", bool atomic = false) {
    IngestRequest request;
    request.stream = "events";
    request.body = body;
    request.idempotency_key = key;
    request.atomic = atomic;
    std::promise<IngestAnswer> answer;
    ingest->Post(request, [&](IngestAnswer got) { answer.set_value(std::move(got)); });
    return answer.get_future().get();
  }

  ErrorCode Refusal(std::string_view body, const std::string& key = "") {
    try {
      Post(body, key);
    } catch (const Error& error) {
      return error.code;
    }
    return ErrorCode::kInternal;
  }

  SimulatedDisk disk;
  ManualClock clock;
  MemoryStore store;
  Catalog catalog;
  Switch backpressure;
  NoHistory history;
  std::unique_ptr<Log> log;
  std::unique_ptr<Ingest> ingest;
};

TEST_F(IngestTest, GoodRowsAreDurableAndBadOnesToldByLine) {
  auto answer = Post("{\"n\":1}\n{\"n\":\"x\"}\n{\"n\":3}\n");
  EXPECT_EQ(answer.accepted, 2u);
  EXPECT_EQ(answer.offset, Offset{2});
  ASSERT_EQ(answer.rejected.size(), 1u);
  EXPECT_EQ(answer.rejected[0].line, 2u);
  EXPECT_EQ(answer.rejected[0].column, "n");
  EXPECT_EQ(log->End(), Offset{2});
}

TEST_F(IngestTest, NothingComesInWhileTheViewsAreBehind) {
  backpressure.behind = true;
  EXPECT_EQ(Refusal("{\"n\":1}"), ErrorCode::kTooManyRequests);
  EXPECT_EQ(log->End(), Offset{0});
  backpressure.behind = false;
  EXPECT_EQ(Post("{\"n\":1}").accepted, 1u);
}

TEST_F(IngestTest, ARefusedBodysKeyIsFreeForTheNextTry) {
  backpressure.behind = true;
  EXPECT_EQ(Refusal("{\"n\":1}", "key"), ErrorCode::kTooManyRequests);
  backpressure.behind = false;
  EXPECT_EQ(Post("{\"n\":1}", "key").offset, Offset{1});
  EXPECT_EQ(Post("{\"n\":1}", "key").offset, Offset{1});  // once
  EXPECT_EQ(log->End(), Offset{1});
}

TEST_F(IngestTest, AtomicKeepsAllOrNone) {
  auto answer = Post("{\"n\":1}\n{}\n", "", true);
  EXPECT_TRUE(answer.error);
  EXPECT_EQ(answer.rejected.size(), 1u);
  EXPECT_EQ(log->End(), Offset{0});
}

}  // namespace
}  // namespace weir
