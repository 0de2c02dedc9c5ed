// The lake's files as they are now: what the manifest says, kept in memory, with pins.
//
// Publishing replaces the manifest on disk first and the set in memory second; files that are no
// longer in it are removed once nobody has them pinned.  What a crash leaves behind (files written
// but not published, files replaced but not removed) is listed in a file of its own before it can
// exist, and removed at the next start.
// Thread-safe; publishing is for one thread.  Owned by the lake.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "io/disk.h"
#include "lake/manifest.h"

namespace weir {

constexpr Micros kHour = 3'600'000'000;  // what a file's rows have in common

struct PublishedFile : ManifestFile {
  std::string native_path;
};
using PublishedFilePtr = std::shared_ptr<const PublishedFile>;

class LakeFiles {
 public:
  LakeFiles(Disk& disk, std::string directory);

  Offset Landed() const;
  std::vector<PublishedFilePtr> All() const;

  // What has landed of some streams, all at one position: for each the files with rows in
  // (after, up_to], in order.
  struct Part {
    Offset landed;
    std::vector<std::vector<PublishedFilePtr>> files;
  };
  Part Of(const std::vector<StreamId>& streams, Offset after, Offset up_to) const;

  // The path (below the lake's folder) of a file of these rows; makes its folder.
  std::string Place(const Stream& stream, int64_t hour, Offset first, Offset last);
  std::string FullPath(const std::string& path) const { return directory_ + "/" + path; }
  // Where a file is written before it has its name.
  static std::string TemporaryPath(const std::string& path);

  // Says that these files may come to exist before the next Publish; removes those of an earlier
  // call that was never published.
  void Intend(const std::vector<std::string>& paths);
  // Adds and removes files and moves the landed position, all at once, durable when it returns.
  void Publish(Offset landed, const std::vector<ManifestFile>& added,
               std::vector<PublishedFilePtr> removed);

 private:
  void RemoveLeftovers();
  void SweepRemoved();
  void SaveIntentions(const std::vector<std::string>& paths);

  Disk& disk_;
  const std::string directory_;
  mutable std::mutex mutex_;
  Offset landed_;
  std::map<uint32_t, std::string> folders_;
  std::map<uint32_t, std::vector<PublishedFilePtr>> files_;  // by stream
  std::vector<PublishedFilePtr> removed_;  // still on disk; publisher's thread only
  std::vector<std::string> intended_;      // the same
  std::set<std::string> made_;             // folders known to exist; the same
};

}  // namespace weir
