#include "io/page_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

namespace weir {
namespace {

constexpr size_t kPage = PageFile::kPageBytes;

class PageFileTest : public testing::Test {
 protected:
  PageFileTest() { folder_ = mkdtemp(name_); }
  ~PageFileTest() override { std::filesystem::remove_all(folder_); }
  char name_[32] = "/tmp/weir-pages-XXXXXX";
  std::string folder_;
};

TEST_F(PageFileTest, APageKeepsItsAddressAndBytesWhenItMoves) {
  PageFile pages(folder_, 1 << 30);
  std::vector<std::byte*> all;
  for (int i = 0; i < 100; i++) {
    all.push_back(pages.Allocate(kPage));
    std::memset(all.back(), i, kPage);
  }
  for (int i = 0; i < 100; i += 3) EXPECT_TRUE(pages.MoveToFile(all[i], kPage));
  EXPECT_EQ(pages.BytesInFile(), 34 * kPage);
  EXPECT_EQ(pages.BytesInMemory(), 66 * kPage);
  for (int i = 0; i < 100; i++) {
    EXPECT_EQ(all[i][0], std::byte(i));
    EXPECT_EQ(all[i][kPage - 1], std::byte(i));
    std::memset(all[i] + 1, 255 - i, 10);  // written as before, wherever it stands
  }
  for (int i = 0; i < 100; i++) EXPECT_EQ(all[i][10], std::byte(255 - i));
}

TEST_F(PageFileTest, NothingIsLeftInTheFolder) {
  PageFile pages(folder_, 1 << 30);
  EXPECT_TRUE(pages.MoveToFile(pages.Allocate(kPage), kPage));
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(PageFileTest, AFreedPageIsUsedAgainAndZero) {
  PageFile pages(folder_, 1 << 30);
  auto* page = pages.Allocate(kPage);
  std::memset(page, 7, kPage);
  EXPECT_TRUE(pages.MoveToFile(page, kPage));
  pages.Free(page, kPage, true);
  EXPECT_EQ(pages.BytesInFile(), 0u);
  auto* again = pages.Allocate(kPage);
  EXPECT_EQ(again, page);
  EXPECT_EQ(again[100], std::byte(0));
  EXPECT_TRUE(pages.MoveToFile(again, kPage));
  EXPECT_EQ(again[100], std::byte(0));
}

TEST_F(PageFileTest, BlocksLargerThanAPageMoveToo) {
  PageFile pages(folder_, 1 << 30);
  auto* block = pages.Allocate(80 * kPage);
  std::memset(block, 1, 80 * kPage);
  EXPECT_TRUE(pages.MoveToFile(block, 80 * kPage));
  EXPECT_EQ(block[79 * kPage], std::byte(1));
  pages.Free(block, 80 * kPage, true);
  EXPECT_EQ(pages.BytesInFile() + pages.BytesInMemory(), 0u);
}

TEST_F(PageFileTest, TheFileIsBounded) {
  PageFile pages(folder_, 2 * kPage);
  EXPECT_TRUE(pages.MoveToFile(pages.Allocate(kPage), kPage));
  EXPECT_TRUE(pages.MoveToFile(pages.Allocate(kPage), kPage));
  EXPECT_FALSE(pages.MoveToFile(pages.Allocate(kPage), kPage));
  EXPECT_FALSE(PageFile("", 1 << 30).MoveToFile(nullptr, kPage));
}

TEST_F(PageFileTest, AFolderThatIsNotThereIsAnErrorAndThePageStays) {
  PageFile pages(folder_ + "/nowhere", 1 << 30);
  auto* page = pages.Allocate(kPage);
  page[5] = std::byte(5);
  EXPECT_THROW(pages.MoveToFile(page, kPage), Error);
  EXPECT_EQ(page[5], std::byte(5));
}

TEST_F(PageFileTest, WhoReadsWhileAPageMovesSeesItsBytes) {
  PageFile pages(folder_, 1 << 30);
  auto* page = pages.Allocate(kPage);
  std::memset(page, 9, kPage);
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      for (size_t i = 0; i < kPage; i += 511) ASSERT_EQ(page[i], std::byte(9));
    }
  });
  EXPECT_TRUE(pages.MoveToFile(page, kPage));
  done = true;
  reader.join();
}

}  // namespace
}  // namespace weir
