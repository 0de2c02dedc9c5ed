// A log, a lake and the query service over them, for tests.  Its workers are real processes: the
// test program is its own `weir query-worker` (main is in service_test.cc).
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "catalog/memory_store.h"
#include "formats/block.h"
#include "io/manual_clock.h"
#include "log/test_log.h"
#include "query/service.h"
#include "sql/kernel_sql.h"

namespace weir {

// What a query said, once it is done.
struct Answered {
  std::string body;
  bool more = false;
  std::optional<Error> error;
  std::string replaced;
};

class CollectingSink : public QuerySink {
 public:
  void Write(std::string bytes) override { answer_.body += bytes; }
  void More() override { answer_.more = true; }
  void Replaced(const std::string& view, const Replacement& by) override {
    answer_.replaced += view + " by " + std::to_string(by.version) + " ";
  }
  void Done(const std::optional<Error>& error) override {
    answer_.error = error;
    done_.set_value();
  }
  Answered Wait() {
    done_.get_future().wait();
    std::erase(answer_.body, '\r');  // CSV ends its lines as the standard says
    return answer_;
  }

 private:
  Answered answer_;
  std::promise<void> done_;
};

class QueriesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("weir_query_test_" + std::to_string(getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    disk_ = MakeRealDisk();
    events_ = std::make_shared<Stream>();
    events_->id = {1};
    events_->name = "events";
    events_->columns = {{"id", duckdb::LogicalType::BIGINT},
                        {"name", duckdb::LogicalType::VARCHAR}};
    catalog_.Change([&](CatalogState& state) { state.streams["events"] = events_; });
    LogOptions log_options;
    log_options.directory = folder_ / "log";
    log_ = Log::Open(*disk_, clock_, log_options);
    LakeOptions lake_options;
    lake_options.directory = folder_ / "lake";
    lake_ = Lake::Open(*disk_, clock_, catalog_, *log_, lake_options);
    std::ofstream(folder_ / "secret.csv") << "a,b\n1,2\n";
    std::ofstream(folder_ / "log" / "secret.csv") << "a,b\n1,2\n";
  }

  void TearDown() override {
    queries_.reset();
    lake_.reset();
    log_->Close();
    log_.reset();
    std::filesystem::remove_all(folder_);
  }

  Queries& Service() {
    if (!queries_) {
      options_.readable = {folder_ / "lake", folder_ / "log"};
      queries_ = std::make_unique<Queries>(catalog_, *log_, *lake_, clock_, options_);
    }
    return *queries_;
  }

  void AppendEvents(size_t count) {
    duckdb::vector<duckdb::LogicalType> types = {duckdb::LogicalType::BIGINT,
                                                 duckdb::LogicalType::VARCHAR};
    Columns rows;
    for (size_t done = 0; done < count;) {
      auto chunk = std::make_unique<duckdb::DataChunk>();
      chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types);
      size_t size = std::min<size_t>(count - done, STANDARD_VECTOR_SIZE);
      for (size_t i = 0; i < size; i++) {
        auto id = static_cast<int64_t>(log_->End().value + done + i + 1);
        chunk->SetValue(0, i, duckdb::Value::BIGINT(id));
        chunk->SetValue(1, i, duckdb::Value(id % 2 ? "odd" : "even"));
      }
      chunk->SetCardinality(size);
      rows.rows += size;
      rows.chunks.push_back(std::move(chunk));
      done += size;
    }
    AppendAndWait(*log_, Unit(MakeRecord(EncodeBlock(rows, events_->Types()),
                                         static_cast<uint32_t>(count), "", 1)));
  }

  Answered Ask(QueryRequest request) {
    auto sink = std::make_shared<CollectingSink>();
    auto handle = Service().Run(std::move(request), sink);
    return sink->Wait();
  }

  Answered Ask(const std::string& sql, ResultFormat format = ResultFormat::kCsv) {
    QueryRequest request;
    request.sql = ToKernelSql(sql);
    request.format = format;
    return Ask(request);
  }

  // The body of an answer that must be fine.
  std::string Body(const std::string& sql) {
    Answered answer = Ask(sql);
    EXPECT_FALSE(answer.error) << answer.error->message << "\n" << answer.error->hint;
    return answer.body;
  }

  std::optional<ErrorCode> Code(const std::string& sql) {
    Answered answer = Ask(sql);
    if (!answer.error) return std::nullopt;
    return answer.error->code;
  }

  void DefineView(const std::string& name, const std::string& query, bool materialized) {
    auto view = std::make_shared<View>();
    view->id = static_cast<uint32_t>(10 + catalog_.Current()->views.size());
    view->name = name;
    view->query = query;
    view->kernel_sql = KernelSql(query);
    view->materialized = materialized;
    catalog_.Change([&](CatalogState& state) { state.views[name] = view; });
  }

  std::filesystem::path folder_;
  ManualClock clock_{1'700'000'000'000'000};  // 2023-11-14 22:13:20 UTC
  MemoryStore store_;
  Catalog catalog_{store_};
  std::unique_ptr<Disk> disk_;
  std::shared_ptr<Stream> events_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Lake> lake_;
  QueryOptions options_;
  std::unique_ptr<Queries> queries_;
};

}  // namespace weir
