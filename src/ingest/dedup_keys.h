// The dedup windows of all streams, and how their keys come back after a start.
//
// A stream that was there at the start has its keys in the lake and the log; a thread reads them
// back, one stream after the other, by the dedup_key that each has then.  Until it is done with
// one, rows of that stream wait; once Await is over they are refused (kUnavailable).  A stream made
// later begins with no keys. Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>

#include "catalog/catalog.h"
#include "ingest/claims.h"
#include "ingest/ingest.h"
#include "ingest/task_thread.h"
#include "io/clock.h"

namespace weir {

class DedupKeys {
 public:
  // `rest`: as IngestOptions::keys_rest.
  DedupKeys(Catalog& catalog, Clock& clock, KeyHistory& history, TaskThread& resumed, Micros rest);
  ~DedupKeys() { Close(); }

  // Begins to read back.  REQUIRES: called once, before all others but Close and Now.
  void Start();
  KeyClaims& Of(const Stream& stream);  // REQUIRES: it has a dedup_key
  // Gives back the memory of keys whose time is over.
  void ForgetExpired();
  // Returns once all keys are read back, or after `most` (of real time); whether they are.  From
  // then on nobody waits for them.
  bool Await(Micros most);
  // Ends the thread, and drops what waits.
  void Close();

  struct Info {
    size_t bytes = 0, recovering = 0;
    uint64_t shortened = 0;
  };
  Info Now() const;

 private:
  void Rest();
  void RecoverLater(const std::shared_ptr<const Stream>& stream, KeyClaims& claims);
  void Recover(const std::shared_ptr<const Stream>& stream, KeyClaims& claims);

  Catalog& catalog_;
  Clock& clock_;
  KeyHistory& history_;
  TaskThread& resumed_;
  const Micros rest_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint32_t, std::unique_ptr<KeyClaims>> claims_;
  bool started_ = false, wanted_ = false;  // wanted_: by rows
  size_t recovering_ = 0;
  std::atomic<bool> stopping_{false};
  TaskThread reader_;
};

}  // namespace weir
