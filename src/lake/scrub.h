// Reads the whole lake again, slowly, so that bytes that rot are found while something can still be
// done about it, and not years later by the query that needs them.
//
// A thread of its own at the lowest priority, which reads so many bytes a second and no more.
// Thread-safe.  Owned by the lake; borrows what it is given.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "lake/files.h"

namespace weir {

// Reads a file from its first byte to its last.  Throws what is wrong with it; what `go_on` is told
// are the bytes read since the last time, and when it says false the rest is left.
void ReadAgain(Disk& disk, const ParquetFile& file, const std::function<bool(uint64_t)>& go_on);

struct ScrubOptions {
  uint64_t bytes_per_second = 8 << 20;  // 0: nothing is read again
  Micros every =
      Micros{24} * 3600 * 1'000'000;  // from the beginning of one pass to that of the next
};

class Scrub {
 public:
  // `describe`: the file as it is to be read; `found`: a file turned out damaged that was not known
  // to be.
  Scrub(Disk& disk, LakeFiles& files, ScrubOptions options,
        std::function<ParquetFile(const PublishedFile&)> describe,
        std::function<void(const PublishedFile&, const std::string& reason)> found);
  ~Scrub();

  void Start();
  void Stop();

  // The files of a stream are read before all others.
  void Suspect(StreamId stream);
  uint64_t CheckedBytes() const;

 private:
  void Run();
  void Pass();
  void Check(const PublishedFilePtr& file);
  void CheckSuspects();
  bool Pause(Micros time);  // false: it is time to stop

  Disk& disk_;
  LakeFiles& files_;
  const ScrubOptions options_;
  const std::function<ParquetFile(const PublishedFile&)> describe_;
  const std::function<void(const PublishedFile&, const std::string&)> found_;
  mutable std::mutex mutex_;  // for everything below
  std::condition_variable wake_;
  std::thread thread_;
  std::set<StreamId> suspects_;
  uint64_t checked_bytes_ = 0;
  bool stopping_ = false;
};

}  // namespace weir
