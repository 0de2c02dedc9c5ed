#include "lake/manifest_store.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"

namespace weir {
namespace {

constexpr uint64_t kChangesBytesMin = 256 << 10;
constexpr std::string_view kChanges = "manifest.changes-";

// Whether what is written is what will be read.
bool ReadsBack(std::string_view text, const Manifest& manifest) {
  Manifest read = LoadManifest(text);
  return read.number == manifest.number && read.landed == manifest.landed &&
         read.held == manifest.held && read.folders == manifest.folders &&
         read.files.size() == manifest.files.size();
}

}  // namespace

ManifestStore::ManifestStore(Disk& disk, std::string directory)
    : disk_(disk), directory_(std::move(directory)) {}

// One for each use: an outcome that is unknown is not its last word, since it is written again.
SmallFile ManifestStore::SnapshotFile() const {
  return SmallFile(disk_, directory_ + "/manifest.json", {"lake-manifest", 1, kManifestLost});
}

std::string ManifestStore::ChangesPath(uint64_t number) const {
  return directory_ + "/" + std::string(kChanges) + std::to_string(number);
}

Manifest ManifestStore::Load() {
  ASSERT(number_ == 0 && !certain_ && !changes_);
  Manifest manifest;
  if (auto content = SnapshotFile().Load()) {
    std::string_view json = content->bytes;
    manifest = LoadManifest(content->version == 0 ? WithoutTrailer(json) : json);
    snapshot_bytes_ = json.size();
  }
  number_ = manifest.number;
  std::string changes = ReadWholeFile(disk_, ChangesPath(number_));
  changes_bytes_ = changes.size();
  torn_ = !ApplyChanges(changes, manifest);
  return manifest;
}

bool ManifestStore::WantsSnapshot() const {
  return changes_bytes_ > std::max(snapshot_bytes_, kChangesBytesMin);
}

void ManifestStore::SaveSnapshot(Manifest& manifest) {
  certain_ = false;
  changes_.reset();
  // Changes to a snapshot that may or may not be there are never mixed up with those to another.
  manifest.number = ++number_;
  std::string text = SaveManifest(manifest);
  DEBUG_ASSERT(ReadsBack(text, manifest));
  SnapshotFile().Save(text);
  snapshot_bytes_ = text.size();
  changes_bytes_ = 0;
  certain_ = true;
  RemoveOldChanges();
}

// They are of no use and do no harm: what cannot be removed now is the next time.
void ManifestStore::RemoveOldChanges() {
  try {
    for (auto& name : disk_.List(directory_)) {
      if (name.starts_with(kChanges)) disk_.Remove(directory_ + "/" + name);
    }
  } catch (const Error&) {
  }
}

void ManifestStore::Append(const ManifestChange& change) {
  ASSERT(certain_);
  std::string line = SaveChange(change);
  certain_ = false;
  if (!changes_) {
    ASSERT(changes_bytes_ == 0);  // the file begins with this line
    std::string path = ChangesPath(number_);
    if (disk_.Exists(path)) disk_.Remove(path);
    changes_ = disk_.Open(path, OpenMode::kCreate);
    disk_.SyncDirectory(directory_);
  }
  std::array<std::string_view, 1> parts = {line};
  changes_->WriteDurably(changes_bytes_, parts);
  changes_bytes_ += line.size();
  certain_ = true;
}

}  // namespace weir
