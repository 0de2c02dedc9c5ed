#include "io/disk/simulated_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace weir {

namespace {

constexpr uint64_t kPage = 4096;

// The folder that is always there has several names.
std::string Named(const std::string& folder) {
  return folder == "." || folder == "/" ? "" : folder;
}

std::string FolderOf(const std::string& path) {
  return Named(std::filesystem::path(path).parent_path().string());
}

bool IsBelow(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

[[noreturn]] void ThrowFull(const std::string& path) {
  throw Error(ErrorCode::kUnavailable, fmt::format("cannot write \"{}\": no space left", path),
              "Free some space on the disk, then try again.");
}

[[noreturn]] void ThrowFailure(const std::string& what) {
  throw DiskFailure(fmt::format("cannot {}: input/output error", what));
}

}  // namespace

struct SimulatedDisk::Inode {
  std::string bytes;         // as programs see them
  std::string durable;       // as the platter has them
  std::set<uint64_t> dirty;  // pages of `bytes` that were not synced
  bool size_dirty = false;

  void Mark(uint64_t from, uint64_t to) {
    for (uint64_t page = from / kPage; page * kPage < to; page++) {
      dirty.insert(page);
    }
  }

  void Put(uint64_t position, std::string_view data) {
    if (data.empty()) {
      return;
    }
    Resize(std::max<uint64_t>(bytes.size(), position + data.size()));
    bytes.replace(position, data.size(), data);
    Mark(position, position + data.size());
  }

  void Resize(uint64_t size) {
    if (size != bytes.size()) {
      Mark(std::min<uint64_t>(size, bytes.size()), std::max<uint64_t>(size, bytes.size()));
      bytes.resize(size);
      size_dirty = true;
    }
  }

  void Sync() {
    durable.resize(bytes.size());
    for (uint64_t page : dirty) {
      uint64_t begin = page * kPage;
      if (begin < bytes.size()) {
        durable.replace(begin, kPage, bytes, begin, kPage);
      }
    }
    Forget();
  }

  void Forget() {
    dirty.clear();
    size_dirty = false;
  }

  // The bytes of one un-synced page: old, new, or new up to somewhere.
  void Settle(std::string& result, uint64_t page, Random& random) const {
    uint64_t begin = page * kPage;
    uint64_t end = std::min<uint64_t>({begin + kPage, bytes.size(), result.size()});
    switch (random.Below(4)) {
      case 0: break;
      case 1: end = std::min(end, begin + random.Below(kPage)); [[fallthrough]];
      default:
        if (begin < end) {
          result.replace(begin, end - begin, bytes, begin, end - begin);
        }
    }
  }

  std::shared_ptr<Inode> AfterCrash(Random& random) const {
    auto after = std::make_shared<Inode>();
    uint64_t old_size = durable.size();
    uint64_t size = old_size;
    if (size_dirty) {
      uint64_t low = std::min<uint64_t>(old_size, bytes.size());
      uint64_t high = std::max<uint64_t>(old_size, bytes.size());
      size = random.OneIn(3)   ? old_size
             : random.OneIn(2) ? bytes.size()
                               : low + random.Below(high - low + 1);
    }
    after->durable = durable;
    after->durable.resize(size);
    for (uint64_t page : dirty) {
      Settle(after->durable, page, random);
    }
    after->bytes = after->durable;
    return after;
  }
};

class SimulatedDisk::SimulatedFile : public File {
 public:
  SimulatedFile(SimulatedDisk& disk, std::string path, std::shared_ptr<Inode> inode)
      : disk_(disk), path_(std::move(path)), inode_(std::move(inode)) {}

  size_t Read(uint64_t position, std::span<char> buffer) override {
    std::lock_guard lock(disk_.mutex_);
    if (disk_.reads_fail_) {
      ThrowFailure("read \"" + path_ + "\"");
    }
    disk_.Look("read \"" + path_ + "\"");
    if (position >= inode_->bytes.size()) {
      return 0;
    }
    size_t n = std::min<size_t>(buffer.size(), inode_->bytes.size() - position);
    n -= disk_.reads_are_short_ ? (n + 1) / 2 : 0;
    return inode_->bytes.copy(buffer.data(), n, position);
  }

  void Write(uint64_t position, std::string_view bytes) override {
    std::lock_guard lock(disk_.mutex_);
    bool power_was_cut = disk_.power_is_cut_;
    std::optional<Fault> fault = disk_.NextCall();
    if (fault) {
      if (!power_was_cut) {
        bool all = *fault == Fault::kLostWord;
        inode_->Put(position, bytes.substr(0, all ? bytes.size() : bytes.size() / 2));
      }
      if (*fault == Fault::kNoSpace) {
        ThrowFull(path_);
      }
      ThrowFailure("write \"" + path_ + "\"");
    }
    uint64_t end = position + bytes.size();
    disk_.CheckSpace(end - std::min<uint64_t>(end, inode_->bytes.size()), path_);
    inode_->Put(position, bytes);
  }

