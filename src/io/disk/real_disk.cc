// The machine's disk, by plain system calls.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <utility>

#include "io/disk/disk.h"

namespace weir {

namespace {

constexpr uint64_t kFileBytesMax = std::numeric_limits<off_t>::max();

std::string Describe(std::string_view action, std::string_view path, int error) {
  return fmt::format("cannot {} \"{}\": {}", action, path, strerror(error));
}

[[noreturn]] void Fail(std::string_view action, std::string_view path) {
  int error = errno;
  if (error == ENOSPC || error == EDQUOT) {
    throw Error(ErrorCode::kUnavailable, Describe(action, path, error),
                "Free some space on the disk, then try again.");
  }
  if (error == EFBIG) {  // SIGXFSZ is ignored (app/serve.cc)
    throw Error(ErrorCode::kUnavailable, Describe(action, path, error),
                "The process may not write files of this size: raise `ulimit -f`.");
  }
  throw DiskFailure(Describe(action, path, error));
}

// After a failed sync nobody knows what is on the disk, whatever the reason was.
[[noreturn]] void FailSync(std::string_view path) {
  throw DiskFailure(Describe("sync", path, errno));
}

// A descriptor, closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) {
      close(fd_);
    }
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

class RealFile : public File {
 public:
  RealFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  size_t Read(uint64_t position, std::span<char> buffer) override {
    size_t done = 0;
    while (done < buffer.size()) {
      ssize_t n = pread(fd_.get(), buffer.data() + done, buffer.size() - done, position + done);
      if (n < 0 && errno != EINTR) {
        Fail("read", path_);
      }
      if (n == 0) {
        break;
      }
      done += std::max<ssize_t>(n, 0);
    }
    return done;
  }

  void Write(uint64_t position, std::string_view bytes) override {
    ASSERT(position + bytes.size() <= kFileBytesMax);
    while (!bytes.empty()) {
      ssize_t n = pwrite(fd_.get(), bytes.data(), bytes.size(), position);
      if (n < 0 && errno != EINTR) {
        Fail("write", path_);
      }
      n = std::max<ssize_t>(n, 0);
      bytes.remove_prefix(n);
      position += n;
    }
  }

  void Sync() override {
    if (fdatasync(fd_.get()) != 0) {
      FailSync(path_);
    }
  }

  void WriteDurably(uint64_t position, std::span<const std::string_view> parts) override {
    // O_DIRECT and O_DSYNC were measured: no faster into space that was written before, and no
    // kinder to readers, who want the bytes cached.
    WriteScattered(position, parts);
    Sync();
  }

  void DropCached() override { posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED); }

  uint64_t Size() override {
    struct stat info;
    if (fstat(fd_.get(), &info) != 0) {
      Fail("look at", path_);
    }
    return info.st_size;
  }

  void Truncate(uint64_t size) override {
    if (ftruncate(fd_.get(), size) != 0) {
      Fail("truncate", path_);
    }
  }

  void Allocate(uint64_t size) override {
    ASSERT(size > 0 && size <= kFileBytesMax);
    int error = posix_fallocate(fd_.get(), 0, size);
    if (error != 0) {
      errno = error;
      Fail("reserve space for", path_);
    }
  }

 private:
  void WriteScattered(uint64_t position, std::span<const std::string_view> parts) {
    constexpr size_t kVectorMax = 512;
    iovec vectors[kVectorMax];
    size_t skip = 0;  // bytes of parts[0] already written
    while (!parts.empty()) {
      size_t n = std::min(parts.size(), kVectorMax);
      for (size_t i = 0; i < n; i++) {
        vectors[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
      }
      vectors[0] = {const_cast<char*>(parts[0].data()) + skip, parts[0].size() - skip};
      ssize_t written = pwritev(fd_.get(), vectors, n, position);
      if (written < 0 && errno != EINTR) {
        Fail("write", path_);
      }
      written = std::max<ssize_t>(written, 0);
      position += written;
      skip += written;
      while (!parts.empty() && skip >= parts[0].size()) {
        skip -= parts[0].size();
        parts = parts.subspan(1);
      }
    }
    ASSERT(skip == 0);
  }

  Descriptor fd_;
  std::string path_;
};

Descriptor OpenedFolder(const std::string& path) {
  Descriptor fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    Fail("open folder", path);
  }
  return fd;
}

