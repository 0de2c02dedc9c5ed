// Our Disk as a DuckDB file system: paths that start with "weir:" are files of the Disk, so that
// Parquet is written and read through the same seam as everything else (and can be put on a
// simulated disk, or elsewhere), and what is read is checked.  Owned by the DuckDB instance it is
// registered with; the Disk and the DiskFiles outlive it.
#pragma once

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "duckdb/common/file_system.hpp"
#include "io/disk/disk.h"
#include "lake/sealed_file.h"

namespace weir {

inline constexpr char kDiskPrefix[] = "weir:";

// What the file system is told of its files, and tells.  Thread-safe.
class DiskFiles {
 public:
  void Expect(const ParquetFile& file);
  void Forget();  // all of them
  std::unique_ptr<File> Open(Disk& disk, const std::string& path) const;

  // Before anything is opened: called at each read and write, and may throw.
  void CheckAtFiles(std::function<void()> check) { check_ = std::move(check); }
  void Check() const { check_(); }

  void NoteFailure(std::exception_ptr failure);
  // DuckDB tells of what a file system throws in words of its own: here is the thing itself, the
  // first since it was asked for.
  std::exception_ptr TakeFailure();

 private:
  mutable std::mutex mutex_;
  std::map<std::string, ParquetFile> files_;
  std::exception_ptr failure_;
  std::function<void()> check_ = [] {};
};

duckdb::unique_ptr<duckdb::FileSystem> MakeDiskFileSystem(Disk& disk, DiskFiles& files);

}  // namespace weir
