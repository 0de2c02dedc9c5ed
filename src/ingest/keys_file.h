// Where idempotency keys are kept whose log records the log has forgotten: one small file
// (io/small_file.h), written before the log may forget.
//
// Content: the offset up to which all records have their keys in it (8 bytes), then the keys as
// IdempotencyWindow::Save gives them.  Files of earlier versions hold the keys alone.
// Owned by the door; one thread at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "io/disk/small_file.h"

namespace weir {

// Where it is, and what happens when nobody knows whether it was replaced.
struct KeysPlace {
  KeysPlace(std::string path, OnUnknownOutcome on_unknown = {})
      : path(std::move(path)), on_unknown(std::move(on_unknown)) {}
  KeysPlace(const char* path) : path(path) {}
  std::string path;
  OnUnknownOutcome on_unknown;
};

class KeysFile {
 public:
  KeysFile(Disk& disk, const KeysPlace& place);

  struct Saved {
    std::string keys;
    Offset covered;
  };
  // Nothing kept when there is no file.  Throws Error(kCorruption), naming the file.
  Saved Load();
  // Does nothing when the keys are those that were saved last.
  void Save(std::string_view keys, Offset covered);
  [[noreturn]] void ThrowDamaged(const std::string& reason) const { file_.ThrowDamaged(reason); }

 private:
  SmallFile file_;
  std::optional<size_t> last_;  // hash of the keys that were saved last
};

}  // namespace weir
