// The ids that were given out and belong to nothing any more.
//
// Kept as ranges: what is dropped was often made one after the other, so there are about as many
// ranges as there are things, however much was made and dropped.  A value; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>

namespace weir {

class RetiredIds {
 public:
  // REQUIRES: 0 < first <= last, and last is not the highest number there is.
  void Add(uint32_t first, uint32_t last);
  bool Contains(uint32_t id) const;
  const std::map<uint32_t, uint32_t>& ranges() const { return ranges_; }  // first to last
  bool operator==(const RetiredIds&) const = default;

  // All ids below `next` that nothing has.  REQUIRES: those in use are below it, and none is 0.
  static RetiredIds AllBut(const std::set<uint32_t>& in_use, uint32_t next);

  void CheckInvariants() const;

 private:
  std::map<uint32_t, uint32_t> ranges_;  // never touch one another
};

}  // namespace weir
