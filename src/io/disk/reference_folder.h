// The one folder of a project whose files tables may be read from.  Stateless but for its path;
// thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"

namespace weir {

// When and how large a file was: another stamp, another content.
struct FileStamp {
  Micros modified = 0;
  uint64_t bytes = 0;
  bool operator==(const FileStamp&) const = default;
};

class ReferenceFolder {
 public:
  // `path`: "" for no folder at all.
  explicit ReferenceFolder(std::string path) : path_(std::move(path)) {}

  // Where a named file is, links followed.  Throws kForbidden for a name that leads out of the
  // folder, kInvalidRequest for a file that is not there.
  std::string Find(const std::string& name) const;
  FileStamp StampOf(const std::string& name) const;  // throws as Find

 private:
  std::string path_;
};

}  // namespace weir
