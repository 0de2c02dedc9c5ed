#include "lake/landing.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "duck/errors.h"
#include "lake/tail.h"

namespace weir {
namespace {

// What goes into one file: the records of one stream that came in one hour.
struct Group {
  std::shared_ptr<const Stream> stream;
  Micros arrived_first = 0, arrived_last = 0;
  Offset first, last;
  uint64_t rows = 0;
};

struct Batch {
  std::vector<Group> groups;  // each stream's in order
  Offset reached;
  uint64_t bytes = 0;               // of the records up to there
  std::map<uint32_t, Offset> held;  // streams that are not landed beyond this
};

// A dropped stream's definition stays in the catalog: what was acknowledged before lands.  Null for
// one that was dropped when definitions did not stay.
std::shared_ptr<const Stream> StreamOf(const CatalogState& catalog, StreamId id) {
  if (auto stream = catalog.FindStream(id)) return stream;
  auto dropped = catalog.dropped.find(id.value);
  if (dropped != catalog.dropped.end()) return dropped->second;
  if (catalog.WasDropped(id)) return nullptr;
  throw Error(ErrorCode::kCorruption,
              fmt::format("the log holds events of a stream with the id {}, which the catalog does "
                          "not know",
                          id.value),
              "Restore catalog.json from a backup that is as new as the log.");
}

void Hold(Batch& batch, Troubles& troubles, StreamId stream, Offset landed, const Error& error) {
  batch.held.emplace(stream.value, landed);
  troubles.insert_or_assign(stream.value, error);
}

// Records are never split, so a file is a function of the records in it.  Only their sizes are
// remembered: they are read again when their file is written.  `only`: of one stream.
Batch PlanBatch(const LandingParts& parts, Offset after, Offset up_to, std::optional<StreamId> only,
                Troubles& troubles) {
  Batch batch;
  batch.reached = after;
  if (!only) batch.held = parts.files.Held();
  std::map<std::pair<uint32_t, int64_t>, Group> groups;
  auto reader = only ? parts.log.Read(after, up_to, *only) : parts.log.Read(after, up_to);
  uint64_t rows = 0, bytes = 0;
  while (rows < parts.options.file_rows_max && bytes < parts.options.file_bytes) {
    parts.check();
    auto record = reader->Next();
    if (!record) {
      batch.reached = up_to;
      break;
    }
    batch.bytes += record->record.payload.size();
    StreamId id = record->record.stream;
    if (record->record.count == 0 || (only && id != *only)) continue;
    batch.reached = record->last();
    if (batch.held.contains(id.value)) continue;
    int64_t hour = record->append_time / kHour;
    auto found = groups.find({id.value, hour});
    if (found == groups.end()) {
      Group group;
      try {
        group.stream = StreamOf(parts.catalog, id);
      } catch (const Error& error) {
        Hold(batch, troubles, id, {record->first.value - 1}, error);
        continue;
      }
      if (!group.stream) continue;
      group.arrived_first = record->append_time;
      group.first = record->first;
      found = groups.emplace(std::pair(id.value, hour), std::move(group)).first;
    }
    found->second.last = record->last();
    found->second.arrived_last = record->append_time;
    found->second.rows += record->record.count;
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
  auto open = [&log, last = group.last, stream = group.stream->id, after]() -> NextRecord {
    std::shared_ptr<LogReader> reader = log.Read(after, last, stream);
    return [reader] { return reader->Next(); };
  };
  return std::make_shared<TailSource>(group.stream, after, group.last, group.rows, open);
}

// The log forgets what a file holds on the strength of this.
void CheckWritten(const LandingParts& parts, const ManifestFile& file,
                  const Parquet::Written& written) {
  ParquetFile readable =
      Readable(file, parts.files.FullPath(LakeFiles::TemporaryPath(file.path)), "");
  Parquet::Extent said = parts.parquet.ExtentOf(readable);
  if (written.rows == file.rows && said == Parquet::Extent{file.rows, file.first, file.last}) {
    return;
  }
  throw Error(ErrorCode::kInternal,
              fmt::format("{} rows went into lake file {}, which says of itself that it holds {} "
                          "rows from {} to {}; there should be {}",
                          written.rows, readable.name, said.rows, said.first.value, said.last.value,
                          file.rows));
}

// Gives a finished file its name, once it has been looked at.  The folder is synced once for all
// files, by SyncFolders.
void Finish(const LandingParts& parts, ManifestFile& file, const Parquet::Written& written) {
  file.bytes = written.seal.bytes;
  file.seal = written.seal.crc;
  CheckWritten(parts, file, written);
  parts.disk.Rename(parts.files.FullPath(LakeFiles::TemporaryPath(file.path)),
                    parts.files.FullPath(file.path));
}

void SyncFolders(const LandingParts& parts, const std::vector<ManifestFile>& added) {
  std::set<std::string> folders;
  for (auto& file : added) {
    std::string full = parts.files.FullPath(file.path);
    folders.insert(full.substr(0, full.rfind('/')));
  }
  for (auto& folder : folders) parts.disk.SyncDirectory(folder);
}

ManifestFile FileOf(const LandingParts& parts, const Group& group) {
  ManifestFile file;
  file.stream = group.stream->id;
  file.arrived_first = group.arrived_first;
  file.arrived_last = group.arrived_last;
  file.first = group.first;
  file.last = group.last;
  file.rows = group.rows;
  file.path = parts.files.Place(*group.stream, file.FirstHour(), file.first, file.last);
  return file;
}

void WriteGroup(const LandingParts& parts, const Group& group, ManifestFile& file) {
  auto written = parts.parquet.Write(parts.files.FullPath(LakeFiles::TemporaryPath(file.path)),
                                     *group.stream, SourceOf(parts.log, group));
  Finish(parts, file, written);
}

// The disk's failures are everybody's; all others are about a stream's rows.
bool OfTheDisk(const Error& error) { return error.code == ErrorCode::kUnavailable; }

// Writes the files of a batch; streams that cannot are held back in it.  Returns what to publish.
std::vector<ManifestFile> WriteFiles(const LandingParts& parts, Batch& batch, Troubles& troubles) {
  std::vector<ManifestFile> files;
  std::vector<std::string> paths;
  for (auto& group : batch.groups) {
    files.push_back(FileOf(parts, group));
    paths.push_back(files.back().path);
  }
  parts.files.Intend(paths);
  std::vector<ManifestFile> added;
  for (size_t i = 0; i < files.size(); i++) {
    auto& group = batch.groups[i];
    if (batch.held.contains(group.stream->id.value)) continue;  // a file before failed
    try {
      WriteGroup(parts, group, files[i]);
    } catch (const BeginAgain&) {
      throw;
    } catch (...) {
      Error error = CurrentError();
      if (OfTheDisk(error)) throw;
      Hold(batch, troubles, group.stream->id, {group.first.value - 1}, error);
      continue;
    }
    added.push_back(std::move(files[i]));
  }
  SyncFolders(parts, added);
  // What is not in a file stays the log's: its stream is held back before it.
  size_t landed = 0;
  for (auto& group : batch.groups) {
    auto held = batch.held.find(group.stream->id.value);
    landed += held == batch.held.end() || held->second >= group.last;
  }
  ASSERT(landed == added.size());
  return added;
}

}  // namespace

uint64_t LandOnce(const LandingParts& parts, Offset up_to, Troubles& troubles) {
  Offset before = parts.files.Landed();
  Batch batch = PlanBatch(parts, before, up_to, {}, troubles);
  CHECK(before < batch.reached && batch.reached <= up_to);
  auto added = WriteFiles(parts, batch, troubles);
  parts.files.Publish({batch.reached, batch.held, std::move(added), {}});
  return batch.bytes;
}

bool LandHeld(const LandingParts& parts, StreamId stream, Troubles& troubles) {
  auto held = parts.files.Held();
  Offset landed = parts.files.Landed();
  Batch batch = PlanBatch(parts, held.at(stream.value), landed, stream, troubles);
  auto added = WriteFiles(parts, batch, troubles);
  Offset reached = batch.reached;
  if (auto stuck = batch.held.find(stream.value); stuck != batch.held.end()) {
    reached = stuck->second;
  }
  if (reached == held.at(stream.value)) return false;
  if (reached == landed) {
    held.erase(stream.value);
  } else {
    held[stream.value] = reached;
  }
  parts.files.Publish({landed, held, std::move(added), {}});
  return batch.held.empty() && held.contains(stream.value);
}

void MergeFiles(const LandingParts& parts, FileList run) {
  ManifestFile merged = *run.front();
  merged.last = run.back()->last;
  merged.arrived_last = run.back()->arrived_last;
  merged.rows = merged.bytes = 0;
  std::vector<ParquetFile> from;
  Offset before;
  for (auto& file : run) {
    ASSERT(file->stream == merged.stream && file->Day() == merged.Day() && file->first > before);
    before = file->last;
    merged.rows += file->rows;
    merged.bytes += file->bytes;
    from.push_back(Readable(*file, parts.files.FullPath(file->path), ""));
  }
  merged.path = parts.files.PlaceMerged(run);
  parts.files.Intend({merged.path});
  auto temporary = parts.files.FullPath(LakeFiles::TemporaryPath(merged.path));
  Finish(parts, merged, parts.parquet.Merge(from, temporary, merged.bytes / merged.rows));
  SyncFolders(parts, {merged});
  parts.files.Publish({parts.files.Landed(), parts.files.Held(), {merged}, std::move(run)});
}

bool MendFromLog(const LandingParts& parts, const PublishedFilePtr& file) {
  if (parts.log.Begin() > file->first) return false;
  Group group{StreamOf(parts.catalog, file->stream),
              file->arrived_first,
              file->arrived_last,
              file->first,
              file->last,
              file->rows};
  if (!group.stream) return false;
  ManifestFile mended = *file;
  // Another name, so that at each moment one of the two is whole.
  mended.path = file->path.substr(0, file->path.rfind(".parquet")) + "-mended.parquet";
  ASSERT(mended.path != file->path);
  parts.files.Intend({mended.path});
  WriteGroup(parts, group, mended);
  SyncFolders(parts, {mended});
  parts.files.Publish({parts.files.Landed(), parts.files.Held(), {mended}, {file}});
  return true;
}

}  // namespace weir
