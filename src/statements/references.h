// Tables whose rows come from files of the project: read at the start, and again when their time
// has come or the file has changed.  A file that cannot be read leaves the rows as they were, and
// the error is shown until it can.
//
// One thread.  Owned by main; TableWrites outlives it.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "statements/table_writes.h"

namespace weir {

class References {
 public:
  struct Status {
    Micros refreshed = 0;  // when the rows last were those of the file; 0: never
    std::optional<Error> error;
  };

  References(Catalog& catalog, TableWrites& writes, Clock& clock)
      : catalog_(catalog), writes_(writes), clock_(clock) {}
  ~References() { Stop(); }

  void Start();
  void Stop();  // idempotent
  Status Of(StreamId table) const;
  // Looks at every file once, on the caller's thread.
  void RefreshDue();

 private:
  struct Entry {
    Status status;
    FileStamp stamp;       // of what was read last
    Micros looked_at = 0;  // monotonic; 0: never
  };
  void Refresh(const Stream& table, Entry& entry);

  Catalog& catalog_;
  TableWrites& writes_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::map<uint32_t, Entry> entries_;  // by table
  std::thread thread_;
};

}  // namespace weir
