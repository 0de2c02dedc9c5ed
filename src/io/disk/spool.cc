#include "io/disk/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace weir {
namespace {

constexpr uint64_t kSpoolLeavesFree = uint64_t{512} << 20;  // of the disk, for the log
constexpr uint64_t kSpoolStep = 1 << 20;                    // room is taken in steps

int OpenSpoolFile(const std::string& directory) {
  int file = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {  // not every file system can
    std::string name = directory + "/.answer-XXXXXX";
    file = mkostemp(name.data(), O_CLOEXEC);
    if (file >= 0) unlink(name.c_str());
  }
  if (file < 0) {
    throw Error(ErrorCode::kUnavailable,
                fmt::format("cannot make a file for the answer: {}", std::strerror(errno)));
  }
  return file;
}

}  // namespace

uint64_t SpoolRoom::Held() const {
  std::lock_guard lock(mutex_);
  return held_;
}

void SpoolRoom::Take(const std::string& client, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  uint64_t of_client = by_client_[client];
  if (held_ + bytes > bytes_max_ || of_client + bytes > bytes_max_ / 4 * 3) {
    if (of_client == 0) by_client_.erase(client);
    throw Error(ErrorCode::kTooManyRequests, "too many large answers wait for their clients",
                "Take the answers that are there, or ask for less at once.");
  }
  held_ += bytes;
  by_client_[client] += bytes;
  CHECK(held_ <= bytes_max_ && by_client_[client] <= held_);
}

void SpoolRoom::Give(const std::string& client, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  auto found = by_client_.find(client);
  ASSERT(found != by_client_.end() && found->second >= bytes && held_ >= bytes);
  held_ -= bytes;
  found->second -= bytes;
  if (found->second == 0) by_client_.erase(found);
  ASSERT((held_ == 0) == by_client_.empty());
}

Spool::~Spool() {
  if (file_ >= 0) close(file_);
  if (taken_) room_.Give(client_, taken_);
}

void Spool::Append(std::string_view bytes) {
  CHECK(file_ < 0 ? memory_.size() == size_ : memory_.empty());
  if (size_ + bytes.size() > taken_) {
    uint64_t more = std::max<uint64_t>(size_ + bytes.size() - taken_,
                                       size_ + bytes.size() > kMemoryBytes ? kSpoolStep : 0);
    room_.Take(client_, more);
    taken_ += more;
  }
  if (file_ < 0 && size_ + bytes.size() <= kMemoryBytes) {
    memory_ += bytes;
    size_ += bytes.size();
    return;
  }
  if (file_ < 0) {
    file_ = OpenSpoolFile(room_.directory_);
    size_ = 0;
    WriteFile(memory_);
    std::string().swap(memory_);
  }
  WriteFile(bytes);
  CHECK(size_ <= taken_);
}

void Spool::WriteFile(std::string_view bytes) {
  struct statvfs disk;
  if (fstatvfs(file_, &disk) == 0 && disk.f_bavail * disk.f_frsize < kSpoolLeavesFree) {
    throw Error(ErrorCode::kUnavailable,
                "the disk is nearly full: there is no room for the answer");
  }
  while (!bytes.empty()) {
    auto wrote = pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      throw Error(ErrorCode::kUnavailable,
                  fmt::format("cannot keep the answer: {}", std::strerror(errno)));
    }
    size_ += static_cast<uint64_t>(wrote);
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
}

void Spool::Read(uint64_t position, std::span<char> room) const {
  ASSERT(position + room.size() <= size_);
  if (file_ < 0) {
    std::memcpy(room.data(), memory_.data() + position, room.size());
    return;
  }
  for (size_t done = 0; done < room.size();) {
    auto got =
        pread(file_, room.data() + done, room.size() - done, static_cast<off_t>(position + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw Error(ErrorCode::kUnavailable, "cannot read the answer back");
    done += static_cast<size_t>(got);
  }
}

}  // namespace weir