  void Sync() override {
    std::lock_guard lock(disk_.mutex_);
    std::optional<Fault> fault = disk_.NextCall();
    if (fault) {
      if (*fault == Fault::kLostWord) {
        inode_->Sync();
      } else if (*fault != Fault::kPowerCut) {
        inode_->Forget();
      }
      ThrowFailure("sync \"" + path_ + "\"");
    }
    inode_->Sync();
  }

  uint64_t Size() override {
    std::lock_guard lock(disk_.mutex_);
    disk_.Look("look at \"" + path_ + "\"");
    return inode_->bytes.size();
  }

  void Truncate(uint64_t size) override {
    std::lock_guard lock(disk_.mutex_);
    std::string what = "truncate \"" + path_ + "\"";
    bool fails = disk_.NextCallOrThrow(what);
    inode_->Resize(size);
    if (fails) ThrowFailure(what);
  }

  void Allocate(uint64_t size) override {
    std::lock_guard lock(disk_.mutex_);
    std::string what = "reserve space for \"" + path_ + "\"";
    bool fails = disk_.NextCallOrThrow(what);
    if (size > inode_->bytes.size()) {
      disk_.CheckSpace(size - inode_->bytes.size(), path_);
      inode_->Resize(size);
    }
    if (fails) ThrowFailure(what);
  }

