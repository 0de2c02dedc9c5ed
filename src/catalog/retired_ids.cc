#include "catalog/retired_ids.h"

#include <algorithm>

#include "base/error.h"

namespace weir {

void RetiredIds::Add(uint32_t first, uint32_t last) {
  ASSERT(first > 0 && first <= last);
  ASSERT(last < UINT32_MAX);  // there is one behind each range
  auto next = ranges_.upper_bound(first);
  if (next != ranges_.begin()) {
    auto before = std::prev(next);
    if (before->second + 1 >= first) {
      first = before->first;
      last = std::max(last, before->second);
      next = ranges_.erase(before);
    }
  }
  while (next != ranges_.end() && next->first <= last + 1) {
    last = std::max(last, next->second);
    next = ranges_.erase(next);
  }
  ranges_.emplace(first, last);
  if (kDebugChecks) CheckInvariants();
}

void RetiredIds::CheckInvariants() const {
  uint64_t free = 1;  // the first that may begin a range
  for (auto& [first, last] : ranges_) {
    ASSERT(first >= free && first <= last);
    free = uint64_t{last} + 2;
  }
}

bool RetiredIds::Contains(uint32_t id) const {
  auto next = ranges_.upper_bound(id);
  return next != ranges_.begin() && std::prev(next)->second >= id;
}

RetiredIds RetiredIds::AllBut(const std::set<uint32_t>& in_use, uint32_t next) {
  ASSERT(in_use.empty() || (*in_use.begin() > 0 && *in_use.rbegin() < next));
  RetiredIds retired;
  uint32_t first = 1;
  for (uint32_t id : in_use) {
    if (id > first) retired.Add(first, id - 1);
    first = id + 1;
  }
  if (next > first) retired.Add(first, next - 1);
  return retired;
}

}  // namespace weir
