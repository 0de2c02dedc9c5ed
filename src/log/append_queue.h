// The appends that wait for the log's thread.  Any thread adds; the log's thread takes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

#include "log/log.h"

namespace weir {

// What one producer wants to become durable together, with the checksums made on its own thread.
struct AppendUnit {
  struct Record {
    std::shared_ptr<CommittedRecord> record;
    uint32_t meta_crc, payload_crc;
  };
  std::vector<Record> records;
  uint64_t bytes = 0;
  AppendDone done;
};

class AppendQueue {
 public:
  explicit AppendQueue(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Throws when too much waits, or what Close was told.
  void Add(AppendUnit unit);

  // Waits for units and takes the oldest that fit together into `group_bytes_max`, at least one.
  // Returns none when `patience` is over, and none at once when closed and empty.
  std::vector<AppendUnit> Take(uint64_t group_bytes_max,
                               std::optional<std::chrono::microseconds> patience);

  // Add throws `reason` from now on; what waits can still be taken.
  void Close(Error reason);
  bool ClosedAndEmpty();

 private:
  const uint64_t bytes_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<AppendUnit> waiting_;
  uint64_t bytes_ = 0;
  std::optional<Error> closed_;
};

}  // namespace weir
