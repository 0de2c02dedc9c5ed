#include "views/state_memory.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "flow/state/row_store.h"
#include "io/manual_clock.h"

namespace weir {
namespace {

constexpr uint64_t kMegabyte = 1'000'000;
constexpr size_t kPage = PageFile::kPageBytes;

class StateMemoryTest : public testing::Test {
 protected:
  StateMemoryTest() { folder_ = mkdtemp(name_); }
  ~StateMemoryTest() override { std::filesystem::remove_all(folder_); }

  StateMemoryOptions Options(uint64_t limit) {
    StateMemoryOptions options;
    options.limit = limit;
    options.spill_directory = folder_;
    options.in_use = [this] { return in_use_; };
    return options;
  }

  char name_[32] = "/tmp/weir-memory-XXXXXX";
  std::string folder_;
  ManualClock clock_;
  uint64_t in_use_ = 0;
};

TEST_F(StateMemoryTest, PagesHandedOutCountUntilTheNextLook) {
  StateMemory memory(Options(10 * kMegabyte), clock_);
  EXPECT_FALSE(memory.IsShort());
  std::vector<std::byte*> pages;
  for (int i = 0; i < 30; i++) pages.push_back(memory.Allocate(kPage));
  EXPECT_TRUE(memory.IsShort());
  EXPECT_FALSE(memory.IsFull());
  EXPECT_GT(memory.Excess(), 0u);
  for (auto* page : pages) memory.Free(page, kPage, false);
}

TEST_F(StateMemoryTest, ABitAboveTheLimitPagesAreHandedOutWhileRowsCanGoToTheFile) {
  in_use_ = 11 * kMegabyte;
  StateMemory memory(Options(10 * kMegabyte), clock_);
  EXPECT_TRUE(memory.IsFull());
  std::byte* page = memory.Allocate(kPage);
  memory.Free(page, kPage, false);
  auto nowhere = Options(10 * kMegabyte);
  nowhere.spill_directory.clear();
  StateMemory without_file(nowhere, clock_);
  EXPECT_THROW(without_file.Allocate(kPage), Error);
}

TEST_F(StateMemoryTest, FarAboveTheLimitNoPageIsHandedOut) {
  in_use_ = 13 * kMegabyte;
  StateMemory memory(Options(10 * kMegabyte), clock_);
  EXPECT_TRUE(memory.IsFull());
  EXPECT_THROW(memory.Allocate(kPage), Error);
  auto refusal = memory.Refusal(ErrorCode::kUnavailable, "events are not taken now");
  EXPECT_EQ(refusal.message,
            "events are not taken now: the process has 13 MB of its memory limit of 10 MB");
}

TEST_F(StateMemoryTest, WithoutALimitNothingIsShort) {
  in_use_ = 1'000'000 * kMegabyte;
  StateMemory memory(Options(0), clock_);
  EXPECT_FALSE(memory.IsShort());
  EXPECT_TRUE(memory.HasRoomFor(UINT32_MAX));
  EXPECT_EQ(memory.Excess(), 0u);
}

TEST_F(StateMemoryTest, WhenTheFileIsFullRowsStayInMemory) {
  auto options = Options(10 * kMegabyte);
  options.spill_bytes_max = kPage;
  StateMemory memory(options, clock_);
  auto* first = memory.Allocate(kPage);
  auto* second = memory.Allocate(kPage);
  EXPECT_TRUE(memory.MoveToFile(first, kPage));
  EXPECT_FALSE(memory.MoveToFile(second, kPage));
  EXPECT_TRUE(memory.FileIsFull());
  EXPECT_EQ(memory.Excess(), 0u);
  memory.Free(first, kPage, true);  // there is room again
  EXPECT_TRUE(memory.MoveToFile(second, kPage));
  memory.Free(second, kPage, true);
}

// Rows of a store under pressure: references, removal and reuse work wherever a page stands.
TEST_F(StateMemoryTest, ARowStoreKeepsItsRowsWhileItsPagesMove) {
  in_use_ = 8 * kMegabyte;
  StateMemory memory(Options(10 * kMegabyte), clock_);
  RowTypes types{duckdb::LogicalType::BIGINT, duckdb::LogicalType::VARCHAR};
  RowStore store(types, true);
  store.UseMemory(&memory);
  duckdb::DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types));
  std::vector<RowRef> refs;
  std::vector<RowRef> heads;
  for (int64_t row = 0; row < 20'000; row++) {
    chunk.Reset();
    chunk.SetValue(0, 0, duckdb::Value::BIGINT(row));
    chunk.SetValue(1, 0, duckdb::Value(std::string(500, static_cast<char>('a' + row % 26))));
    chunk.SetCardinality(1);
    heads.push_back(kNoRow);
    refs.push_back(store.FindOrAdd(store.Encode(chunk)[0], heads.back()));
    store.At(refs.back()).weight = 1;
  }
  EXPECT_GT(store.BytesInFile(), 9 * kMegabyte);
  EXPECT_LT(store.BytesInFile(), store.Bytes());
  for (size_t row = 0; row < refs.size(); row += 2) store.Remove(refs[row], heads[row]);
  EXPECT_EQ(store.rows(), 10'000u);
  duckdb::DataChunk out;
  out.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(types));
  for (size_t row = 1; row < refs.size(); row += 2) {
    out.Reset();
    store.Gather(&refs[row], 1, out, 0);
    ASSERT_EQ(out.GetValue(0, 0).GetValue<int64_t>(), static_cast<int64_t>(row));
    ASSERT_EQ(out.GetValue(1, 0).ToString()[499], static_cast<char>('a' + row % 26));
  }
  size_t bytes = store.Bytes();
  for (int64_t row = 0; row < 5'000; row++) {  // into what was freed, on disk or not
    chunk.SetValue(0, 0, duckdb::Value::BIGINT(100'000 + row));
    RowRef head = kNoRow;
    store.FindOrAdd(store.Encode(chunk)[0], head);
  }
  EXPECT_LT(store.Bytes(), bytes + kPage);
}

}  // namespace
}  // namespace weir
