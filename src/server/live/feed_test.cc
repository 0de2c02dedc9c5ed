// What readers are shown when there is no memory for a part of it: what is right, or that their
// connection has failed.
#include "server/live/feed.h"

#include <gtest/gtest.h>

#include "base/test_allocations.h"
#include "views/test_engine.h"

namespace weir {
namespace {

// A client who reads what is written at once.
class Client : public HttpStream {
 public:
  void Write(std::shared_ptr<const std::string> bytes) override {
    std::lock_guard lock(mutex_);
    if (!closed_) text_ += *bytes;
  }
  void Close() override {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  void Abort() override {
    std::lock_guard lock(mutex_);
    closed_ = aborted_ = true;
  }
  size_t Pending() const override { return 0; }
  // The feed asks this first of each reader it serves, on its thread: from there on an allocation
  // is to fail, until one did.
  bool Closed() const override {
    FailingAllocations::Never();
    if (served_) served_->failed_ = served_->failed_ || FailingAllocations::Happened();
    served_ = this;
    std::lock_guard lock(mutex_);
    FailingAllocations::After(failed_ || point_ < 0 ? -1 : point_.load());
    return closed_;
  }
  void OnDrained(std::function<void()>) override {}

  void FailAt(int point) {
    failed_ = false;
    point_ = point;
  }
  bool failed() const { return failed_; }
  bool aborted() const {
    std::lock_guard lock(mutex_);
    return aborted_;
  }
  // The one row that all events make, and "" as long as there is none.  Fails where events are not
  // whole, or change what is not there.
  std::string Row() const {
    std::lock_guard lock(mutex_);
    std::string row;
    for (size_t at = 0; at < text_.size();) {
      size_t end = text_.find("\n\n", at);
      if (end == std::string::npos) break;  // on its way
      Apply(text_.substr(at, end - at), row);
      at = end + 2;
    }
    return row;
  }

 private:
  static void Apply(const std::string& event, std::string& row) {
    auto between = [&](const std::string& from, const std::string& to) {
      size_t at = event.find(from);
      size_t end = at == std::string::npos ? at : event.find(to, at + from.size());
      EXPECT_NE(end, std::string::npos) << event;
      return end == std::string::npos ? "" : event.substr(at + from.size(), end - at - from.size());
    };
    EXPECT_EQ(event.find("event: ", 1), std::string::npos) << event;
    if (event.starts_with("event: snapshot\n")) {
      row = between("\"rows\":[[", "]]}");
    } else if (event.starts_with("event: change\n")) {
      EXPECT_EQ(between("\"removed\":[[", "]]}"), row) << event;
      row = between("\"added\":[[", "]],");
    } else if (event.starts_with("event: error\n")) {
      row.clear();
    } else {
      ADD_FAILURE() << "no event: " << event;
    }
  }

  static inline thread_local const Client* served_ = nullptr;
  mutable std::mutex mutex_;
  std::string text_;
  bool closed_ = false, aborted_ = false;
  std::atomic<int> point_{-1};
  mutable std::atomic<bool> failed_{false};
};

class FeedTest : public testing::Test {
 protected:
  // The point of failure goes by the reader; the last ones' are never come to.
  static constexpr int kReaders = 120;

  FeedTest() {
    world_.options.checkpoint_directory = "";
    world_.Open(false);
    feed_ = std::make_unique<Feed>(*world_.engine, [] { return "{}"; });
    feed_->Connect();
    world_.engine->Start();
    std::string sql = "CREATE STREAM s (n INTEGER);";
    for (int i = 0; i < kReaders; i++) {
      sql += "CREATE MATERIALIZED VIEW v" + std::to_string(i) + " AS SELECT sum(n) + " +
             std::to_string(i) + " FROM s;";
    }
    world_.Execute(sql);
    Append();
    feed_->Start();
  }
  ~FeedTest() override {
    world_.engine->Stop();
    feed_->Stop();
  }

  void Append() {
    world_.Append("s", {{"1000"}});
    sum_ += 1000;
    world_.Settle();
  }
  void Follow(int i) {
    Feed::Options options;
    options.views = {"v" + std::to_string(i)};
    feed_->Add(clients_[i], options);
  }
  // Who was cut off comes again, as a browser does; all others get there by themselves.
  void ExpectAllAreShownWhatIsRight() {
    int failed = 0, cut_off = 0;
    for (int i = 0; i < kReaders; i++) {
      auto right = [&] { return clients_[i]->Row() == std::to_string(sum_ + i); };
      world_.Until([&] { return clients_[i]->aborted() || right(); });
      failed += clients_[i]->failed();
      if (!clients_[i]->aborted()) continue;
      cut_off++;
      clients_[i] = std::make_shared<Client>();
      Follow(i);
      world_.Until(right);
    }
    EXPECT_GT(failed, 10);
    EXPECT_LT(failed, kReaders - 10) << "not all points were come to";
    EXPECT_LT(cut_off, failed);
  }

  TestEngine world_;
  std::unique_ptr<Feed> feed_;
  std::vector<std::shared_ptr<Client>> clients_;
  int sum_ = 0;
};

TEST_F(FeedTest, AnAllocationThatFailsAnywhereCostsNoReaderAnything) {
  for (int i = 0; i < kReaders; i++) {
    clients_.push_back(std::make_shared<Client>());
    clients_[i]->FailAt(i * 11);  // a snapshot takes many
    Follow(i);
  }
  ExpectAllAreShownWhatIsRight();
  for (int i = 0; i < kReaders; i++) clients_[i]->FailAt(i);
  Append();
  ExpectAllAreShownWhatIsRight();
  // More than what is sent as one.
  for (int i = 0; i < kReaders; i++) clients_[i]->FailAt(i);
  for (int rows = 0; rows < 8; rows++) Append();
  ExpectAllAreShownWhatIsRight();
}

}  // namespace
}  // namespace weir
