// Which values of a stream's dedup_key came within its window: the same event twice counts once.
//
// Keeps a 128-bit hash of each value with the time it came, oldest forgotten first.  Rows in flight
// count as seen, and are taken back when their append fails.  Thread-safe.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "duckdb/common/types/hugeint.hpp"
#include "duckdb/common/types/vector.hpp"

namespace weir {

class DedupWindow {
 public:
  explicit DedupWindow(Micros window) : window_(window) {}

  using Hash = duckdb::hugeint_t;
  // Hashes of a column's values; NULLs have none and are never duplicates.
  static std::vector<std::optional<Hash>> HashesOf(duckdb::Vector& column, duckdb::idx_t count);

  // For each value whether it is new; new ones count as seen from now on.
  std::vector<bool> Claim(const std::vector<std::optional<Hash>>& hashes, Micros now);
  void TakeBack(const std::vector<std::optional<Hash>>& hashes, const std::vector<bool>& claimed);
  size_t size() const;

 private:
  struct Hasher {
    size_t operator()(const Hash& hash) const { return hash.lower; }
  };
  Micros window_;
  mutable std::mutex mutex_;
  std::unordered_map<Hash, Micros, Hasher> seen_;
  std::deque<std::pair<Micros, Hash>> order_;
};

}  // namespace weir
