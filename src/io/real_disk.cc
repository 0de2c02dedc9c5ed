// The machine's disk, by plain system calls.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "io/disk.h"

namespace weir {

namespace {

std::string Describe(std::string_view action, std::string_view path, int error) {
  return fmt::format("cannot {} \"{}\": {}", action, path, strerror(error));
}

[[noreturn]] void Fail(std::string_view action, std::string_view path) {
  int error = errno;
  if (error == ENOSPC || error == EDQUOT) {
    throw Error(ErrorCode::kUnavailable, Describe(action, path, error),
                "Free some space on the disk, then try again.");
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
  }

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

  bool Exists(const std::string& path) override {
    struct stat info;
    return stat(path.c_str(), &info) == 0;
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
    if (path.empty() || Exists(path)) {
      return;
    }
    std::string parent = std::filesystem::path(path).parent_path().string();
    MakeDirectories(parent);
    if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
      Fail("create folder", path);
    }
    SyncDirectory(parent.empty() ? "." : parent);
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

  void SyncDirectory(const std::string& path) override {
    Descriptor fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
      Fail("open folder", path);
    }
    if (fsync(fd.get()) != 0) {
      FailSync(path);
    }
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
      char holder[32] = {};
      ssize_t n = pread(fd->get(), holder, sizeof holder - 1, 0);
      std::string pid(holder, std::max<ssize_t>(n, 0));
      pid.erase(std::find(pid.begin(), pid.end(), '\n'), pid.end());
      throw Error(ErrorCode::kUnavailable,
                  fmt::format("\"{}\" is held by process {}", path, pid.empty() ? "?" : pid),
                  "Stop that process, or use another data folder.");
    }
    // The pid is for people; the lock itself is the kernel's and ends with the process.
    std::string pid = fmt::format("{}\n", getpid());
    if (ftruncate(fd->get(), 0) != 0 ||
        pwrite(fd->get(), pid.data(), pid.size(), 0) != ssize_t(pid.size())) {
      Fail("write", path);
    }
    return fd;
  }

  std::string NativePath(const std::string& path) override {
    return std::filesystem::absolute(path).string();
  }
};

}  // namespace

std::unique_ptr<Disk> MakeRealDisk() { return std::make_unique<RealDisk>(); }

}  // namespace weir
