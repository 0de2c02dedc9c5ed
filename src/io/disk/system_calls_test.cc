// What the disk's parts ask of the system, seen where they ask: these definitions stand before
// those of the C library in this program.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <future>

#include "io/disk/disk.h"
#include "io/disk/page_file.h"

namespace {

// Of the thread that asks.
thread_local std::function<void(int file)> before_fsync, before_pwrite;

}  // namespace

extern "C" int fsync(int file) {
  if (before_fsync) before_fsync(file);
  return static_cast<int>(syscall(SYS_fsync, file));
}
extern "C" ssize_t pwrite(int file, const void* bytes, size_t count, off_t position) {
  if (before_pwrite) before_pwrite(file);
  return syscall(SYS_pwrite64, file, bytes, count, position);
}

namespace weir {
namespace {

class SystemCalls : public testing::Test {
 protected:
  SystemCalls() { folder_ = mkdtemp(name_); }
  ~SystemCalls() override {
    before_fsync = before_pwrite = nullptr;
    std::filesystem::remove_all(folder_);
  }
  char name_[32] = "/tmp/weir-calls-XXXXXX";
  std::string folder_;
};

// Who made the folder may have been killed before its name was durable.
TEST_F(SystemCalls, AFolderThatIsThereIsMadeDurable) {
  auto disk = MakeRealDisk();
  ASSERT_EQ(mkdir((folder_ + "/made").c_str(), 0755), 0);
  std::vector<std::string> synced;
  before_fsync = [&](int file) {
    synced.push_back(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file)));
  };
  disk->MakeDirectories(folder_ + "/made");
  EXPECT_EQ(synced, std::vector<std::string>{folder_});
  synced.clear();
  disk->MakeDirectories(folder_ + "/made/a/b");
  EXPECT_EQ(synced, (std::vector<std::string>{folder_, folder_ + "/made", folder_ + "/made/a"}));
}

// The disk may take its time for a page; whoever wants another one does not wait for that.
TEST_F(SystemCalls, APageIsHadWhileAnotherIsWritten) {
  constexpr size_t kPage = PageFile::kPageBytes;
  PageFile pages(folder_, 1 << 30);
  auto* moved = pages.Allocate(kPage);
  std::future<std::byte*> wanted;
  auto state = std::future_status::deferred;
  before_pwrite = [&](int) {
    if (wanted.valid()) return;  // a second part of the page
    wanted = std::async(std::launch::async, [&] { return pages.Allocate(kPage); });
    state = wanted.wait_for(std::chrono::seconds(10));
  };
  EXPECT_TRUE(pages.MoveToFile(moved, kPage));
  EXPECT_EQ(state, std::future_status::ready);
  pages.Free(wanted.get(), kPage, false);
  pages.Free(moved, kPage, true);
}

}  // namespace
}  // namespace weir
