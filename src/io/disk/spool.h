// Bytes that are written once and then read while a client takes them: the first of them in memory,
// the rest in a file without a name, which goes with its last descriptor, also after a crash.
//
// What all spools of a room hold together is bounded, and what one client's do, so that neither a
// disk nor a memory fills with answers that nobody reads.  A room is thread-safe and outlives its
// spools; a spool is used by one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

namespace weir {

class SpoolRoom {
 public:
  // `directory` is a native path.  One client may have three quarters of `bytes_max`.
  SpoolRoom(std::string directory, uint64_t bytes_max)
      : directory_(std::move(directory)), bytes_max_(bytes_max) {}

  uint64_t Held() const;

 private:
  friend class Spool;
  // Throws Error(kTooManyRequests).
  void Take(const std::string& client, uint64_t bytes);
  void Give(const std::string& client, uint64_t bytes);

  const std::string directory_;
  const uint64_t bytes_max_;
  mutable std::mutex mutex_;
  uint64_t held_ = 0;
  std::map<std::string, uint64_t> by_client_;
};

class Spool {
 public:
  static constexpr size_t kMemoryBytes = 256 << 10;

  Spool(SpoolRoom& room, std::string client) : room_(room), client_(std::move(client)) {}
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // Throws Error(kTooManyRequests) when the room is used up, kUnavailable for a disk that takes no
  // more: then a part of it may stand there.  REQUIRES: none was left half-written before.
  void Append(std::string_view bytes);
  uint64_t Size() const { return size_; }
  // Fills the room.  REQUIRES: that many bytes are there.
  void Read(uint64_t position, std::span<char> room) const;
  // What was written while all of it is in memory; otherwise nothing.
  std::string* InMemory() { return file_ < 0 ? &memory_ : nullptr; }

 private:
  void WriteFile(std::string_view bytes);

  SpoolRoom& room_;
  const std::string client_;
  std::string memory_;
  int file_ = -1;
  uint64_t size_ = 0, taken_ = 0;
};

}  // namespace weir
