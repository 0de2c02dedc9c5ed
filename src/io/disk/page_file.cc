#include "io/disk/page_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/make_room.h"
#include "io/disk/disk.h"
#include "io/disk/lost_pages.h"
#include "io/memory/large_pages.h"

namespace weir {
namespace {

constexpr int kPageAccess = PROT_READ | PROT_WRITE;

std::byte* MapMemory(std::byte* at, size_t bytes) {
  int fixed = at ? MAP_FIXED : 0;
  void* begin = mmap(at, bytes, kPageAccess, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
  if (begin == MAP_FAILED) {
    throw Error(ErrorCode::kLimitExceeded, "the machine has no memory left",
                "Drop a view, or give the machine more memory.");
  }
  return static_cast<std::byte*>(begin);
}

int OpenUnnamed(const std::string& directory) {
  int file = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {  // not every file system can
    std::string name = directory + "/.pages-XXXXXX";
    file = mkostemp(name.data(), O_CLOEXEC);
    if (file >= 0) unlink(name.c_str());
  }
  if (file < 0) {
    throw DiskFailure(fmt::format("cannot make a file in {}: {}", directory, strerror(errno)));
  }
  return file;
}

}  // namespace

PageFile::PageFile(std::string directory, uint64_t bytes_max)
    : directory_(std::move(directory)), bytes_max_(bytes_max) {}

PageFile::~PageFile() {
  for (auto& extent : extents_) {
    ForgetPages(extent.begin);
    munmap(extent.begin, extent.bytes);
  }
  if (file_ >= 0) close(file_);
}

const PageFile::Extent& PageFile::ExtentOf(const std::byte* begin, size_t bytes) const {
  auto after = std::upper_bound(extents_.begin(), extents_.end(), begin,
                                [](auto* at, auto& extent) { return at < extent.begin; });
  ASSERT(after != extents_.begin());
  auto& extent = *std::prev(after);
  auto at = static_cast<size_t>(begin - extent.begin);
  // Pages are of a shared extent, and all else has one of its own.
  ASSERT(at % kPageBytes == 0 && at + bytes <= extent.bytes);
  ASSERT(bytes == kPageBytes || (at == 0 && bytes == extent.bytes));
  return extent;
}

// No two extents share an address, and no page is there twice.
void PageFile::CheckInvariants() const {
  uint64_t bytes = 0;
  for (size_t i = 0; i < extents_.size(); i++) {
    ASSERT(i == 0 || extents_[i - 1].begin + extents_[i - 1].bytes <= extents_[i].begin);
    bytes += extents_[i].bytes;
  }
  ASSERT(in_memory_ + in_file_ + free_.size() * kPageBytes <= bytes);
}

// It is lost by blocks.
std::byte* PageFile::AddExtent(size_t bytes, size_t block) {
  MakeRoom(extents_, 1);
  std::byte* begin = MapMemory(nullptr, bytes);
  try {
    WatchPages(begin, bytes, block);
  } catch (...) {
    munmap(begin, bytes);
    throw;
  }
  AdviseLargePages(begin, bytes);
  auto at = std::upper_bound(extents_.begin(), extents_.end(), begin,
                             [](auto* left, auto& extent) { return left < extent.begin; });
  extents_.insert(at, {begin, bytes, end_});
  end_ += bytes;
  return begin;
}

std::byte* PageFile::Allocate(size_t bytes) {
  CHECK(bytes > 0 && bytes % kPageBytes == 0);
  std::lock_guard lock(mutex_);
  std::byte* begin;
  if (bytes > kPageBytes) {
    begin = AddExtent(bytes, bytes);
  } else {
    if (free_.empty()) {
      constexpr size_t kPages = kExtentBytes / kPageBytes;
      free_.reserve(pages_ + kPages);
      std::byte* extent = AddExtent(kExtentBytes, kPageBytes);
      pages_ += kPages;
      for (size_t at = kExtentBytes; at > 0; at -= kPageBytes) {
        free_.push_back(extent + at - kPageBytes);
      }
    }
    begin = free_.back();
    free_.pop_back();
  }
  in_memory_ += bytes;
  if (kDebugChecks) CheckInvariants();
  return begin;
}

void PageFile::Free(std::byte* begin, size_t bytes, bool in_file) {
  std::lock_guard lock(mutex_);
  auto& extent = ExtentOf(begin, bytes);
  ASSERT((in_file ? in_file_ : in_memory_) >= bytes);
  if (in_file) {
    auto position = extent.position + static_cast<uint64_t>(begin - extent.begin);
    MapMemory(begin, bytes);
    TakePageAsNew(begin);
    // Its place in the file is given back; where that cannot be done it is used again some day.
    (void)fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(position),
                    static_cast<off_t>(bytes));
  }
  (in_file ? in_file_ : in_memory_) -= bytes;
  if (bytes > kPageBytes) {
    ForgetPages(begin);
    munmap(begin, bytes);
    extents_.erase(extents_.begin() + (&extent - extents_.data()));
    return;
  }
  if (!in_file) madvise(begin, bytes, MADV_DONTNEED);
  ASSERT(free_.size() < pages_ && free_.capacity() >= pages_);  // it needs no memory
  free_.push_back(begin);
  if (kDebugChecks) CheckInvariants();
}

bool PageFile::MoveToFile(std::byte* begin, size_t bytes) {
  auto position = Reserve(begin, bytes);
  if (!position) return false;
  // Without the lock: whoever wants a page does not wait for the disk.
  try {
    Write(begin, bytes, *position);
  } catch (...) {
    std::lock_guard lock(mutex_);
    in_memory_ += bytes;
    in_file_ -= bytes;
    throw;
  }
  return true;
}

// The page's place in the file; nothing when the file may hold no more.
std::optional<off_t> PageFile::Reserve(const std::byte* begin, size_t bytes) {
  std::lock_guard lock(mutex_);
  if (directory_.empty() || in_file_ + bytes > bytes_max_) return std::nullopt;
  if (file_ < 0) file_ = OpenUnnamed(directory_);
  struct statvfs room;
  if (fstatvfs(file_, &room) == 0 && room.f_bavail * room.f_frsize < bytes + kLeftForOthers) {
    throw Error(ErrorCode::kUnavailable, "the disk is nearly full");
  }
  auto& extent = ExtentOf(begin, bytes);
  CHECK(in_memory_ >= bytes);
  in_memory_ -= bytes;
  in_file_ += bytes;
  return static_cast<off_t>(extent.position) + (begin - extent.begin);
}

void PageFile::Write(std::byte* begin, size_t bytes, off_t position) {
  for (size_t done = 0; done < bytes;) {
    auto wrote = pwrite(file_, begin + done, bytes - done, position + static_cast<off_t>(done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && (errno == ENOSPC || errno == EDQUOT)) {
      throw Error(ErrorCode::kUnavailable, "the disk is full");
    }
    if (wrote <= 0) throw DiskFailure(fmt::format("cannot write a page: {}", strerror(errno)));
    done += static_cast<size_t>(wrote);
  }
  void* mapped = mmap(begin, bytes, kPageAccess, MAP_SHARED | MAP_FIXED, file_, position);
  if (mapped == MAP_FAILED) {
    throw DiskFailure(fmt::format("cannot map a page: {}", strerror(errno)));
  }
}

uint64_t PageFile::BytesInMemory() const {
  std::lock_guard lock(mutex_);
  return in_memory_;
}

uint64_t PageFile::BytesInFile() const {
  std::lock_guard lock(mutex_);
  return in_file_;
}

}  // namespace weir
