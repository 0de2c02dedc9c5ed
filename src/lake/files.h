// The lake's files as they are now: what the manifest says, kept in memory, with pins.
//
// Publishing replaces the manifest on disk first and the set in memory second; files that are no
// longer in it are removed once nobody has them pinned.  What a crash leaves behind (files written
// but not published, files replaced but not removed) is listed in a file of its own before it can
// exist, and removed at the next start.
//
// A publication whose write throws may have happened or not: nobody knows which manifest the disk
// will show after a crash.  It stays pending; until Settle has written it again, whole, nothing is
// intended, published or removed, so that every file that either manifest names is there.  The same
// holds for a manifest that was just read, since who wrote it may have failed to sync it.
// Thread-safe; Settle, Place, Intend and Publish are for one thread.  Owned by the lake.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "io/disk/disk.h"
#include "lake/disk_file_system.h"
#include "lake/manifest_store.h"

namespace weir {

struct PublishedFile : ManifestFile {
  std::string native_path;
};

// The file as it is to be read: `path` is where, `stream` a name for people.
ParquetFile Readable(const ManifestFile& file, const std::string& path, const std::string& stream);
using PublishedFilePtr = std::shared_ptr<const PublishedFile>;
// The files of a stream and a day, in order of offset; never empty.
using FileList = std::vector<PublishedFilePtr>;
using FileListPtr = std::shared_ptr<const FileList>;

// A day of a stream's arrivals (ManifestFile::Day): what changes together, so that no step costs
// more for a lake that is old.
struct StreamDay {
  uint32_t stream;
  int64_t day;
  auto operator<=>(const StreamDay&) const = default;
};

class LakeFiles {
 public:
  // Throws Error(kCorruption) for a damaged manifest.  Files that are missing or have another size
  // are damage, which `Damaged` tells.
  LakeFiles(Disk& disk, std::string directory);
  // Removes what a life before has left behind; once it is known that the log goes on where the
  // lake ends.  On a full disk it stays until there is room.  REQUIRES: nothing was intended yet.
  void RemoveLeftovers();

  Offset Landed() const;
  Offset LandedOf(StreamId stream) const;  // less for a stream that is held back
  Offset LeastLanded() const;              // of all streams: the log may forget this far
  std::map<uint32_t, Offset> Held() const;
  FileList All() const;                    // costs what there is: for starts and daily rounds
  FileListPtr OfDay(StreamDay day) const;  // null: none

  // How much there is of each stream that has files.
  struct Total {
    uint64_t files = 0, rows = 0, bytes = 0;
    Offset last;
  };
  std::map<uint32_t, Total> Totals() const;
  // Rows of a stream up to here arrived before a time.
  Offset ArrivedBefore(StreamId stream, Micros time) const;
  // Behind here stand so many rows of a stream, and as many more as its file there has; or all.
  Offset BeforeLast(StreamId stream, uint64_t rows) const;

  // The days of which files came, went, or were found sound since the last call; the first time:
  // all.
  std::set<StreamDay> TakeTouched();

  // What has landed of some streams, all as of one moment: for each how far, and the files with
  // rows in (after, up_to], in order.
  struct Part {
    std::vector<Offset> landed;
    std::vector<FileList> files;
  };
  Part Of(const std::vector<StreamId>& streams, Offset after, Offset up_to) const;

  // The path (below the lake's folder) of a file of these rows; makes its folder.
  std::string Place(const Stream& stream, int64_t hour, Offset first, Offset last);
  // The same for one that takes the place of files of one stream and day, in order; at least two.
  std::string PlaceMerged(const FileList& files);
  std::string FullPath(const std::string& path) const { return directory_ + "/" + path; }
  // Where a file is written before it has its name.
  static std::string TemporaryPath(const std::string& path);

  // Makes sure that what is on the disk is known and stays, completing a publication that failed
  // before; to be called before each piece of work.
  void Settle();
  // Says that these files may come to exist before the next Publish; removes those of an earlier
  // call that was never published.
  // REQUIRES, as Publish: it is settled.  They are no files of the lake.
  void Intend(const std::vector<std::string>& paths);
  // Adds and removes files, moves the landed position, and holds streams back from it (all that are
  // to be, each time): all at once, durable when it returns.
  // REQUIRES: what is removed is in the lake, and neither position goes back.
  struct Publication {
    Offset landed;
    std::map<uint32_t, Offset> held;
    std::vector<ManifestFile> added;
    FileList removed;
  };
  void Publish(Publication publication);

  // Files whose bytes are not what was published: noted by whoever finds it, until the file is
  // found sound or leaves the lake.
  struct Damage {
    PublishedFilePtr file;
    std::string reason;
  };
  // False when it was known, or the file is no longer in the lake.
  bool NoteDamage(const PublishedFilePtr& file, const std::string& reason);
  void NoteSound(const PublishedFilePtr& file);
  std::vector<Damage> Damaged() const;

 private:
  using Days = std::map<int64_t, FileListPtr>;
  // A publication, with the days it changes as they will be; empty ones are those that go.
  struct Pending {
    Publication publication;
    std::map<StreamDay, FileListPtr> days;
    std::set<std::string> added;  // paths, and those they had before
  };

  void CheckFiles();
  void MakeFolder(const std::string& folder);
  void SweepRemoved();
  void SaveIntentions(const FileList& going);
  void RemoveDurably(const std::vector<std::string>& paths);
  Pending Next(Publication publication) const;
  std::string ContradictionOf(const Pending& next, StreamDay day) const;
  Manifest Whole() const;
  ManifestChange ChangeTo(const Publication& publication) const;
  void Adopt();
  // For debug builds, as they cost what there is.
  void CheckInvariants() const;
  bool HoldsNoneOf(const std::vector<std::string>& paths) const;

  Disk& disk_;
  const std::string directory_;
  mutable std::mutex mutex_;
  Offset landed_;
  std::map<uint32_t, Offset> held_;
  std::map<uint32_t, Days> streams_;
  std::map<uint32_t, Total> totals_;
  std::set<StreamDay> touched_;
  std::map<uint32_t, std::string> folders_;
  std::map<std::string, Damage> damaged_;  // by path
  // The publisher's thread only:
  ManifestStore store_;
  std::map<uint32_t, std::string> known_folders_;  // that the store has
  std::optional<Pending> pending_;
  FileList removed_;  // still on disk
  std::vector<std::string> intended_;
  std::vector<std::string> leftovers_;  // not removed, since something else is missing
  std::set<std::string> made_;          // folders known to exist
};

}  // namespace weir
