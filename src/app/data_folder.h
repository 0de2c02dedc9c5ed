// The data folder as a whole: its files, its lock, and what must hold between the files before a
// server may start on them.  Each is sound by itself when it was opened; these checks find those
// that are not of one age or not of one folder.  docs/operating/operating.md, "When it does not
// start".
//
// All throw Error(kCorruption) that names files, and what to do; nothing is changed by then.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "io/disk/disk.h"
#include "lake/lake.h"
#include "log/log.h"

namespace weir {

struct DataFolder {
  std::string path;
  std::string Catalog() const { return path + "/catalog.json"; }
  std::string Log() const { return path + "/log"; }
  std::string Lake() const { return path + "/lake"; }
  std::string Keys() const { return path + "/idempotency-keys"; }
  std::string Marks() const { return path + "/pump-marks"; }
  std::string Layout() const { return path + "/layout.json"; }
};

// Files that a start may be told to do without.
inline constexpr const char* kMayBeWithout[] = {"idempotency-keys", "pump-marks"};

// Makes the folder when it is not there, and keeps every other server out of it and of its lake
// (the log locks itself) until the handles are gone.  Before anything is read.
std::vector<std::shared_ptr<void>> LockDataFolder(Disk& disk, const DataFolder& folder);

// Puts files aside (NAME.set-aside), so that the start goes on as if they had never been.
void SetAside(Disk& disk, const DataFolder& folder, const std::vector<std::string>& names);

// How the catalog names its log.
std::string NameOfLog(const Log& log);

// The catalog is of this log: it names no other, and it knows every stream of which the log or the
// lake holds events, or knows that it was dropped.  Returns what should be said, or "".
std::string CheckCatalogIsOfLog(const CatalogState& catalog, weir::Log& log, const weir::Lake& lake,
                                const DataFolder& folder);

// The log goes at least as far as lake, idempotency keys, pump marks and catalog know.
void CheckLogIsWhole(Disk& disk, const CatalogState& catalog, const weir::Log& log,
                     const weir::Lake& lake, const DataFolder& folder);

// Before the log forgets anything, idempotency keys and pump marks are kept apart: both files are
// there once it has, but for those the start is to do without.
void CheckKeptApart(Disk& disk, const CatalogState& catalog, const weir::Log& log,
                    const DataFolder& folder, const std::vector<std::string>& without);

}  // namespace weir
