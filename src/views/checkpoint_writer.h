// Writes one checkpoint on a thread of its own, while the engine goes on.
//
// The engine hands over pieces of operators' state between its steps (flow/state_snapshot.h); the
// rows of views are read at a pinned step by the writer itself.  What waits to be written is
// bounded: when there is no room the engine hands over only what is about to change, and when even
// that is more than the disk takes, it gives the checkpoint up.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "flow/state/state_snapshot.h"
#include "views/checkpoint.h"
#include "views/outbox.h"

namespace weir {

class CheckpointWriter : public SnapshotSink {
 public:
  struct Contents {
    InputMark at;
    std::vector<std::string> operators;  // fingerprints, by section
    std::map<std::string, std::string> failed_rows;
    std::vector<LiveViewPtr> views;
    std::shared_ptr<const Version> step;  // pinned, at which the views are read
    std::set<uint32_t> pumps;
    // Batches that must be in the log before the checkpoint counts.
    std::vector<std::pair<std::shared_ptr<Outbox>, uint64_t>> emitted;
  };
  struct Outcome {
    bool is_written = false;
    std::string failure;  // why not
    uint64_t bytes = 0;
  };

  // `done` is called by the writer's thread at its end.
  CheckpointWriter(Disk& disk, std::string path, Contents contents, std::function<void()> done);
  ~CheckpointWriter() override;

  // Engine thread.  REQUIRES: a section of an operator that has not ended; a part is never empty,
  // for "" is what a reader gets at the end.
  void Add(uint32_t section, std::string& part) override;
  void End(uint32_t section, bool whole) override;
  bool HasRoom() const { return waiting_bytes_ < kRoomBytes; }
  void GiveUp(const std::string& why);
  // Once there is one, the thread does no more.
  std::optional<Outcome> outcome() const;
  void Wait();  // for its end

 private:
  static constexpr uint64_t kRoomBytes = 16 << 20, kMostBytes = 32 << 20;
  struct Waiting {
    uint32_t section;
    std::string part;
  };

  void Run();
  void Write();
  void WriteViews(File& file);
  void WriteOperators(File& file);
  void WriteIndex(File& file);
  void CheckSections() const;
  bool WaitForLog();
  void Put(File& file, uint32_t section, std::string_view part);
  void Append(File& file, std::string_view bytes);
  void CheckWanted() const;

  Disk& disk_;
  const std::string path_;
  Contents contents_;
  std::function<void()> done_;

  // The writer's thread.
  CheckpointIndex index_;
  uint64_t size_ = 0, synced_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, drained_;
  std::deque<Waiting> waiting_;
  std::vector<std::string> free_;  // parts that were written: their room is used again
  std::vector<bool> whole_;        // by section
  size_t open_sections_;           // of operators
  std::string given_up_;           // why; "" when it is not
  std::optional<Outcome> outcome_;

  std::atomic<uint64_t> waiting_bytes_{0};
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace weir
