#include "app/data_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "ingest/keys_file.h"
#include "log/known_offsets.h"
#include "views/marks_file.h"

namespace weir {
namespace {

constexpr const char* kRestore =
    "Nothing was changed. Restore the data folder as a whole, all of it from one backup.";

}  // namespace

std::vector<std::shared_ptr<void>> LockDataFolder(Disk& disk, const DataFolder& folder) {
  disk.MakeDirectories(folder.path);
  std::vector<std::shared_ptr<void>> locks;
  locks.push_back(disk.LockFolder(folder.path));
  locks.push_back(disk.Lock(folder.path + "/LOCK"));
  disk.MakeDirectories(folder.Lake());
  locks.push_back(disk.LockFolder(folder.Lake()));
  return locks;
}

void SetAside(Disk& disk, const DataFolder& folder, const std::vector<std::string>& names) {
  for (auto& name : names) {
    std::string path = folder.path + "/" + name;
    if (disk.Exists(path)) disk.Rename(path, path + ".set-aside");
  }
  if (!names.empty()) disk.SyncDirectory(folder.path);
}

std::string NameOfLog(const Log& log) { return fmt::format("{:016x}", log.Identity()); }

std::string CheckCatalogIsOfLog(const CatalogState& catalog, weir::Log& log, const weir::Lake& lake,
                                const DataFolder& folder) {
  if (!catalog.log.empty() && catalog.log != NameOfLog(log)) {
    throw Error(ErrorCode::kCorruption,
                fmt::format("\"{}\" belongs to another log than the one in \"{}\"",
                            folder.Catalog(), folder.Log()),
                kRestore);
  }
  std::map<uint32_t, std::string> held;  // by stream: where
  for (auto& info : lake.Info()) held[info.stream.value] = folder.Lake();
  for (auto& waiting : lake.Health().held) held.emplace(waiting.stream.value, folder.Log());
  auto notes = log.ReadNotes(lake.Landed());  // rows before are in files, or held back
  while (auto record = notes->Next()) {
    auto stream = record->record.stream.value;
    if (stream != 0) held.emplace(stream, folder.Log());  // 0: a tick of the clock, of no stream
  }
  std::set<uint32_t> live;
  for (auto& [name, stream] : catalog.streams) live.insert(stream->id.value);
  size_t dropped = 0;
  for (auto& [id, where] : held) {
    if (live.contains(id)) continue;
    if (catalog.WasDropped(StreamId{id})) {
      dropped++;
      continue;
    }
    bool missing = catalog.version == 0;
    throw Error(
        ErrorCode::kCorruption,
        fmt::format("\"{}\" {}: \"{}\" holds events of stream {}, which it does not know",
                    folder.Catalog(), missing ? "is missing" : "is older than the data", where, id),
        fmt::format("Nothing was changed. Restore {}, the newest there is, from a backup of "
                    "the data folder.",
                    folder.Catalog()));
  }
  if (dropped == 0 || !catalog.log.empty()) return "";
  return fmt::format(
      "catalog: {} streams of which there still are events are in it no more; an earlier version "
      "kept no list, so they are taken for dropped",
      dropped);
}

void CheckLogIsWhole(Disk& disk, const CatalogState& catalog, const weir::Log& log,
                     const weir::Lake& lake, const DataFolder& folder) {
  std::vector<KnownOffset> known = {
      {folder.Lake() + "/manifest.json", lake.Landed()},
      {folder.Keys(), KeysFile(disk, folder.Keys()).Load().covered},
      {folder.Marks(), MarksFile(disk, folder.Marks()).Load().at},
  };
  for (auto& [name, pump] : catalog.pumps) {
    if (pump->start) known.push_back({folder.Catalog(), pump->start->offset});
  }
  CheckLogReaches(log.End(), folder.Log(), known);
}

void CheckKeptApart(Disk& disk, const CatalogState& catalog, const weir::Log& log,
                    const DataFolder& folder, const std::vector<std::string>& without) {
  bool has_forgotten = log.Begin() > Offset{1};
  if (!has_forgotten || catalog.log.empty()) return;  // all is in the log; or of an earlier version
  for (const char* name : kMayBeWithout) {
    bool given_up = std::find(without.begin(), without.end(), name) != without.end();
    if (given_up || disk.Exists(folder.path + "/" + name)) continue;
    throw Error(ErrorCode::kCorruption,
                fmt::format("\"{}/{}\" is missing, and the log in \"{}\" begins at offset {}: what "
                            "it knew of earlier records is lost",
                            folder.path, name, folder.Log(), log.Begin().value),
                fmt::format("Restore it from a backup of the data folder, or start with "
                            "`--start-without {}`: what that means is in docs/operating.",
                            name));
  }
}

}  // namespace weir
