#include "lake/disk_file_system.h"

#include <cstring>
#include <string_view>
#include <utility>

namespace weir {
namespace {

// Parquet is written a column chunk at a time; this much is put together before it goes out.
constexpr size_t kWriteBuffer = 1 << 20;

class DiskHandle : public duckdb::FileHandle {
 public:
  DiskHandle(duckdb::FileSystem& system, std::string path, duckdb::FileOpenFlags flags,
             std::unique_ptr<File> file, DiskFiles& files)
      : FileHandle(system, std::move(path), flags), file_(std::move(file)), files_(files) {}

  void Close() override {
    try {
      if (file_) Flush();
    } catch (...) {
      files_.NoteFailure(std::current_exception());
      throw;
    }
    file_.reset();
  }

  size_t ReadAt(uint64_t position, std::span<char> buffer) {
    size_t done = 0;
    while (done < buffer.size()) {
      size_t got = file_->Read(position + done, buffer.subspan(done));
      if (got == 0) break;
      done += got;
    }
    return done;
  }

  void Append(std::string_view bytes) {
    buffer_.append(bytes);
    if (buffer_.size() >= kWriteBuffer) Flush();
  }

  void Flush() {
    if (buffer_.empty()) return;
    file_->Write(written_, buffer_);
    written_ += buffer_.size();
    buffer_.clear();
  }

  uint64_t Size() { return file_->Size() + buffer_.size(); }

 private:
  std::unique_ptr<File> file_;
  DiskFiles& files_;
  std::string buffer_;
  uint64_t written_ = 0;
};

// What Parquet files are read and written with, and no more: all else is "not implemented".
class DiskFileSystem : public duckdb::FileSystem {
 public:
  DiskFileSystem(Disk& disk, DiskFiles& files) : disk_(disk), files_(files) {}

  std::string GetName() const override { return "weir"; }
  bool CanHandleFile(const std::string& path) override { return path.starts_with(kDiskPrefix); }
  bool CanSeek() override { return true; }
  bool OnDiskFile(duckdb::FileHandle&) override { return true; }

  duckdb::unique_ptr<duckdb::FileHandle> OpenFile(
      const std::string& path, duckdb::FileOpenFlags flags,
      duckdb::optional_ptr<duckdb::FileOpener>) override {
    std::string name = Strip(path);
    return Noted([&]() -> duckdb::unique_ptr<duckdb::FileHandle> {
      std::unique_ptr<File> file;
      if (flags.OpenForWriting()) {
        if (disk_.Exists(name)) disk_.Remove(name);
        file = disk_.Open(name, OpenMode::kCreate);
      } else {
        if (flags.ReturnNullIfNotExists() && !disk_.Exists(name)) return nullptr;
        file = files_.Open(disk_, name);
      }
      return duckdb::make_uniq<DiskHandle>(*this, path, flags, std::move(file), files_);
    });
  }

  void Read(duckdb::FileHandle& handle, void* buffer, int64_t size,
            duckdb::idx_t location) override {
    CHECK(size >= 0);
    std::span<char> span(static_cast<char*>(buffer), static_cast<size_t>(size));
    Noted([&] {
      files_.Check();
      if (Of(handle).ReadAt(location, span) == span.size()) return;
      throw Error(ErrorCode::kCorruption, "lake file \"" + Strip(handle.path) + "\" is cut short");
    });
  }

  int64_t Write(duckdb::FileHandle& handle, void* buffer, int64_t size) override {
    Noted([&] {
      files_.Check();
      Of(handle).Append({static_cast<const char*>(buffer), static_cast<size_t>(size)});
    });
    return size;
  }

  int64_t GetFileSize(duckdb::FileHandle& handle) override {
    return static_cast<int64_t>(Noted([&] { return Of(handle).Size(); }));
  }
  // A lake file never changes once it is published.
  duckdb::timestamp_t GetLastModifiedTime(duckdb::FileHandle&) override {
    return duckdb::timestamp_t(0);
  }
  duckdb::FileType GetFileType(duckdb::FileHandle&) override {
    return duckdb::FileType::FILE_TYPE_REGULAR;
  }

  bool FileExists(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener>) override {
    return Noted([&] { return disk_.Exists(Strip(path)); });
  }
  bool TryRemoveFile(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener>) override {
    return Noted([&] {
      if (!disk_.Exists(Strip(path))) return false;
      disk_.Remove(Strip(path));
      return true;
    });
  }
  duckdb::vector<duckdb::OpenFileInfo> Glob(const std::string& path, duckdb::FileOpener*) override {
    return {duckdb::OpenFileInfo(path)};
  }

 private:
  static DiskHandle& Of(duckdb::FileHandle& handle) { return handle.Cast<DiskHandle>(); }
  static std::string Strip(const std::string& path) {
    CHECK(path.starts_with(kDiskPrefix));
    return path.substr(std::strlen(kDiskPrefix));
  }

  template <typename Work>
  auto Noted(Work work) -> decltype(work()) {
    try {
      return work();
    } catch (...) {
      files_.NoteFailure(std::current_exception());
      throw;
    }
  }

  Disk& disk_;
  DiskFiles& files_;
};

}  // namespace

void DiskFiles::Expect(const ParquetFile& file) {
  std::lock_guard lock(mutex_);
  files_[file.path] = file;
}

void DiskFiles::Forget() {
  std::lock_guard lock(mutex_);
  files_.clear();
}

std::unique_ptr<File> DiskFiles::Open(Disk& disk, const std::string& path) const {
  ParquetFile expected;
  {
    std::lock_guard lock(mutex_);
    if (auto found = files_.find(path); found != files_.end()) expected = found->second;
  }
  if (expected.path.empty()) return disk.Open(path, OpenMode::kRead);
  return OpenSealed(disk, expected);
}

void DiskFiles::NoteFailure(std::exception_ptr failure) {
  std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::move(failure);
}

std::exception_ptr DiskFiles::TakeFailure() {
  std::lock_guard lock(mutex_);
  return std::exchange(failure_, nullptr);
}

duckdb::unique_ptr<duckdb::FileSystem> MakeDiskFileSystem(Disk& disk, DiskFiles& files) {
  return duckdb::make_uniq<DiskFileSystem>(disk, files);
}

}  // namespace weir
