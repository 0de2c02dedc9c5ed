// A file that takes its name only when it is whole and on the disk: temporary file (PATH.tmp),
// sync, rename, sync of the folder.  Whatever happens, PATH holds all of the old bytes or all of
// the new.
//
// A failure before the rename leaves the old file as it was; the next attempt begins with a new
// temporary file, so what a failed sync has lost does no harm.  From the rename on, a failure
// throws OutcomeUnknown.  Every call throws Error(kUnavailable) when the disk is full (nothing has
// changed) and DiskFailure for all else.  One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "io/disk/disk.h"

namespace weir {

class AtomicFile {
 public:
  AtomicFile(Disk& disk, std::string path);  // REQUIRES: the path of a file
  ~AtomicFile();  // not committed: the old file stays, and the room is given back
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Append(std::string_view bytes);
  // Writes over bytes that were appended: a header that is known last.
  void Overwrite(uint64_t position, std::string_view bytes);
  uint64_t Size() const { return size_; }

  void Commit();  // once, at the end

 private:
  Disk& disk_;
  const std::string path_, temporary_;
  std::unique_ptr<Folder> folder_;
  std::unique_ptr<File> file_;
  uint64_t size_ = 0;
};

}  // namespace weir
