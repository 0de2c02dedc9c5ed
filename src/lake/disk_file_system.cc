#include "lake/disk_file_system.h"

#include <cstring>
#include <string_view>

namespace weir {
namespace {

// Parquet is written a column chunk at a time; this much is put together before it goes out.
constexpr size_t kWriteBuffer = 1 << 20;

class DiskHandle : public duckdb::FileHandle {
 public:
  DiskHandle(duckdb::FileSystem& system, std::string path, duckdb::FileOpenFlags flags,
             std::unique_ptr<File> file)
      : FileHandle(system, std::move(path), flags), file_(std::move(file)) {}

  void Close() override {
    if (file_) Flush();
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
    position += bytes.size();
    if (buffer_.size() >= kWriteBuffer) Flush();
  }

  void Flush() {
    if (buffer_.empty()) return;
    file_->Write(written_, buffer_);
    written_ += buffer_.size();
    buffer_.clear();
  }

  File& file() { return *file_; }
  uint64_t Size() { return file_->Size() + buffer_.size(); }

  uint64_t position = 0;

 private:
  std::unique_ptr<File> file_;
  std::string buffer_;
  uint64_t written_ = 0;
};

class DiskFileSystem : public duckdb::FileSystem {
 public:
  explicit DiskFileSystem(Disk& disk) : disk_(disk) {}

  std::string GetName() const override { return "weir"; }
  bool CanHandleFile(const std::string& path) override { return path.starts_with(kDiskPrefix); }
  bool CanSeek() override { return true; }
  bool OnDiskFile(duckdb::FileHandle&) override { return true; }

  duckdb::unique_ptr<duckdb::FileHandle> OpenFile(
      const std::string& path, duckdb::FileOpenFlags flags,
      duckdb::optional_ptr<duckdb::FileOpener>) override {
    std::string name = Strip(path);
    if (flags.OpenForWriting()) {
      if (disk_.Exists(name)) disk_.Remove(name);
      return duckdb::make_uniq<DiskHandle>(*this, path, flags, disk_.Open(name, OpenMode::kCreate));
    }
    if (flags.ReturnNullIfNotExists() && !disk_.Exists(name)) return nullptr;
    return duckdb::make_uniq<DiskHandle>(*this, path, flags, disk_.Open(name, OpenMode::kRead));
  }

  void Read(duckdb::FileHandle& handle, void* buffer, int64_t size,
            duckdb::idx_t location) override {
    std::span<char> span(static_cast<char*>(buffer), static_cast<size_t>(size));
    if (Of(handle).ReadAt(location, span) != span.size()) {
      throw Error(ErrorCode::kCorruption, "lake file \"" + Strip(handle.path) + "\" is cut short");
    }
  }

  int64_t Read(duckdb::FileHandle& handle, void* buffer, int64_t size) override {
    auto& file = Of(handle);
    size_t got =
        file.ReadAt(file.position, {static_cast<char*>(buffer), static_cast<size_t>(size)});
    file.position += got;
    return static_cast<int64_t>(got);
  }

  int64_t Write(duckdb::FileHandle& handle, void* buffer, int64_t size) override {
    Of(handle).Append({static_cast<const char*>(buffer), static_cast<size_t>(size)});
    return size;
  }

  int64_t GetFileSize(duckdb::FileHandle& handle) override {
    return static_cast<int64_t>(Of(handle).Size());
  }
  // A lake file never changes once it is published.
  duckdb::timestamp_t GetLastModifiedTime(duckdb::FileHandle&) override {
    return duckdb::timestamp_t(0);
  }
  duckdb::FileType GetFileType(duckdb::FileHandle&) override {
    return duckdb::FileType::FILE_TYPE_REGULAR;
  }
  void FileSync(duckdb::FileHandle& handle) override {
    Of(handle).Flush();
    Of(handle).file().Sync();
  }
  void Seek(duckdb::FileHandle& handle, duckdb::idx_t location) override {
    Of(handle).position = location;
  }
  void Reset(duckdb::FileHandle& handle) override { Of(handle).position = 0; }
  duckdb::idx_t SeekPosition(duckdb::FileHandle& handle) override { return Of(handle).position; }

  bool FileExists(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener>) override {
    return disk_.Exists(Strip(path));
  }
  void RemoveFile(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener>) override {
    disk_.Remove(Strip(path));
  }
  bool TryRemoveFile(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener>) override {
    if (!disk_.Exists(Strip(path))) return false;
    disk_.Remove(Strip(path));
    return true;
  }
  duckdb::vector<duckdb::OpenFileInfo> Glob(const std::string& path, duckdb::FileOpener*) override {
    return {duckdb::OpenFileInfo(path)};
  }

 private:
  static DiskHandle& Of(duckdb::FileHandle& handle) { return handle.Cast<DiskHandle>(); }
  static std::string Strip(const std::string& path) {
    return path.substr(std::strlen(kDiskPrefix));
  }

  Disk& disk_;
};

}  // namespace

duckdb::unique_ptr<duckdb::FileSystem> MakeDiskFileSystem(Disk& disk) {
  return duckdb::make_uniq<DiskFileSystem>(disk);
}

}  // namespace weir
