// Pages of memory that can stand in a file instead: their addresses stay, and the machine may give
// their memory to others and read them again when they are touched.
//
// The file has no name: it is gone with the process, whatever ends it.  A page that goes there is
// written and mapped over where it stood; whoever reads it meanwhile sees the same bytes.  A page
// is written by one thread at a time, and only that thread may move or free it; all else is
// thread-safe.  A page that the disk does not give back reads as zeros from then on, and counts as
// lost (io/lost_pages.h).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace weir {

class PageFile {
 public:
  static constexpr size_t kPageBytes = 256 << 10;

  // `directory` is one of the machine's (Disk::NativePath); "": there is no file.
  // At most `bytes_max` stand in the file.
  PageFile(std::string directory, uint64_t bytes_max);
  ~PageFile();
  PageFile(const PageFile&) = delete;

  // The memory is zero.  REQUIRES: `bytes` is a multiple of kPageBytes.
  std::byte* Allocate(size_t bytes);
  // REQUIRES, as MoveToFile: what Allocate gave, in one piece.
  void Free(std::byte* begin, size_t bytes, bool in_file);
  // False when the file may hold no more.  Throws Error(kUnavailable) when little is left of the
  // disk (the log needs it more), and DiskFailure when it fails; the page stays in memory then.
  bool MoveToFile(std::byte* begin, size_t bytes);

  uint64_t BytesInMemory() const;
  uint64_t BytesInFile() const;

 private:
  // Pages are cut from extents, whose places in the file follow one another as they do in memory:
  // mappings that touch are one to the machine, which allows some 65,000 of them.
  struct Extent {
    std::byte* begin;
    size_t bytes;
    uint64_t position;  // in the file
  };
  static constexpr size_t kExtentBytes = 16 << 20;
  static constexpr uint64_t kLeftForOthers = 512 << 20;

  const Extent& ExtentOf(const std::byte* begin, size_t bytes) const;
  void CheckInvariants() const;  // under mutex_
  std::optional<off_t> Reserve(const std::byte* begin, size_t bytes);
  void Write(std::byte* begin, size_t bytes, off_t position);
  std::byte* AddExtent(size_t bytes, size_t block);

  std::string directory_;
  uint64_t bytes_max_;
  int file_ = -1;

  mutable std::mutex mutex_;
  std::vector<Extent> extents_;   // by address
  std::vector<std::byte*> free_;  // pages; there is room for all of them
  size_t pages_ = 0;              // of shared extents
  uint64_t end_ = 0;              // of the file
  uint64_t in_memory_ = 0, in_file_ = 0;
};

}  // namespace weir
