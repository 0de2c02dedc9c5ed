// Files and folders: the only way Weir touches a disk.  RealDisk is the machine's; SimulatedDisk
// (io/simulated_disk.h) drops, reorders and tears what was not synced.
//
// Every failure throws Error(kUnavailable, ...) for a full disk and DiskFailure for anything else;
// after a failed sync the file must not be used again (its bytes are unknown).
// A Disk is thread-safe; a File may be read by many threads and written by one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace weir {

class DiskFailure : public Error {
 public:
  explicit DiskFailure(std::string message) : Error(ErrorCode::kUnavailable, std::move(message)) {}
};

// A change of which nobody knows whether it happened: it may be seen now and be gone after a power
// cut, or the other way round.  Nobody may go on as if it had not happened, nor as if it had.
class OutcomeUnknown : public DiskFailure {
 public:
  using DiskFailure::DiskFailure;
};

class File {
 public:
  virtual ~File() = default;
  // Reads up to buffer.size() bytes; returns how many there were.
  virtual size_t Read(uint64_t position, std::span<char> buffer) = 0;
  virtual void Write(uint64_t position, std::string_view bytes) = 0;
  virtual void Sync() = 0;  // data and size are on the disk when it returns
  // Writes the parts one after the other; on the disk when it returns.  The way to append to a log:
  // nothing is copied that need not be, and a small write costs one trip to the device.
  virtual void WriteDurably(uint64_t position, std::span<const std::string_view> parts);
  // Forgets what is cached, so that the next read comes from the disk itself.
  virtual void DropCached() {}
  virtual uint64_t Size() = 0;
  virtual void Truncate(uint64_t size) = 0;
  // Reserves space, so that later writes inside it do not fail for want of it.  REQUIRES: some.
  virtual void Allocate(uint64_t size) = 0;
};

enum class OpenMode { kRead, kReadWrite, kCreate };  // kCreate: must not exist

// A folder that is held open: to sync its names later takes no file descriptor that might be
// missing then.
class Folder {
 public:
  virtual ~Folder() = default;
  virtual void Sync() = 0;  // what was created, renamed and removed in it is on the disk
};

// Of a file system: what there is in all, and what is left for those who are not root.  Where it
// cannot say: as much as can be.
struct DiskSpace {
  uint64_t total = UINT64_MAX, free = UINT64_MAX;
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual std::unique_ptr<File> Open(const std::string& path, OpenMode mode) = 0;
  // To read; nothing when there is no such file, and only then: whatever else keeps it from being
  // opened is an error, and so is a symbolic link in its place.
  virtual std::unique_ptr<File> TryOpen(const std::string& path) = 0;
  // False when there is nothing of that name, and only then.
  virtual bool Exists(const std::string& path) = 0;
  virtual std::vector<std::string> List(const std::string& directory) = 0;  // names, sorted
  virtual void MakeDirectories(const std::string& path) = 0;  // durable when it returns
  virtual void Rename(const std::string& from, const std::string& to) = 0;
  virtual void Remove(const std::string& path) = 0;
  // False when it is not empty, or stays for another reason.  A crash may bring it back, empty.
  virtual bool RemoveEmptyFolder(const std::string& path) = 0;
  virtual void SyncDirectory(const std::string& path) = 0;
  virtual std::unique_ptr<Folder> OpenFolder(const std::string& path) = 0;
  // Holds an exclusive lock until the handle is gone; throws Error(kUnavailable) naming the holder.
  virtual std::shared_ptr<void> Lock(const std::string& path) = 0;
  // The same of a folder itself, which nobody can remove without what is in it; `path`/LOCK, when
  // it is there, names the holder.  Holds nothing on file systems that cannot lock folders.
  virtual std::shared_ptr<void> LockFolder(const std::string& path) = 0;
  // Of the file system that a folder is on.
  virtual DiskSpace SpaceOf(const std::string& directory) = 0;
  // A path other processes and libraries can open, where there is one.
  virtual std::string NativePath(const std::string& path) = 0;
};

// Whole files without a header (io/small_file.h has one), replaced atomically (io/atomic_file.h).
void WriteFileAtomically(Disk& disk, const std::string& path, std::string_view bytes);
std::string ReadWholeFile(Disk& disk, const std::string& path);  // "" when it does not exist
// All that a file holds.
std::string ReadAll(File& file, const std::string& path);

std::unique_ptr<Disk> MakeRealDisk();

}  // namespace weir