class RealFolder : public Folder {
 public:
  RealFolder(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  void Sync() override {
    if (fsync(fd_.get()) != 0) {
      FailSync(path_);
    }
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class RealDisk : public Disk {
 public:
  std::unique_ptr<File> Open(const std::string& path, OpenMode mode) override {
    int flags = O_CLOEXEC | (mode == OpenMode::kRead     ? O_RDONLY
                             : mode == OpenMode::kCreate ? O_RDWR | O_CREAT | O_EXCL
                                                         : O_RDWR);
    Descriptor fd(open(path.c_str(), flags, 0644));
    if (!fd) {
      Fail(mode == OpenMode::kCreate ? "create" : "open", path);
    }
    return std::make_unique<RealFile>(std::move(fd), path);
  }

  std::unique_ptr<File> TryOpen(const std::string& path) override {
    Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd && errno == ENOENT) {
      return nullptr;
    }
    if (!fd) {
      Fail("open", path);
    }
    return std::make_unique<RealFile>(std::move(fd), path);
  }

  bool Exists(const std::string& path) override {
    struct stat info;
    if (stat(path.c_str(), &info) == 0) {
      return true;
    }
    if (errno != ENOENT) {
      Fail("look at", path);
    }
    return false;
  }

  std::vector<std::string> List(const std::string& directory) override {
    std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(directory.c_str()), closedir);
    if (!folder) {
      Fail("list", directory);
    }
    std::vector<std::string> names;
    errno = 0;
    while (dirent* entry = readdir(folder.get())) {
      std::string_view name = entry->d_name;
      if (name != "." && name != "..") {
        names.emplace_back(name);
      }
    }
    if (errno != 0) {
      Fail("list", directory);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  void MakeDirectories(const std::string& path) override {
    if (path.empty()) {
      return;
    }
    std::string parent = std::filesystem::path(path).parent_path().string();
    bool is_there = Exists(path);
    if (!is_there) {
      MakeDirectories(parent);
      if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
        Fail("create folder", path);
      }
    }
    // Also of a folder that is there: who made it may have been killed before its name was synced.
    // Those above it were synced before it was made.
    Descriptor fd(open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd && errno == EACCES && is_there) {
      return;  // a parent that cannot be opened is not one in which this process makes folders
    }
    if (!fd) {
      Fail("open folder", parent);
    }
    if (fsync(fd.get()) != 0) {
      FailSync(parent);
    }
  }

  void Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) != 0) {
      Fail("rename", from);
    }
  }

  void Remove(const std::string& path) override {
    if (unlink(path.c_str()) != 0) {
      Fail("remove", path);
    }
  }

  bool RemoveEmptyFolder(const std::string& path) override { return rmdir(path.c_str()) == 0; }

  void SyncDirectory(const std::string& path) override {
    RealFolder(OpenedFolder(path), path).Sync();
  }

  std::unique_ptr<Folder> OpenFolder(const std::string& path) override {
    return std::make_unique<RealFolder>(OpenedFolder(path), path);
  }

  std::shared_ptr<void> Lock(const std::string& path) override {
    auto fd = std::make_shared<Descriptor>(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!*fd) {
      Fail("open", path);
    }
    if (flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) {
        Fail("lock", path);
      }
      ThrowHeld(path, *fd);
    }
    // The pid is for people; the lock itself is the kernel's and ends with the process.
    std::string pid = fmt::format("{}\n", getpid());
    if (ftruncate(fd->get(), 0) != 0 ||
        pwrite(fd->get(), pid.data(), pid.size(), 0) != ssize_t(pid.size())) {
      Fail("write", path);
    }
    return fd;
  }

  std::shared_ptr<void> LockFolder(const std::string& path) override {
    auto fd = std::make_shared<Descriptor>(OpenedFolder(path));
    if (flock(fd->get(), LOCK_EX | LOCK_NB) == 0) {
      return fd;
    }
    if (errno == EWOULDBLOCK) {
      ThrowHeld(path, Descriptor(open((path + "/LOCK").c_str(), O_RDONLY | O_CLOEXEC)));
    }
    return nullptr;  // some network file systems: the file LOCK alone must do
  }

  DiskSpace SpaceOf(const std::string& directory) override {
    struct statvfs space;
    if (statvfs(directory.c_str(), &space) != 0 || space.f_blocks == 0) {
      return {};
    }
    return {uint64_t{space.f_frsize} * space.f_blocks, uint64_t{space.f_frsize} * space.f_bavail};
  }

  std::string NativePath(const std::string& path) override {
    return std::filesystem::absolute(path).string();
  }

 private:
  // `lock` holds the holder's pid, when it is open.
  [[noreturn]] static void ThrowHeld(const std::string& path, const Descriptor& lock) {
    char holder[32] = {};
    ssize_t n = lock ? pread(lock.get(), holder, sizeof holder - 1, 0) : 0;
    std::string pid(holder, std::max<ssize_t>(n, 0));
    pid.erase(std::find(pid.begin(), pid.end(), '\n'), pid.end());
    throw Error(ErrorCode::kUnavailable,
                fmt::format("\"{}\" is held by process {}", path, pid.empty() ? "?" : pid),
                "Stop that process, or use another data folder.");
  }
};

}  // namespace

std::unique_ptr<Disk> MakeRealDisk() { return std::make_unique<RealDisk>(); }

}  // namespace weir
