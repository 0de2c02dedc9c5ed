// Which files make up the lake, and up to where it is complete: one small text, replaced
// atomically. Layout: docs/internals/lake.md.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace weir {

struct ManifestFile {
  StreamId stream;
  std::string path;    // below the lake's folder
  Offset first, last;  // of its first and last row
  uint64_t rows = 0, bytes = 0;
  int64_t hour = 0;  // of arrival, counted from 1970-01-01 00:00 UTC
};

struct Manifest {
  Offset landed;                            // everything up to here is in the files
  std::map<uint32_t, std::string> folders;  // stream id to folder name
  std::vector<ManifestFile> files;          // of each stream in order of offset
};

std::string SaveManifest(const Manifest& manifest);
Manifest LoadManifest(std::string_view text);  // throws Error(kCorruption)

// Files that a crash may have left half-made or half-removed: one path a line.
std::string SavePaths(const std::vector<std::string>& paths);
std::vector<std::string> LoadPaths(std::string_view text);

}  // namespace weir
