// A disk in memory that is as unkind as a real one may be, for tests.
//
// Bytes live twice: as programs see them, and as the platter has them.  Only a successful sync
// carries pages over; only SyncDirectory carries names over (create, rename, remove, new folders).
// CrashState
// gives the disk as it could be found after the power went: of what was not synced, each page is
// there, missing or torn, each name change happened or not, sizes are anything in between.
// Faults strike at chosen calls; calls that change something are counted.
// Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "io/disk/disk.h"
#include "io/random.h"

namespace weir {

class SimulatedDisk : public Disk {
 public:
  enum class Fault {
    kNoSpace,   // the call fails for want of space; a write may have done a part
    kIoError,   // the call fails; a write may have done a part.  A sync that fails loses its pages
                // for good, and says nothing of it the next time: as Linux does
    kLostWord,  // the call does all it should, and fails nevertheless
    kPowerCut,  // this call and all later ones fail; a write may have done a part
  };

  SimulatedDisk();
  ~SimulatedDisk() override;

  std::unique_ptr<File> Open(const std::string& path, OpenMode mode) override;
  std::unique_ptr<File> TryOpen(const std::string& path) override;
  bool Exists(const std::string& path) override;
  std::vector<std::string> List(const std::string& directory) override;
  void MakeDirectories(const std::string& path) override;
  void Rename(const std::string& from, const std::string& to) override;
  void Remove(const std::string& path) override;
  bool RemoveEmptyFolder(const std::string& path) override;
  void SyncDirectory(const std::string& path) override;
  std::unique_ptr<Folder> OpenFolder(const std::string& path) override;
  std::shared_ptr<void> Lock(const std::string& path) override;
  std::shared_ptr<void> LockFolder(const std::string& path) override;
  DiskSpace SpaceOf(const std::string& directory) override;
  std::string NativePath(const std::string& path) override { return path; }

  // How the disk may look after the power went off now, or after SIGKILL (nothing is lost).  A new
  // disk without faults; this one is left as it is.
  std::unique_ptr<SimulatedDisk> CrashState(Random& random) const;
  std::unique_ptr<SimulatedDisk> KillState() const;

  // The n-th call from now on that changes something (1 is the next) meets the fault; once, except
  // for kPowerCut, or as often as said, call after call.
  void FailCall(uint64_t n, Fault fault, uint64_t times = 1);
  uint64_t Calls() const;     // made so far
  void FailReads(bool fail);  // every read is an EIO
  // The n-th call from now on that only looks (1 is the next: open, exists, list, size, read) is an
  // EIO; once.
  void FailLook(uint64_t n);
  uint64_t Looks() const;     // made so far
  void ShortReads(bool cut);  // every read gives at most half of what it could
  // Bytes that files may take in all; more is ENOSPC.
  void SetCapacity(uint64_t bytes);

  // Bit rot: one byte of the file, as programs and platter have it.
  void FlipByte(const std::string& path, uint64_t position, uint8_t mask);
  uint64_t FileSize(const std::string& path) const;
  // The same for a file that was cut short, or lost.
  void CutFile(const std::string& path, uint64_t size);
  void LoseFile(const std::string& path);

 private:
  class SimulatedFile;
  class SimulatedFolder;
  struct Inode;
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  struct NameChange {
    std::string remove, add;  // either may be empty
    std::shared_ptr<Inode> inode;
  };

  // Who looks calls it first, under mutex_.
  void Look(const std::string& what);
  void MakeDirectoriesLocked(const std::string& path);
  void SyncDirectoryLocked(const std::string& path);
  std::optional<Fault> NextCall();
  // True: the call is to fail when it is done.
  bool NextCallOrThrow(const std::string& what);
  void CheckSpace(uint64_t more, const std::string& path) const;
  uint64_t UsedBytes() const;
  void Change(const std::string& directory, NameChange change);

  mutable std::mutex mutex_;
  Names names_;  // as programs see them
  Names durable_names_;
  std::map<std::string, std::vector<NameChange>> changes_;  // not synced, by directory, in order
  std::map<std::string, bool> directories_;  // whether its own name is on the platter
  std::shared_ptr<std::set<std::string>> locks_;

  uint64_t calls_ = 0;
  uint64_t fault_call_ = 0, fault_calls_end_ = 0;
  Fault fault_ = Fault::kIoError;
  bool power_is_cut_ = false;
  bool reads_fail_ = false, reads_are_short_ = false;
  uint64_t looks_ = 0;
  uint64_t fault_look_ = 0;
  uint64_t capacity_ = UINT64_MAX;
};

}  // namespace weir
