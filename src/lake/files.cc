#include "lake/files.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <utility>

#include "base/error.h"
#include "base/make_room.h"

namespace weir {
namespace {

constexpr int64_t kSecondsInHour = 3600;
constexpr const char* kUnpublished = "unpublished";
// What every reader of partitioned folders takes for NULL.
constexpr const char* kNoHour = "__HIVE_DEFAULT_PARTITION__";

// A stream's name as a folder: letters, digits, "_" and "-" as they are, others as %XX.
std::string FolderName(const std::string& name) {
  std::string folder;
  for (unsigned char c : name) {
    if (std::isalnum(c) || c == '_' || c == '-') {
      folder += static_cast<char>(c);
    } else {
      folder += fmt::format("%{:02X}", c);
    }
  }
  return folder;
}

PublishedFilePtr Published(Disk& disk, const std::string& directory, ManifestFile file) {
  auto published = std::make_shared<PublishedFile>();
  static_cast<ManifestFile&>(*published) = std::move(file);
  published->native_path = disk.NativePath(directory + "/" + published->path);
  return published;
}

bool ByOffset(const PublishedFilePtr& a, const PublishedFilePtr& b) { return a->first < b->first; }

StreamDay DayOf(const ManifestFile& file) { return {file.stream.value, file.Day()}; }

void Count(LakeFiles::Total& total, const ManifestFile& file) {
  total.files++;
  total.rows += file.rows;
  total.bytes += file.bytes;
  total.last = std::max(total.last, file.last);
}

// Written again and again, whatever came of the last time.
SmallFile UnpublishedFile(Disk& disk, const std::string& directory) {
  return SmallFile(disk, directory + "/" + kUnpublished,
                   {"lake-unpublished", 1,
                    "Remove it; then files that a crash left half-made stay in the lake's folders, "
                    "where Weir does not look at them but others may."});
}

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

// The folder of a new stream: its name, with its number behind when that is taken.
std::string NewFolder(const Stream& stream, const std::map<uint32_t, std::string>& folders) {
  auto taken = [&](const std::string& name) {
    if (name == kUnpublished) return true;
    return std::any_of(folders.begin(), folders.end(),
                       [&](auto& entry) { return entry.second == name; });
  };
  std::string name = FolderName(stream.name);
  while (taken(name)) name += fmt::format("-{}", stream.id.value);
  return name;
}

// Readers of a folder add what partitions say to what files hold, and fail, or show the wrong one
// of the two, where both have a column of a name: the partitions make way.
std::pair<std::string, std::string> PartitionNames(const Stream& stream) {
  std::string day = "dt", hour = "hour";
  if (stream.Find(day) || stream.Find(hour)) {
    day = "arrival_dt";
    hour = "arrival_hour";
  }
  while (stream.Find(day) || stream.Find(hour)) {
    day += "_";
    hour += "_";
  }
  return {day, hour};
}

Offset LandedIn(const std::map<uint32_t, Offset>& held, Offset landed, uint32_t stream) {
  auto found = held.find(stream);
  return found == held.end() ? landed : found->second;
}

}  // namespace

ParquetFile Readable(const ManifestFile& file, const std::string& path, const std::string& stream) {
  ParquetFile readable;
  readable.path = path;
  readable.name = fmt::format(
      "\"{}\" (offsets {} to {} of stream {})", file.path, file.first.value, file.last.value,
      stream.empty() ? std::to_string(file.stream.value) : "\"" + stream + "\"");
  if (file.seal) readable.seal = Seal{file.bytes, *file.seal};
  return readable;
}

LakeFiles::LakeFiles(Disk& disk, std::string directory)
    : disk_(disk), directory_(std::move(directory)), store_(disk, directory_) {
  disk_.MakeDirectories(directory_);
  Manifest manifest = store_.Load();
  landed_ = manifest.landed;
  held_ = std::move(manifest.held);
  folders_ = known_folders_ = std::move(manifest.folders);
  std::map<StreamDay, FileList> days;
  for (auto& file : manifest.files) {
    Count(totals_[file.stream.value], file);
    auto& day = days[DayOf(file)];
    day.push_back(Published(disk_, directory_, std::move(file)));
  }
  for (auto& [day, list] : days) {
    streams_[day.stream][day.day] = std::make_shared<const FileList>(std::move(list));
    touched_.insert(day);
  }
  CheckFiles();
}

// The manifest does not contradict itself, and all that is kept beside it says the same.
void LakeFiles::CheckInvariants() const {
  std::lock_guard lock(mutex_);
  std::map<uint32_t, Total> counted;
  std::set<std::string> paths;
  for (auto& [stream, days] : streams_) {
    std::vector<const ManifestFile*> files;
    for (auto& [day, list] : days) {
      ASSERT(!list->empty());
      for (auto& file : *list) {
        ASSERT(file->stream.value == stream && file->Day() == day);
        ASSERT(paths.insert(file->path).second);
        Count(counted[stream], *file);
        files.push_back(file.get());
      }
    }
    ASSERT(Contradiction(files, LandedIn(held_, landed_, stream)).empty());
  }
  for (auto& [stream, landed] : held_) ASSERT(landed <= landed_);
  for (auto& [stream, total] : totals_) {
    auto& there = counted[stream];
    ASSERT(total.files == there.files && total.rows == there.rows && total.bytes == there.bytes);
    ASSERT(total.last >= there.last);
  }
  for (auto& [path, damage] : damaged_) ASSERT(paths.contains(path) && damage.file->path == path);
}

bool LakeFiles::HoldsNoneOf(const std::vector<std::string>& paths) const {
  std::set<std::string> known;
  for (auto& file : All()) known.insert(file->path);
  return std::none_of(paths.begin(), paths.end(), [&](auto& path) { return known.contains(path); });
}

// What is missing is said now, not by the first query that misses it.
void LakeFiles::CheckFiles() {
  for (auto& file : All()) {
    std::string path = FullPath(file->path);
    if (!disk_.Exists(path)) {
      // The last change may have been whole once, and have replaced the file.
      if (store_.Torn()) {
        throw Error(ErrorCode::kCorruption,
                    fmt::format("the last line of the lake's manifest.changes is damaged, and lake "
                                "file \"{}\" is missing",
                                file->path),
                    "Restore the data folder from a backup.");
      }
      NoteDamage(file, "it is missing");
    } else if (uint64_t bytes = disk_.Open(path, OpenMode::kRead)->Size(); bytes != file->bytes) {
      NoteDamage(file, fmt::format("it has {} bytes and should have {}", bytes, file->bytes));
    }
  }
}

Offset LakeFiles::Landed() const {
  std::lock_guard lock(mutex_);
  return landed_;
}

Offset LakeFiles::LandedOf(StreamId stream) const {
  std::lock_guard lock(mutex_);
  return LandedIn(held_, landed_, stream.value);
}

Offset LakeFiles::LeastLanded() const {
  std::lock_guard lock(mutex_);
  Offset least = landed_;
  for (auto& [stream, landed] : held_) least = std::min(least, landed);
  return least;
}

std::map<uint32_t, Offset> LakeFiles::Held() const {
  std::lock_guard lock(mutex_);
  return held_;
}

FileList LakeFiles::All() const {
  std::lock_guard lock(mutex_);
  FileList all;
  for (auto& [stream, days] : streams_) {
    for (auto& [day, files] : days) all.insert(all.end(), files->begin(), files->end());
  }
  return all;
}

FileListPtr LakeFiles::OfDay(StreamDay day) const {
  std::lock_guard lock(mutex_);
  auto stream = streams_.find(day.stream);
  if (stream == streams_.end()) return nullptr;
  auto found = stream->second.find(day.day);
  return found == stream->second.end() ? nullptr : found->second;
}

std::map<uint32_t, LakeFiles::Total> LakeFiles::Totals() const {
  std::lock_guard lock(mutex_);
  return totals_;
}

std::set<StreamDay> LakeFiles::TakeTouched() {
  std::lock_guard lock(mutex_);
  return std::exchange(touched_, {});
}

LakeFiles::Part LakeFiles::Of(const std::vector<StreamId>& streams, Offset after,
                              Offset up_to) const {
  std::lock_guard lock(mutex_);
  Part part;
  for (StreamId stream : streams) {
    part.landed.push_back(LandedIn(held_, landed_, stream.value));
    auto& wanted = part.files.emplace_back();
    auto found = streams_.find(stream.value);
    if (found == streams_.end()) continue;
    for (auto& [day, files] : found->second) {
      if (files->back()->last <= after) continue;
      if (files->front()->first > up_to) break;
      auto begin = std::partition_point(files->begin(), files->end(),
                                        [&](auto& file) { return file->last <= after; });
      auto end = std::partition_point(begin, files->end(),
                                      [&](auto& file) { return file->first <= up_to; });
      wanted.insert(wanted.end(), begin, end);
    }
  }
  return part;
}

// Times of arrival go up with offsets: the last file that ended before is what counts.
Offset LakeFiles::ArrivedBefore(StreamId stream, Micros time) const {
  std::lock_guard lock(mutex_);
  auto found = streams_.find(stream.value);
  if (found == streams_.end()) return {0};
  for (auto day = found->second.rbegin(); day != found->second.rend(); ++day) {
    auto& files = *day->second;
    auto end = std::partition_point(files.begin(), files.end(),
                                    [&](auto& file) { return file->arrived_last < time; });
    if (end != files.begin()) return end[-1]->last;
  }
  return {0};
}

Offset LakeFiles::BeforeLast(StreamId stream, uint64_t rows) const {
  std::lock_guard lock(mutex_);
  auto found = streams_.find(stream.value);
  if (found == streams_.end()) return {0};
  uint64_t behind = 0;
  for (auto day = found->second.rbegin(); day != found->second.rend(); ++day) {
    for (auto file = day->second->rbegin(); file != day->second->rend(); ++file) {
      behind += (*file)->rows;
      if (behind >= rows) return {(*file)->first.value - 1};
    }
  }
  return {0};
}

// Folders that are there may be so for programs only: who made them may not have come as far as to
// sync them.
void LakeFiles::MakeFolder(const std::string& folder) {
  if (made_.contains(folder)) return;
  std::string day = FolderOf(folder);
  disk_.MakeDirectories(FullPath(folder));
  for (auto& parent : {directory_, FullPath(FolderOf(day)), FullPath(day)}) {
    disk_.SyncDirectory(parent);
  }
  made_.insert(folder);
}

std::string LakeFiles::Place(const Stream& stream, int64_t hour, Offset first, Offset last) {
  ASSERT(hour >= 0 && first.value > 0 && first <= last);
  std::string folder;
  {
    std::lock_guard lock(mutex_);
    std::string& known = folders_[stream.id.value];
    if (known.empty()) known = NewFolder(stream, folders_);
    folder = known;
  }
  std::tm utc = fmt::gmtime(static_cast<std::time_t>(hour * kSecondsInHour));
  auto [day_name, hour_name] = PartitionNames(stream);
  std::string full =
      fmt::format("{}/{}={:%Y-%m-%d}/{}={:%H}", folder, day_name, utc, hour_name, utc);
  MakeFolder(full);
  return fmt::format("{}/{}-{}.parquet", full, first.value, last.value);
}

// A file of several hours is of no hour, and of its day as before.
std::string LakeFiles::PlaceMerged(const FileList& files) {
  ASSERT(files.size() >= 2 && DayOf(*files.front()) == DayOf(*files.back()));
  ASSERT(files.front()->last < files.back()->first);
  std::string folder = FolderOf(files.front()->path);
  if (files.front()->FirstHour() != files.back()->LastHour()) {
    folder = folder.substr(0, folder.rfind('=') + 1) + kNoHour;
    MakeFolder(folder);
  }
  return fmt::format("{}/{}-{}.parquet", folder, files.front()->first.value,
                     files.back()->last.value);
}

// Hidden from Spark, Athena and DuckDB's globs alike.
std::string LakeFiles::TemporaryPath(const std::string& path) {
  size_t name = path.rfind('/') + 1;
  return path.substr(0, name) + "." + path.substr(name) + ".tmp";
}

// A file that is gone already may be so for programs only: who removed it may not have come as far
// as to sync its folder.
void LakeFiles::RemoveDurably(const std::vector<std::string>& paths) {
  // Otherwise a crash might leave a manifest that names them.
  ASSERT(!pending_ && store_.Certain());
  DEBUG_ASSERT(HoldsNoneOf(paths));
  std::set<std::string> folders;
  for (auto& path : paths) {
    std::string full = FullPath(path);
    if (disk_.Exists(full)) disk_.Remove(full);
    folders.insert(FolderOf(full));
  }
  for (auto& folder : folders) {
    if (disk_.Exists(folder)) disk_.SyncDirectory(folder);
  }
}

void LakeFiles::Settle() {
  if (pending_ || !store_.Certain() || store_.WantsSnapshot()) {
    Manifest whole = Whole();
    store_.SaveSnapshot(whole);
    known_folders_ = std::move(whole.folders);
    if (pending_) Adopt();
  }
  ASSERT(!pending_ && store_.Certain());
  SweepRemoved();
}

// What is pending is durable: it is the state.  What may fail comes first; then all of it changes
// at once, for readers and should this be done again.
void LakeFiles::Adopt() {
  ASSERT(pending_ && store_.Certain());
  auto& publication = pending_->publication;
  auto held = publication.held;
  std::map<uint32_t, Days> streams;  // those that change, as they will be
  std::set<StreamDay> touched;
  for (auto& [day, files] : pending_->days) {
    touched.insert(day);
    auto [days, is_new] = streams.try_emplace(day.stream);
    auto known = is_new ? streams_.find(day.stream) : streams_.end();
    if (known != streams_.end()) days->second = known->second;
    if (files->empty()) {
      days->second.erase(day.day);
    } else {
      days->second[day.day] = files;
    }
  }
  auto totals = totals_;
  for (auto& file : publication.removed) {
    auto& total = totals[file->stream.value];
    DEBUG_ASSERT(total.files > 0 && total.rows >= file->rows && total.bytes >= file->bytes);
    total.files--;
    total.rows -= file->rows;
    total.bytes -= file->bytes;
  }
  for (auto& file : publication.added) Count(totals[file.stream.value], file);
  MakeRoom(removed_, publication.removed.size());
  {
    std::lock_guard lock(mutex_);
    landed_ = publication.landed;
    held_.swap(held);
    streams.merge(streams_);
    streams_.swap(streams);
    totals_.swap(totals);
    touched_.merge(touched);
    for (auto& file : publication.removed) damaged_.erase(file->path);
  }
  removed_.insert(removed_.end(), publication.removed.begin(), publication.removed.end());
  // What was intended and is not in is still to be removed.
  std::erase_if(intended_, [&](auto& path) { return pending_->added.contains(path); });
  pending_.reset();
  if (kDebugChecks) CheckInvariants();
}

void LakeFiles::Intend(const std::vector<std::string>& paths) {
  ASSERT(!pending_ && store_.Certain());
  // What an attempt that failed has left behind goes first.
  RemoveDurably(intended_);
  intended_.clear();
  for (auto& path : paths) {
    intended_.push_back(path);
    intended_.push_back(TemporaryPath(path));
  }
  DEBUG_ASSERT(HoldsNoneOf(intended_));  // a failure would remove it
  SaveIntentions({});
}

void LakeFiles::SaveIntentions(const FileList& going) {
  ASSERT(!pending_);
  std::vector<std::string> all = intended_;
  all.insert(all.end(), leftovers_.begin(), leftovers_.end());
  for (auto& file : removed_) all.push_back(file->path);
  for (auto& file : going) all.push_back(file->path);
  UnpublishedFile(disk_, directory_).Save(SavePaths(all));
}

LakeFiles::Pending LakeFiles::Next(Publication publication) const {
  std::map<StreamDay, FileList> touched;
  auto list = [&](const ManifestFile& file) -> FileList& {
    auto [found, is_new] = touched.try_emplace(DayOf(file));
    if (auto before = is_new ? OfDay(found->first) : nullptr) found->second = *before;
    return found->second;
  };
  for (auto& file : publication.removed) {
    size_t erased = std::erase(list(*file), file);
    ASSERT(erased == 1);  // else the next start finds a change that does not fit
  }
  Pending next;
  for (auto& file : publication.added) {
    list(file).push_back(Published(disk_, directory_, file));
    next.added.insert({file.path, TemporaryPath(file.path)});
  }
  for (auto& [day, files] : touched) {
    std::sort(files.begin(), files.end(), ByOffset);
    next.days[day] = std::make_shared<const FileList>(std::move(files));
  }
  next.publication = std::move(publication);
  // What is published is believed for ever, and the log forgets what it holds.
  ASSERT(next.publication.landed >= landed_);
  for (auto& [stream, landed] : next.publication.held) {
    ASSERT(landed <= next.publication.landed);
    ASSERT(landed >= LandedIn(held_, landed_, stream));
  }
  for (auto& [day, files] : next.days) ASSERT(ContradictionOf(next, day).empty());
  return next;
}

// What is wrong with a day as it will be, its neighbours included.
std::string LakeFiles::ContradictionOf(const Pending& next, StreamDay day) const {
  std::map<int64_t, const FileList*> days;  // those that touch it, and it
  auto known = streams_.find(day.stream);
  auto add = [&](int64_t at, const FileList& files) {
    if (!files.empty()) days[at] = &files;
  };
  if (known != streams_.end()) {
    auto after = known->second.upper_bound(day.day);
    if (after != known->second.end()) add(after->first, *after->second);
    auto here = known->second.lower_bound(day.day);
    if (here != known->second.begin()) add(std::prev(here)->first, *std::prev(here)->second);
  }
  for (auto& [changed, files] : next.days) {
    if (changed.stream != day.stream) continue;
    days.erase(changed.day);
    add(changed.day, *files);
  }
  std::vector<const ManifestFile*> plain;
  for (auto& [at, files] : days) {
    for (auto& file : *files) plain.push_back(file.get());
  }
  return Contradiction(plain, LandedIn(next.publication.held, next.publication.landed, day.stream));
}

// With what is pending.
Manifest LakeFiles::Whole() const {
  Manifest manifest;
  manifest.landed = pending_ ? pending_->publication.landed : landed_;
  manifest.held = pending_ ? pending_->publication.held : held_;
  manifest.folders = folders_;
  std::map<StreamDay, FileListPtr> days;
  if (pending_) days = pending_->days;
  for (auto& [stream, known] : streams_) {
    for (auto& [day, files] : known) days.emplace(StreamDay{stream, day}, files);
  }
  for (auto& [day, files] : days) {
    for (auto& file : *files) manifest.files.push_back(*file);
  }
  return manifest;
}

ManifestChange LakeFiles::ChangeTo(const Publication& publication) const {
  ManifestChange change;
  change.landed = publication.landed;
  change.held = publication.held;
  change.added = publication.added;
  for (auto& [stream, folder] : folders_) {
    if (!known_folders_.contains(stream)) change.folders[stream] = folder;
  }
  for (auto& file : publication.removed) change.removed.emplace_back(file->stream, file->path);
  return change;
}

void LakeFiles::Publish(Publication publication) {
  ASSERT(!pending_);
  Pending next = Next(std::move(publication));
  if (!next.publication.removed.empty()) SaveIntentions(next.publication.removed);
  ManifestChange change = ChangeTo(next.publication);
  pending_ = std::move(next);
  store_.Append(change);
  known_folders_.merge(change.folders);
  Adopt();
  SweepRemoved();
}

// Readers hold a file by its pointer; ours is the last when nobody reads.
void LakeFiles::SweepRemoved() {
  std::vector<std::string> paths;
  FileList kept;
  for (auto& file : removed_) {
    if (file.use_count() > 1) {
      kept.push_back(file);
    } else {
      paths.push_back(file->path);
    }
  }
  if (paths.empty()) return;
  RemoveDurably(paths);
  removed_ = std::move(kept);
  // Hours that have become part of a day leave nothing behind for those who list folders.
  std::set<std::string> folders;
  for (auto& path : paths) folders.insert(FolderOf(path));
  for (auto& folder : folders) {
    if (disk_.RemoveEmptyFolder(FullPath(folder))) made_.erase(folder);
  }
}

void LakeFiles::RemoveLeftovers() {
  ASSERT(intended_.empty() && removed_.empty() && leftovers_.empty());
  std::vector<std::string> paths;
  // Earlier versions left an empty file when there was nothing.
  if (!ReadWholeFile(disk_, directory_ + "/" + kUnpublished).empty()) {
    paths = LoadPaths(UnpublishedFile(disk_, directory_).Load()->bytes);
  }
  std::set<std::string> known;
  for (auto& file : All()) known.insert(file->path);
  std::erase_if(paths, [&](auto& path) { return known.contains(path); });
  if (paths.empty()) return;
  // What is missing may be in them.
  auto damaged = Damaged();
  if (std::any_of(damaged.begin(), damaged.end(),
                  [&](auto& damage) { return !disk_.Exists(FullPath(damage.file->path)); })) {
    leftovers_ = std::move(paths);
    return;
  }
  intended_ = std::move(paths);
  try {
    Settle();
    Intend({});
  } catch (const DiskFailure&) {
    throw;
  } catch (const Error& error) {
    if (error.code != ErrorCode::kUnavailable) throw;
  }
}

bool LakeFiles::NoteDamage(const PublishedFilePtr& file, const std::string& reason) {
  std::lock_guard lock(mutex_);
  auto stream = streams_.find(file->stream.value);
  if (stream == streams_.end()) return false;
  auto day = stream->second.find(file->Day());
  if (day == stream->second.end()) return false;
  auto& files = *day->second;
  if (std::find(files.begin(), files.end(), file) == files.end()) return false;  // replaced
  return damaged_.emplace(file->path, Damage{file, reason}).second;
}

void LakeFiles::NoteSound(const PublishedFilePtr& file) {
  std::lock_guard lock(mutex_);
  if (damaged_.erase(file->path) > 0) touched_.insert(DayOf(*file));
}

std::vector<LakeFiles::Damage> LakeFiles::Damaged() const {
  std::lock_guard lock(mutex_);
  std::vector<Damage> all;
  for (auto& [path, damage] : damaged_) all.push_back(damage);
  return all;
}

}  // namespace weir
