#include "lake/landing.h"

#include <algorithm>
#include <map>
#include <set>

#include "lake/tail.h"

namespace weir {
namespace {

// What goes into one file: the records of one stream that came in one hour.
struct Group {
  std::shared_ptr<const Stream> stream;
  int64_t hour = 0;
  Offset first, last;
  uint64_t rows = 0;
};

struct Batch {
  std::vector<Group> groups;
  Offset reached;
};

// Records are never split, so a file is a function of the records in it.  Only their sizes are
// remembered: they are read again when their file is written.
Batch PlanBatch(const CatalogState& catalog, Log& log, const LakeOptions& options, Offset after,
                Offset up_to) {
  Batch batch;
  batch.reached = after;
  std::map<std::pair<uint32_t, int64_t>, Group> groups;
  auto reader = log.Read(after, up_to);
  uint64_t rows = 0, bytes = 0;
  while (rows < options.file_rows_max && bytes < options.file_bytes) {
    auto record = reader->Next();
    if (!record) {
      batch.reached = up_to;
      break;
    }
    if (record->record.count == 0) continue;
    batch.reached = record->last();
    auto stream = catalog.FindStream(record->record.stream);
    if (!stream) continue;  // dropped: its events are not wanted any more
    int64_t hour = record->append_time / kHour;
    Group& group = groups[{stream->id.value, hour}];
    if (group.rows == 0) {
      group.stream = std::move(stream);
      group.hour = hour;
      group.first = record->first;
    }
    group.last = record->last();
    group.rows += record->record.count;
    rows += record->record.count;
    bytes += record->record.payload.size();
  }
  for (auto& [key, group] : groups) batch.groups.push_back(std::move(group));
  return batch;
}

// Append times never go back, so the records of a stream between a group's first and last are the
// group's.
std::shared_ptr<RowSource> SourceOf(Log& log, const Group& group) {
  Offset after{group.first.value - 1};
  auto open = [&log, &group, after]() -> NextRecord {
    std::shared_ptr<LogReader> reader = log.Read(after, group.last, group.stream->id);
    return [reader] { return reader->Next(); };
  };
  return std::make_shared<TailSource>(group.stream, after, group.last, group.rows, open);
}

// Gives a finished file its name.  The folder is synced once for all files, by SyncFolders.
ManifestFile Finish(Disk& disk, LakeFiles& files, ManifestFile file) {
  std::string full = files.FullPath(file.path);
  std::string temporary = files.FullPath(LakeFiles::TemporaryPath(file.path));
  file.bytes = disk.Open(temporary, OpenMode::kRead)->Size();
  disk.Rename(temporary, full);
  return file;
}

void SyncFolders(Disk& disk, LakeFiles& files, const std::vector<ManifestFile>& added) {
  std::set<std::string> folders;
  for (auto& file : added) {
    std::string full = files.FullPath(file.path);
    folders.insert(full.substr(0, full.rfind('/')));
  }
  for (auto& folder : folders) disk.SyncDirectory(folder);
}

}  // namespace

Offset LandOnce(Disk& disk, const CatalogState& catalog, Log& log, LakeFiles& files,
                Parquet& parquet, const LakeOptions& options, Offset up_to) {
  Batch batch = PlanBatch(catalog, log, options, files.Landed(), up_to);
  std::vector<ManifestFile> added;
  std::vector<std::string> paths;
  for (auto& group : batch.groups) {
    ManifestFile file;
    file.stream = group.stream->id;
    file.hour = group.hour;
    file.first = group.first;
    file.last = group.last;
    file.rows = group.rows;
    file.path = files.Place(*group.stream, group.hour, file.first, file.last);
    paths.push_back(file.path);
    added.push_back(std::move(file));
  }
  files.Intend(paths);
  for (size_t i = 0; i < added.size(); i++) {
    auto& group = batch.groups[i];
    parquet.Write(files.FullPath(LakeFiles::TemporaryPath(added[i].path)), *group.stream,
                  SourceOf(log, group));
    added[i] = Finish(disk, files, std::move(added[i]));
  }
  SyncFolders(disk, files, added);
  files.Publish(batch.reached, added, {});
  return batch.reached;
}

void MergeFiles(Disk& disk, LakeFiles& files, Parquet& parquet, std::vector<PublishedFilePtr> run) {
  ManifestFile merged = *run.front();
  merged.last = run.back()->last;
  merged.rows = 0;
  std::vector<std::string> from;
  for (auto& file : run) {
    merged.rows += file->rows;
    from.push_back(files.FullPath(file->path));
  }
  merged.path = merged.path.substr(0, merged.path.rfind('/') + 1) +
                std::to_string(merged.first.value) + "-" + std::to_string(merged.last.value) +
                ".parquet";
  files.Intend({merged.path});
  parquet.Merge(from, files.FullPath(LakeFiles::TemporaryPath(merged.path)));
  merged = Finish(disk, files, std::move(merged));
  SyncFolders(disk, files, {merged});
  files.Publish(files.Landed(), {merged}, std::move(run));
}

}  // namespace weir
