#include "lake/files.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <utility>

#include "base/error.h"

namespace weir {
namespace {

constexpr int64_t kSecondsInHour = 3600;
constexpr const char* kUnpublished = "unpublished";

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
  state_.landed = manifest.landed;
  state_.held = std::move(manifest.held);
  folders_ = known_folders_ = std::move(manifest.folders);
  std::map<uint32_t, std::vector<PublishedFilePtr>> files;
  for (auto& file : manifest.files) {
    files[file.stream.value].push_back(Published(disk_, directory_, std::move(file)));
  }
  for (auto& [stream, list] : files) {
    state_.files[stream] = std::make_shared<const std::vector<PublishedFilePtr>>(std::move(list));
  }
  CheckFiles();
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
  return state_.landed;
}

Offset LakeFiles::LandedOf(StreamId stream) const {
  std::lock_guard lock(mutex_);
  return LandedIn(state_.held, state_.landed, stream.value);
}

Offset LakeFiles::LeastLanded() const {
  std::lock_guard lock(mutex_);
  Offset least = state_.landed;
  for (auto& [stream, landed] : state_.held) least = std::min(least, landed);
  return least;
}

std::map<uint32_t, Offset> LakeFiles::Held() const {
  std::lock_guard lock(mutex_);
  return state_.held;
}

std::vector<PublishedFilePtr> LakeFiles::All() const {
  std::lock_guard lock(mutex_);
  std::vector<PublishedFilePtr> all;
  for (auto& [stream, files] : state_.files) all.insert(all.end(), files->begin(), files->end());
  return all;
}

LakeFiles::Part LakeFiles::Of(const std::vector<StreamId>& streams, Offset after,
                              Offset up_to) const {
  std::lock_guard lock(mutex_);
  Part part;
  for (StreamId stream : streams) {
    part.landed.push_back(LandedIn(state_.held, state_.landed, stream.value));
    auto& wanted = part.files.emplace_back();
    auto found = state_.files.find(stream.value);
    if (found == state_.files.end()) continue;
    for (auto& file : *found->second) {
      if (file->last > after && file->first <= up_to) wanted.push_back(file);
    }
  }
  return part;
}

std::string LakeFiles::Place(const Stream& stream, int64_t hour, Offset first, Offset last) {
  std::string folder;
  {
    std::lock_guard lock(mutex_);
    std::string& known = folders_[stream.id.value];
    if (known.empty()) known = NewFolder(stream, folders_);
    folder = known;
  }
  std::tm utc = fmt::gmtime(static_cast<std::time_t>(hour * kSecondsInHour));
  auto [day_name, hour_name] = PartitionNames(stream);
  std::string day = fmt::format("{}/{}={:%Y-%m-%d}", folder, day_name, utc);
  std::string full = fmt::format("{}/{}={:%H}", day, hour_name, utc);
  if (!made_.contains(full)) {
    // Folders that are there may be so for programs only: who made them may not have come as far as
    // to sync them.
    disk_.MakeDirectories(FullPath(full));
    for (auto& parent : {directory_, FullPath(folder), FullPath(day)}) disk_.SyncDirectory(parent);
    made_.insert(full);
  }
  return fmt::format("{}/{}-{}.parquet", full, first.value, last.value);
}

// Hidden from Spark, Athena and DuckDB's globs alike.
std::string LakeFiles::TemporaryPath(const std::string& path) {
  size_t name = path.rfind('/') + 1;
  return path.substr(0, name) + "." + path.substr(name) + ".tmp";
}

void LakeFiles::RemoveDurably(const std::vector<std::string>& paths) {
  std::set<std::string> folders;
  for (auto& path : paths) {
    std::string full = FullPath(path);
    if (!disk_.Exists(full)) continue;
    disk_.Remove(full);
    folders.insert(FolderOf(full));
  }
  for (auto& folder : folders) disk_.SyncDirectory(folder);
}

void LakeFiles::Settle() {
  if (pending_ || !store_.Certain() || store_.WantsSnapshot()) {
    Manifest whole = Whole(pending_ ? pending_->state : state_);
    store_.SaveSnapshot(whole);
    known_folders_ = std::move(whole.folders);
    if (pending_) Adopt();
  }
  SweepRemoved();
}

// What is pending is durable: it is the state.
void LakeFiles::Adopt() {
  {
    std::lock_guard lock(mutex_);
    std::swap(state_, pending_->state);
    for (auto& file : pending_->removed) damaged_.erase(file->path);
  }
  removed_.insert(removed_.end(), pending_->removed.begin(), pending_->removed.end());
  // What was intended and is not in is still to be removed.
  std::erase_if(intended_, [&](auto& path) { return pending_->added.contains(path); });
  pending_.reset();
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
  SaveIntentions({});
}

void LakeFiles::SaveIntentions(const std::vector<PublishedFilePtr>& going) {
  std::vector<std::string> all = intended_;
  all.insert(all.end(), leftovers_.begin(), leftovers_.end());
  for (auto& file : removed_) all.push_back(file->path);
  for (auto& file : going) all.push_back(file->path);
  UnpublishedFile(disk_, directory_).Save(SavePaths(all));
}

LakeFiles::State LakeFiles::Next(const Publication& publication) const {
  State next = state_;
  next.landed = publication.landed;
  next.held = publication.held;
  std::map<uint32_t, std::vector<PublishedFilePtr>> touched;
  auto list = [&](StreamId stream) -> std::vector<PublishedFilePtr>& {
    auto [found, is_new] = touched.try_emplace(stream.value);
    auto before = next.files.find(stream.value);
    if (is_new && before != next.files.end()) found->second = *before->second;
    return found->second;
  };
  for (auto& file : publication.removed) std::erase(list(file->stream), file);
  for (auto& file : publication.added) {
    list(file.stream).push_back(Published(disk_, directory_, file));
  }
  // What is published is believed for ever, and the log forgets what it holds.
  ASSERT(next.landed >= state_.landed);
  for (auto& [stream, landed] : next.held) {
    ASSERT(landed <= next.landed);
    ASSERT(landed >= LandedIn(state_.held, state_.landed, stream));
  }
  for (auto& [stream, files] : touched) {
    std::sort(files.begin(), files.end(), ByOffset);
    std::vector<const ManifestFile*> plain;
    for (auto& file : files) plain.push_back(file.get());
    ASSERT(Contradiction(plain, LandedIn(next.held, next.landed, stream)).empty());
    next.files[stream] = std::make_shared<const std::vector<PublishedFilePtr>>(std::move(files));
  }
  return next;
}

Manifest LakeFiles::Whole(const State& state) const {
  Manifest manifest;
  manifest.landed = state.landed;
  manifest.held = state.held;
  manifest.folders = folders_;
  for (auto& [stream, files] : state.files) {
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
  State next = Next(publication);
  if (!publication.removed.empty()) SaveIntentions(publication.removed);
  ManifestChange change = ChangeTo(publication);
  std::set<std::string> added;
  for (auto& file : publication.added) added.insert({file.path, TemporaryPath(file.path)});
  pending_ = Pending{std::move(next), std::move(publication.removed), std::move(added)};
  store_.Append(change);
  known_folders_.merge(change.folders);
  Adopt();
  SweepRemoved();
}

// Readers hold a file by its pointer; ours is the last when nobody reads.
void LakeFiles::SweepRemoved() {
  std::vector<std::string> paths;
  std::vector<PublishedFilePtr> kept;
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
}

void LakeFiles::RemoveLeftovers() {
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
  auto of_stream = state_.files.find(file->stream.value);
  if (of_stream == state_.files.end()) return false;
  auto& files = *of_stream->second;
  if (std::find(files.begin(), files.end(), file) == files.end()) return false;  // replaced
  return damaged_.emplace(file->path, Damage{file, reason}).second;
}

void LakeFiles::NoteSound(const PublishedFilePtr& file) {
  std::lock_guard lock(mutex_);
  damaged_.erase(file->path);
}

std::vector<LakeFiles::Damage> LakeFiles::Damaged() const {
  std::lock_guard lock(mutex_);
  std::vector<Damage> all;
  for (auto& [path, damage] : damaged_) all.push_back(damage);
  return all;
}

}  // namespace weir
