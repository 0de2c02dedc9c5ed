// Who may write a table now.
//
// Producers pass freely, many at a time.  A statement that reads the table to decide what it writes
// holds the gate: it waits until all who passed are on the disk, and while it holds the gate
// others wait in a queue, as functions, so that no thread does.  Thread-safe; owned by Ingest.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "ingest/ingest.h"

namespace weir {

class TableGate {
 public:
  static constexpr size_t kWaitingBytesMax = 64 << 20;

  // True: passed, go on and call Leave when the rows are durable or given up.  False: `later` is
  // called when the gate is free, having passed; it must not throw.  Throws kTooManyRequests when
  // more waits than kWaitingBytesMax.
  bool Enter(size_t bytes, std::function<void()> later);
  void Leave();  // REQUIRES: passed, and not left

  // Throws kTooManyRequests when others hold the gate for longer than this.
  std::unique_ptr<TableHold> Hold(std::chrono::milliseconds wait_max);
  // Goes up with whatever may have changed the table; the same before and while the gate is held:
  // nothing has.
  uint64_t Changes() const;

 private:
  class Holder;
  void Release();

  mutable std::mutex mutex_;
  std::condition_variable free_;
  uint64_t changes_ = 0;
  bool held_ = false;
  size_t inside_ = 0;  // passed and not left
  size_t waiting_bytes_ = 0;
  std::vector<std::function<void()>> waiting_;
};

// Throws kForbidden for a table whose rows a file says, kConflict for a stream made of a query.
void CheckWritable(const Stream& stream);

// Rows of a table that say that those with these keys are gone.
// REQUIRES: it is a table; `keys` has the columns of the primary key, in its order.
std::shared_ptr<Columns> DeletedRows(const Stream& table, const Columns& keys);

}  // namespace weir
