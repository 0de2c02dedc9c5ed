// A small file of ours, read and replaced as a whole, that can tell when it is damaged.
//
// Its first line says what it is; the content follows as it is:
//   {"weir_file": "catalog", "version": 1, "bytes": 1234, "crc32c": "0123abcd"}
// The checksum is of kind, version and length as well as of the content, so that no file passes for
// another and none for a longer one.  The line stands first because then a file that was cut short
// still says what it should be.  A file that does not begin with it is of a Weir that wrote none
// (version 0): it is given back whole, for its reader to judge.  docs/decisions/stores.md.
//
// When a Save ends with nobody knowing whether it happened, `on_unknown` is called (main ends the
// process: the next start reads what is there) and this object serves nothing more.
// Thread-safe.  Borrows the disk.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "io/disk/disk.h"

namespace weir {

using OnUnknownOutcome = std::function<void(const std::string& why)>;

struct SmallFileKind {
  std::string name;       // lower case letters and "-"
  uint32_t version = 1;   // that Save writes, and the highest that Load understands; not 0
  std::string when_lost;  // a sentence: what to do when the file is damaged
};

class SmallFile {
 public:
  SmallFile(Disk& disk, std::string path, SmallFileKind kind, OnUnknownOutcome on_unknown = {});

  struct Content {
    std::string bytes;
    uint32_t version = 0;  // 0: the file has no header
  };
  // Nothing when there is no file, and only then.  Throws Error(kCorruption), naming the file, when
  // it is damaged, empty, of another kind or of a newer version.
  std::optional<Content> Load();

  // Durable when it returns.  Throws Error(kUnavailable) when the disk is full and DiskFailure when
  // it failed, with the old content still in place; OutcomeUnknown when neither is known.
  void Save(std::string_view bytes);

  const std::string& path() const { return path_; }
  // What Load throws, for readers that find the content itself to be wrong.
  [[noreturn]] void ThrowDamaged(const std::string& reason) const;

 private:
  void CheckUsable() const;

  Disk& disk_;
  const std::string path_;
  const SmallFileKind kind_;
  const OnUnknownOutcome on_unknown_;
  std::mutex mutex_;
  std::string failure_;  // set: the outcome of a Save is unknown
};

}  // namespace weir
