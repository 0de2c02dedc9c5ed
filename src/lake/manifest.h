// Which files make up the lake, and up to where it is complete, as text: a whole manifest, or one
// change of it.  Layout: docs/internals/lake.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace weir {

constexpr Micros kHour = 3'600'000'000;
constexpr int64_t kHoursInDay = 24;

struct ManifestFile {
  StreamId stream;
  std::string path;    // below the lake's folder
  Offset first, last;  // of its first and last row
  uint64_t rows = 0, bytes = 0;
  // When its first row and its last arrived.  Of files whose entry does not say so: the bounds of
  // their hour, for then all rows are of one.
  Micros arrived_first = 0, arrived_last = 0;
  // CRC-32C of the file's end, which holds the checksums of all before (lake/sealed_file.h);
  // none: the file was written before there were any.
  std::optional<uint32_t> seal;

  // Hours and days of arrival, counted from 1970-01-01 00:00 UTC.
  int64_t FirstHour() const { return arrived_first / kHour; }
  int64_t LastHour() const { return arrived_last / kHour; }
  int64_t Day() const { return FirstHour() / kHoursInDay; }  // all its rows are of one
};

struct Manifest {
  uint64_t number = 0;                      // which snapshot it is; its changes are of this number
  Offset landed;                            // everything up to here is in the files, but for ...
  std::map<uint32_t, Offset> held;          // ... streams that could not land, and how far they are
  std::map<uint32_t, std::string> folders;  // stream id to folder name
  std::vector<ManifestFile> files;          // of each stream in order of offset
};

// What to do when it is damaged.
inline constexpr const char* kManifestLost =
    "Restore the data folder from a backup, or start with an empty lake folder if the log still "
    "holds every event.";

std::string SaveManifest(const Manifest& manifest);
// Throws Error(kCorruption), also for one that contradicts itself.
Manifest LoadManifest(std::string_view json);
// The JSON of a file of earlier versions, which ends with a line that says its checksum.
std::string_view WithoutTrailer(std::string_view text);

// One publication.  What it says of the whole replaces what was said before.
struct ManifestChange {
  Offset landed;
  std::map<uint32_t, Offset> held;
  std::map<uint32_t, std::string> folders;  // those that are new
  std::vector<ManifestFile> added;
  std::vector<std::pair<StreamId, std::string>> removed;  // paths
};

// A line that tells when it is damaged.
std::string SaveChange(const ManifestChange& change);
// Applies all lines.  The last may be torn, and then counts for nothing: false.  Throws
// Error(kCorruption) for any other damage, and for changes that do not fit the manifest.
bool ApplyChanges(std::string_view lines, Manifest& manifest);

// What is wrong with the files of one stream in order, complete up to `landed`; "" when nothing is.
std::string Contradiction(const std::vector<const ManifestFile*>& files, Offset landed);

// Files that a crash may have left half-made or half-removed: one path a line, so there is no line
// feed in any.
std::string SavePaths(const std::vector<std::string>& paths);
std::vector<std::string> LoadPaths(std::string_view text);

}  // namespace weir
