// Where the manifest is kept: a snapshot, and beside it the changes since, to which each
// publication appends one line.
//
// So a publication costs what it changes, not what the lake holds; a snapshot is written again when
// the changes have become longer than it.  A snapshot has a number, and its changes are in a file
// of that number: when a new one takes its place, older changes count no more. One thread at a
// time.  Borrows the disk.  Layout: docs/internals/lake.md.
#pragma once

#include <memory>
#include <string>

#include "io/disk/disk.h"
#include "io/disk/small_file.h"
#include "lake/manifest.h"

namespace weir {

class ManifestStore {
 public:
  ManifestStore(Disk& disk, std::string directory);

  // An empty one when there is none yet.  Throws Error(kCorruption).
  // REQUIRES: nothing was saved before.
  Manifest Load();

  // Load left out a last change that is not whole: it was being written when a life ended, or has
  // been damaged since.
  bool Torn() const { return torn_; }

  // What is on the disk is known, and stays whatever happens.  False after Load (who wrote it may
  // not have come as far as to sync it) and after a call that threw; a snapshot makes it true.
  bool Certain() const { return certain_; }
  // The changes have become long enough for a snapshot.
  bool WantsSnapshot() const;

  // Durable when they return.  When they throw, nobody knows which state a crash leaves: the old
  // one or the new.
  void SaveSnapshot(Manifest& manifest);      // gives it its number
  void Append(const ManifestChange& change);  // REQUIRES: Certain

 private:
  SmallFile SnapshotFile() const;
  std::string ChangesPath(uint64_t number) const;
  void RemoveOldChanges();

  Disk& disk_;
  const std::string directory_;
  uint64_t number_ = 0;            // of the last snapshot that was tried
  uint64_t snapshot_bytes_ = 0;    // its length
  uint64_t changes_bytes_ = 0;     // of the changes since
  std::unique_ptr<File> changes_;  // open once there are some
  bool certain_ = false, torn_ = false;
};

}  // namespace weir
