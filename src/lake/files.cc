#include "lake/files.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace weir {
namespace {

constexpr int64_t kSecondsInHour = 3600;

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

}  // namespace

LakeFiles::LakeFiles(Disk& disk, std::string directory)
    : disk_(disk), directory_(std::move(directory)) {
  disk_.MakeDirectories(directory_);
  std::string text = ReadWholeFile(disk_, directory_ + "/manifest.json");
  if (!text.empty()) {
    Manifest manifest = LoadManifest(text);
    landed_ = manifest.landed;
    folders_ = std::move(manifest.folders);
    for (auto& file : manifest.files) {
      files_[file.stream.value].push_back(Published(disk_, directory_, std::move(file)));
    }
  }
  RemoveLeftovers();
}

Offset LakeFiles::Landed() const {
  std::lock_guard lock(mutex_);
  return landed_;
}

std::vector<PublishedFilePtr> LakeFiles::All() const {
  std::lock_guard lock(mutex_);
  std::vector<PublishedFilePtr> all;
  for (auto& [stream, files] : files_) all.insert(all.end(), files.begin(), files.end());
  return all;
}

LakeFiles::Part LakeFiles::Of(const std::vector<StreamId>& streams, Offset after,
                              Offset up_to) const {
  std::lock_guard lock(mutex_);
  Part part;
  part.landed = landed_;
  for (StreamId stream : streams) {
    auto& wanted = part.files.emplace_back();
    auto found = files_.find(stream.value);
    if (found == files_.end()) continue;
    for (auto& file : found->second) {
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
    if (known.empty()) {
      std::string name = FolderName(stream.name);
      bool taken = std::any_of(folders_.begin(), folders_.end(),
                               [&](auto& entry) { return entry.second == name; });
      known = taken ? fmt::format("{}-{}", name, stream.id.value) : name;
    }
    folder = known;
  }
  std::tm utc = fmt::gmtime(static_cast<std::time_t>(hour * kSecondsInHour));
  folder += fmt::format("/dt={:%Y-%m-%d}/hour={:%H}", utc, utc);
  if (made_.insert(folder).second) disk_.MakeDirectories(FullPath(folder));
  return fmt::format("{}/{}-{}.parquet", folder, first.value, last.value);
}

// Hidden from Spark, Athena and DuckDB's globs alike.
std::string LakeFiles::TemporaryPath(const std::string& path) {
  size_t name = path.rfind('/') + 1;
  return path.substr(0, name) + "." + path.substr(name) + ".tmp";
}

void LakeFiles::Intend(const std::vector<std::string>& paths) {
  // What an attempt that failed has left behind goes first.
  for (auto& path : std::exchange(intended_, {})) {
    if (disk_.Exists(FullPath(path))) disk_.Remove(FullPath(path));
  }
  for (auto& path : paths) {
    intended_.push_back(path);
    intended_.push_back(TemporaryPath(path));
  }
  SaveIntentions(intended_);
}

void LakeFiles::SaveIntentions(const std::vector<std::string>& paths) {
  std::vector<std::string> all = paths;
  for (auto& file : removed_) all.push_back(file->path);
  WriteFileAtomically(disk_, directory_ + "/unpublished", SavePaths(all));
}

void LakeFiles::Publish(Offset landed, const std::vector<ManifestFile>& added,
                        std::vector<PublishedFilePtr> removed) {
  Manifest manifest;
  auto files = files_;  // only this thread writes it, so it may be read without the lock
  for (auto& file : removed) std::erase(files[file->stream.value], file);
  for (auto& file : added) {
    files[file.stream.value].push_back(Published(disk_, directory_, file));
  }
  manifest.landed = landed;
  manifest.folders = folders_;
  for (auto& [stream, of_stream] : files) {
    std::sort(of_stream.begin(), of_stream.end(), ByOffset);
    for (auto& file : of_stream) manifest.files.push_back(*file);
  }
  if (!removed.empty()) {
    removed_.insert(removed_.end(), removed.begin(), removed.end());
    removed.clear();
    SaveIntentions(intended_);
  }
  WriteFileAtomically(disk_, directory_ + "/manifest.json", SaveManifest(manifest));
  {
    std::lock_guard lock(mutex_);
    files_.swap(files);
    landed_ = landed;
  }
  intended_.clear();
  files.clear();
  SweepRemoved();
}

// Readers hold a file by its pointer; ours is the last when nobody reads.
void LakeFiles::SweepRemoved() {
  std::erase_if(removed_, [&](const PublishedFilePtr& file) {
    if (file.use_count() > 1) return false;
    if (disk_.Exists(FullPath(file->path))) disk_.Remove(FullPath(file->path));
    return true;
  });
}

void LakeFiles::RemoveLeftovers() {
  std::set<std::string> kept;
  for (auto& [stream, files] : files_) {
    for (auto& file : files) kept.insert(file->path);
  }
  bool any = false;
  for (auto& path : LoadPaths(ReadWholeFile(disk_, directory_ + "/unpublished"))) {
    any = true;
    if (!kept.contains(path) && disk_.Exists(FullPath(path))) disk_.Remove(FullPath(path));
  }
  if (any) WriteFileAtomically(disk_, directory_ + "/unpublished", "");
}

}  // namespace weir
