// Idempotency keys seen in the last day: a body that comes again with the same key counts once.
// Bounded in time and number.  Thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "ingest/meta.h"

namespace weir {

class IdempotencyWindow {
 public:
  using Done = std::function<void(IngestAnswer)>;

  // True: the key is new and now in flight; the caller must Finish or Abandon it.  False: `done`
  // was or will be called with the first answer (or kConflict for another body).
  bool Begin(const std::string& key, uint64_t body_hash, const Done& done);
  void Finish(const std::string& key, const IngestAnswer& answer, Micros time);
  // The first try came to nothing: those who wait get its error, and the key is free again.
  void Abandon(const std::string& key, const IngestAnswer& failure);
  // From the log, at the start; a key that is there already stays as it is.
  void Remember(const std::string& key, uint64_t body_hash, const IngestAnswer& answer,
                Micros time);

  // All finished keys as bytes, and back: for when the log forgets the records they stand in.
  std::string Save() const;
  void Load(std::string_view bytes);  // throws Error(kCorruption)

 private:
  static constexpr size_t kKeysMax = 200'000;
  static constexpr Micros kWindow = 24ll * 3600 * 1'000'000;
  struct Entry {
    uint64_t body_hash = 0;
    bool finished = false;
    IngestAnswer answer;
    std::vector<Done> waiting;
  };
  void Forget(Micros now);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::deque<std::pair<Micros, std::string>> order_;  // finished ones, oldest first
};

}  // namespace weir
