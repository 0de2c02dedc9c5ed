#include "io/disk/page_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "io/disk/lost_pages.h"

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

// The file that has no name, found among what this process has open.
void CutShort(const std::string& folder) {
  for (auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    auto target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target.starts_with(folder) && !target.ends_with(folder)) {
      ASSERT_EQ(truncate(entry.path().c_str(), 0), 0);
    }
  }
}

TEST_F(PageFileTest, APageThatCannotBeReadIsZeroAndCountsAsLost) {
  PageFile pages(folder_, 1 << 30);
  auto* page = pages.Allocate(kPage);
  auto* other = pages.Allocate(kPage);
  auto* block = pages.Allocate(80 * kPage);
  for (auto* at : {page, other, block}) std::memset(at, 7, kPage);
  EXPECT_TRUE(pages.MoveToFile(page, kPage));
  EXPECT_TRUE(pages.MoveToFile(block, 80 * kPage));
  uint64_t lost = PagesLost();
  CutShort(folder_);
  EXPECT_FALSE(IsPageLost(page));  // nobody knows yet
  EXPECT_EQ(page[kPage - 1], std::byte(0));
  EXPECT_EQ(page[0], std::byte(0));
  EXPECT_EQ(PagesLost(), lost + 1);
  EXPECT_TRUE(IsPageLost(page));
  EXPECT_TRUE(IsPageLost(page + 5));
  EXPECT_FALSE(IsPageLost(other));
  EXPECT_EQ(other[kPage - 1], std::byte(7));
  block[79 * kPage] = std::byte(1);  // who writes meets it too
  EXPECT_EQ(block[79 * kPage], std::byte(1));
  EXPECT_EQ(block[0], std::byte(0));
  EXPECT_EQ(PagesLost(), lost + 2);
  // Given back and taken again it is a page as any other.
  pages.Free(page, kPage, true);
  EXPECT_FALSE(IsPageLost(page));
  auto* again = pages.Allocate(kPage);
  EXPECT_EQ(again, page);
  std::memset(again, 3, kPage);
  EXPECT_TRUE(pages.MoveToFile(again, kPage));
  EXPECT_EQ(again[kPage - 1], std::byte(3));
  EXPECT_FALSE(IsPageLost(again));
  pages.Free(block, 80 * kPage, true);
}

// Also one of just the size from which pages are cut.
TEST_F(PageFileTest, ABlockIsLostAsAWhole) {
  PageFile pages(folder_, 1 << 30);
  for (size_t count : {2, 63, 64, 65, 128}) {
    auto* block = pages.Allocate(count * kPage);
    std::memset(block, 7, count * kPage);
    EXPECT_TRUE(pages.MoveToFile(block, count * kPage));
    CutShort(folder_);
    EXPECT_FALSE(IsPageLost(block));
    EXPECT_EQ(block[(count - 1) * kPage], std::byte(0));
    EXPECT_TRUE(IsPageLost(block)) << count;
    pages.Free(block, count * kPage, true);
  }
}

TEST_F(PageFileTest, ManyThreadsMayMeetALostPageAtOnce) {
  PageFile pages(folder_, 1 << 30);
  std::vector<std::byte*> all;
  for (int i = 0; i < 200; i++) {
    all.push_back(pages.Allocate(kPage));
    std::memset(all.back(), 7, kPage);
    EXPECT_TRUE(pages.MoveToFile(all.back(), kPage));
  }
  CutShort(folder_);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      for (auto* page : all) {
        for (size_t i = 0; i < kPage; i += 4096) ASSERT_EQ(page[i], std::byte(0));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (auto* page : all) EXPECT_TRUE(IsPageLost(page));
}

using PageFileDeathTest = PageFileTest;

// A sanitizer's handler, which was there before, tells of the signal and exits.
bool DiedOfIt(int status) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  if (WIFEXITED(status)) return WEXITSTATUS(status) != 0;
#endif
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
}

TEST_F(PageFileDeathTest, AnErrorOfAnotherMappingEndsTheProcessAsEver) {
  PageFile pages(folder_, 1 << 30);
  EXPECT_TRUE(pages.MoveToFile(pages.Allocate(kPage), kPage));
  EXPECT_EXIT(
      {
        int file = open((folder_ + "/other").c_str(), O_RDWR | O_CREAT, 0600);
        if (ftruncate(file, 4096) != 0) _exit(1);
        void* at = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
        if (ftruncate(file, 0) != 0) _exit(1);
        _exit(*static_cast<volatile char*>(at));
      },
      DiedOfIt, "");
}

}  // namespace
}  // namespace weir
