#include "query/answer_file.h"

namespace weir {
namespace {

constexpr size_t kBufferBytes = 256 << 10;

class AnswerHandle : public duckdb::FileHandle {
 public:
  AnswerHandle(duckdb::FileSystem& system, const std::string& path, duckdb::FileOpenFlags flags)
      : FileHandle(system, path, flags) {}
  void Close() override {}
  uint64_t written = 0;
};

class AnswerFileSystem : public duckdb::FileSystem {
 public:
  explicit AnswerFileSystem(AnswerFile& file) : file_(file) {}
  std::string GetName() const override { return "answer"; }
  bool CanHandleFile(const std::string& path) override { return path == kAnswerPath; }
  duckdb::unique_ptr<duckdb::FileHandle> OpenFile(
      const std::string& path, duckdb::FileOpenFlags flags,
      duckdb::optional_ptr<duckdb::FileOpener>) override {
    return duckdb::make_uniq<AnswerHandle>(*this, path, flags);
  }
  int64_t Write(duckdb::FileHandle& handle, void* buffer, int64_t size) override {
    file_.Append(static_cast<const char*>(buffer), static_cast<size_t>(size));
    handle.Cast<AnswerHandle>().written += static_cast<uint64_t>(size);
    return size;
  }
  int64_t GetFileSize(duckdb::FileHandle& handle) override {
    return static_cast<int64_t>(handle.Cast<AnswerHandle>().written);
  }
  duckdb::idx_t SeekPosition(duckdb::FileHandle& handle) override {
    return handle.Cast<AnswerHandle>().written;
  }
  duckdb::FileType GetFileType(duckdb::FileHandle&) override {
    return duckdb::FileType::FILE_TYPE_REGULAR;
  }
  void FileSync(duckdb::FileHandle&) override {}
  bool FileExists(const std::string&, duckdb::optional_ptr<duckdb::FileOpener>) override {
    return false;
  }
  bool TryRemoveFile(const std::string&, duckdb::optional_ptr<duckdb::FileOpener>) override {
    return false;
  }
  bool CanSeek() override { return false; }
  bool OnDiskFile(duckdb::FileHandle&) override { return false; }

 private:
  AnswerFile& file_;
};

}  // namespace

duckdb::unique_ptr<duckdb::FileSystem> AnswerFile::MakeFileSystem() {
  return duckdb::make_uniq<AnswerFileSystem>(*this);
}

void AnswerFile::Append(const char* bytes, size_t size) {
  buffer_.append(bytes, size);
  if (buffer_.size() >= kBufferBytes) Flush();
}

void AnswerFile::Flush() {
  if (buffer_.empty() || !out_) return;
  out_(std::move(buffer_));
  buffer_.clear();
}

}  // namespace weir
