#include "io/disk/atomic_file.h"

#include <filesystem>

namespace weir {

namespace {

std::string FolderOfFile(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

AtomicFile::AtomicFile(Disk& disk, std::string path)
    : disk_(disk),
      path_(std::move(path)),
      temporary_(path_ + ".tmp"),
      folder_(disk.OpenFolder(FolderOfFile(path_))) {
  ASSERT(!path_.empty() && path_.back() != '/');
  if (disk_.Exists(temporary_)) {
    disk_.Remove(temporary_);
  }
  file_ = disk_.Open(temporary_, OpenMode::kCreate);
}

AtomicFile::~AtomicFile() {
  if (!file_) {
    return;
  }
  file_.reset();
  try {
    disk_.Remove(temporary_);
  } catch (const Error&) {
    // It is removed by the next attempt.
  }
}

void AtomicFile::Append(std::string_view bytes) {
  file_->Write(size_, bytes);
  size_ += bytes.size();
}

void AtomicFile::Overwrite(uint64_t position, std::string_view bytes) {
  ASSERT(position + bytes.size() <= size_);
  file_->Write(position, bytes);
}

void AtomicFile::Commit() {
  ASSERT(file_);
  file_->Sync();
  try {
    disk_.Rename(temporary_, path_);
  } catch (const DiskFailure& failure) {
    file_.reset();  // who knows whose name it has
    throw OutcomeUnknown(failure.message);
  }
  file_.reset();
  try {
    folder_->Sync();
  } catch (const Error& failure) {
    throw OutcomeUnknown(failure.message);
  }
}

}  // namespace weir