 private:
  SimulatedDisk& disk_;
  std::string path_;
  std::shared_ptr<Inode> inode_;
};

class SimulatedDisk::SimulatedFolder : public Folder {
 public:
  SimulatedFolder(SimulatedDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  void Sync() override { disk_.SyncDirectory(path_); }

 private:
  SimulatedDisk& disk_;
  std::string path_;
};

SimulatedDisk::SimulatedDisk() : locks_(std::make_shared<std::set<std::string>>()) {}
SimulatedDisk::~SimulatedDisk() = default;

std::unique_ptr<File> SimulatedDisk::Open(const std::string& path, OpenMode mode) {
  std::lock_guard lock(mutex_);
  auto entry = names_.find(path);
  if (mode == OpenMode::kCreate) {
    if (entry != names_.end()) {
      throw DiskFailure("cannot create \"" + path + "\": it exists");
    }
    if (!FolderOf(path).empty() && !directories_.contains(FolderOf(path))) {
      throw DiskFailure("cannot create \"" + path + "\": there is no such folder");
    }
    bool fails = NextCallOrThrow("create \"" + path + "\"");
    auto inode = std::make_shared<Inode>();
    Change(FolderOf(path), {"", path, inode});
    if (fails) ThrowFailure("create \"" + path + "\"");
    return std::make_unique<SimulatedFile>(*this, path, inode);
  }
  Look("open \"" + path + "\"");
  if (entry == names_.end()) {
    throw DiskFailure("cannot open \"" + path + "\": there is no such file");
  }
  return std::make_unique<SimulatedFile>(*this, path, entry->second);
}

std::unique_ptr<File> SimulatedDisk::TryOpen(const std::string& path) {
  std::lock_guard lock(mutex_);
  Look("open \"" + path + "\"");
  auto entry = names_.find(path);
  if (entry == names_.end()) {
    return nullptr;
  }
  return std::make_unique<SimulatedFile>(*this, path, entry->second);
}

bool SimulatedDisk::Exists(const std::string& path) {
  std::lock_guard lock(mutex_);
  Look("look at \"" + path + "\"");
  return names_.contains(path) || directories_.contains(path);
}

std::vector<std::string> SimulatedDisk::List(const std::string& directory) {
  std::lock_guard lock(mutex_);
  Look("list \"" + directory + "\"");
  std::vector<std::string> names;
  for (const auto& [path, inode] : names_) {
    if (FolderOf(path) == Named(directory)) {
      names.push_back(std::filesystem::path(path).filename().string());
    }
  }
  for (const auto& [path, durable] : directories_) {
    if (FolderOf(path) == Named(directory)) {
      names.push_back(std::filesystem::path(path).filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

void SimulatedDisk::MakeDirectories(const std::string& path) {
  std::lock_guard lock(mutex_);
  MakeDirectoriesLocked(path);
}

// As the real disk does it.
void SimulatedDisk::MakeDirectoriesLocked(const std::string& path) {
  if (Named(path).empty()) {
    return;
  }
  if (!directories_.contains(path)) {
    MakeDirectoriesLocked(FolderOf(path));
    bool fails = NextCallOrThrow("create folder \"" + path + "\"");
    directories_[path] = false;
    if (fails) ThrowFailure("create folder \"" + path + "\"");
  }
  SyncDirectoryLocked(FolderOf(path));
}

void SimulatedDisk::Rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  bool fails = NextCallOrThrow("rename \"" + from + "\"");
  auto entry = names_.find(from);
  if (entry == names_.end()) {
    throw DiskFailure("cannot rename \"" + from + "\": there is no such file");
  }
  Change(FolderOf(to), {from, to, entry->second});
  if (fails) ThrowFailure("rename \"" + from + "\"");
}

void SimulatedDisk::Remove(const std::string& path) {
  std::lock_guard lock(mutex_);
  bool fails = NextCallOrThrow("remove \"" + path + "\"");
  if (!names_.contains(path)) {
    throw DiskFailure("cannot remove \"" + path + "\": there is no such file");
  }
  Change(FolderOf(path), {path, "", nullptr});
  if (fails) ThrowFailure("remove \"" + path + "\"");
}

bool SimulatedDisk::RemoveEmptyFolder(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (NextCall() || !directories_.contains(path)) {
    return false;
  }
  auto inside = [&](auto& entry) { return FolderOf(entry.first) == path; };
  if (std::any_of(names_.begin(), names_.end(), inside) ||
      std::any_of(directories_.begin(), directories_.end(), inside)) {
    return false;
  }
  directories_.erase(path);
  changes_.erase(path);  // whatever was in it, nothing is
  std::erase_if(durable_names_, [&](auto& entry) { return FolderOf(entry.first) == path; });
  return true;
}

namespace {

template <typename Names, typename Change>
void Apply(Names& names, const Change& change) {
  names.erase(change.remove);
  if (!change.add.empty()) {
    names[change.add] = change.inode;
  }
}

}  // namespace

void SimulatedDisk::Change(const std::string& directory, NameChange change) {
  ASSERT(!change.remove.empty() || !change.add.empty());
  ASSERT(change.add.empty() == !change.inode);
  Apply(names_, change);
  changes_[directory].push_back(std::move(change));
}

void SimulatedDisk::SyncDirectory(const std::string& path) {
  std::lock_guard lock(mutex_);
  SyncDirectoryLocked(Named(path));
}

void SimulatedDisk::SyncDirectoryLocked(const std::string& path) {
  std::optional<Fault> fault = NextCall();
  if (fault && *fault != Fault::kLostWord) {
    ThrowFailure("sync \"" + path + "\"");
  }
  for (const NameChange& change : changes_[path]) {
    Apply(durable_names_, change);
  }
  changes_.erase(path);
  for (auto& [folder, durable] : directories_) {
    durable |= FolderOf(folder) == path;
  }
  if (fault) ThrowFailure("sync \"" + path + "\"");
}

std::unique_ptr<Folder> SimulatedDisk::OpenFolder(const std::string& path) {
  std::lock_guard lock(mutex_);
  Look("open folder \"" + path + "\"");
  if (!Named(path).empty() && !directories_.contains(path)) {
    throw DiskFailure("cannot open folder \"" + path + "\": there is no such folder");
  }
  return std::make_unique<SimulatedFolder>(*this, path);
}

std::shared_ptr<void> SimulatedDisk::LockFolder(const std::string& path) {
  return Lock(path + "/");
}

std::shared_ptr<void> SimulatedDisk::Lock(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (!locks_->insert(path).second) {
    throw Error(ErrorCode::kUnavailable, "\"" + path + "\" is held by process 1",
                "Stop that process, or use another data folder.");
  }
  return {nullptr, [locks = locks_, path](void*) { locks->erase(path); }};
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::CrashState(Random& random) const {
  std::lock_guard lock(mutex_);
  Names names = durable_names_;
  for (const auto& [directory, changes] : changes_) {
    // A journal keeps their order and loses the end; other file systems lose any of them.
    bool in_order = random.OneIn(2);
    size_t kept = random.Below(changes.size() + 1);
    for (size_t i = 0; i < changes.size(); i++) {
      if (in_order ? i < kept : random.OneIn(2)) {
        Apply(names, changes[i]);
      }
    }
  }
  auto after = std::make_unique<SimulatedDisk>();
  for (const auto& [folder, durable] : directories_) {  // those above come first
    std::string above = FolderOf(folder);
    bool hangs = above.empty() || after->directories_.contains(above);
    if (hangs && (durable || random.OneIn(2))) {
      after->directories_[folder] = true;
    } else {
      std::erase_if(names, [&, &gone = folder](auto& entry) { return IsBelow(entry.first, gone); });
    }
  }
  std::map<const Inode*, std::shared_ptr<Inode>> settled;
  for (const auto& [path, inode] : names) {
    ASSERT(FolderOf(path).empty() || after->directories_.contains(FolderOf(path)));
    std::shared_ptr<Inode>& copy = settled[inode.get()];
    if (!copy) {
      copy = inode->AfterCrash(random);
    }
    after->names_[path] = copy;
  }
  after->durable_names_ = after->names_;
  return after;
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::KillState() const {
  std::lock_guard lock(mutex_);
  auto after = std::make_unique<SimulatedDisk>();
  after->directories_ = directories_;
  std::map<const Inode*, std::shared_ptr<Inode>> copies;
  auto copy = [&](const std::shared_ptr<Inode>& inode) {
    std::shared_ptr<Inode>& c = copies[inode.get()];
    if (!c && inode) {
      c = std::make_shared<Inode>(*inode);
    }
    return c;
  };
  for (const auto& [path, inode] : names_) {
    after->names_[path] = copy(inode);
  }
  for (const auto& [path, inode] : durable_names_) {
    after->durable_names_[path] = copy(inode);
  }
  for (const auto& [directory, changes] : changes_) {
    for (const NameChange& change : changes) {
      after->changes_[directory].push_back({change.remove, change.add, copy(change.inode)});
    }
  }
  return after;
}

void SimulatedDisk::FailCall(uint64_t n, Fault fault, uint64_t times) {
  std::lock_guard lock(mutex_);
  fault_call_ = calls_ + n;
  fault_calls_end_ = fault_call_ + times;
  fault_ = fault;
}

uint64_t SimulatedDisk::Calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

void SimulatedDisk::FailReads(bool fail) {
  std::lock_guard lock(mutex_);
  reads_fail_ = fail;
}

void SimulatedDisk::FailLook(uint64_t n) {
  std::lock_guard lock(mutex_);
  fault_look_ = looks_ + n;
}

uint64_t SimulatedDisk::Looks() const {
  std::lock_guard lock(mutex_);
  return looks_;
}

void SimulatedDisk::ShortReads(bool cut) {
  std::lock_guard lock(mutex_);
  reads_are_short_ = cut;
}

void SimulatedDisk::SetCapacity(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  capacity_ = bytes;
}

DiskSpace SimulatedDisk::SpaceOf(const std::string& directory) {
  std::lock_guard lock(mutex_);
  uint64_t used = UsedBytes();
  return {capacity_, capacity_ - std::min(capacity_, used)};
}

void SimulatedDisk::FlipByte(const std::string& path, uint64_t position, uint8_t mask) {
  std::lock_guard lock(mutex_);
  Inode& inode = *names_.at(path);
  inode.bytes.at(position) ^= mask;
  if (position < inode.durable.size()) {
    inode.durable[position] ^= mask;
  }
}

uint64_t SimulatedDisk::FileSize(const std::string& path) const {
  std::lock_guard lock(mutex_);
  return names_.at(path)->bytes.size();
}

void SimulatedDisk::CutFile(const std::string& path, uint64_t size) {
  std::lock_guard lock(mutex_);
  Inode& inode = *names_.at(path);
  inode.bytes.resize(std::min<uint64_t>(size, inode.bytes.size()));
  inode.durable.resize(std::min<uint64_t>(size, inode.durable.size()));
}

void SimulatedDisk::LoseFile(const std::string& path) {
  std::lock_guard lock(mutex_);
  names_.erase(path);
  durable_names_.erase(path);
}

void SimulatedDisk::Look(const std::string& what) {
  looks_++;
  if (looks_ == fault_look_) {
    ThrowFailure(what);
  }
}

std::optional<SimulatedDisk::Fault> SimulatedDisk::NextCall() {
  calls_++;
  if (power_is_cut_) {
    return Fault::kPowerCut;
  }
  if (calls_ < fault_call_ || calls_ >= fault_calls_end_) {
    return {};
  }
  power_is_cut_ = fault_ == Fault::kPowerCut;
  return fault_;
}

bool SimulatedDisk::NextCallOrThrow(const std::string& what) {
  std::optional<Fault> fault = NextCall();
  if (fault && *fault == Fault::kNoSpace) {
    ThrowFull(what);
  }
  if (fault && *fault != Fault::kLostWord) {
    ThrowFailure(what);
  }
  return fault.has_value();
}

void SimulatedDisk::CheckSpace(uint64_t more, const std::string& path) const {
  if (more > 0 && UsedBytes() + more > capacity_) {
    ThrowFull(path);
  }
}

uint64_t SimulatedDisk::UsedBytes() const {
  uint64_t used = 0;
  for (const auto& [path, inode] : names_) {
    used += inode->bytes.size();
  }
  return used;
}

}  // namespace weir
