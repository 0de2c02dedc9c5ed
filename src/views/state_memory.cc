#include "views/state_memory.h"

#include <fmt/format.h>

#include "duck/memory.h"

namespace weir {
namespace {

std::string Megabytes(uint64_t bytes) {
  return bytes < 10'000'000'000 ? fmt::format("{} MB", bytes / 1'000'000)
                                : fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

}  // namespace

StateMemory::StateMemory(StateMemoryOptions options, Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      pages_(options_.spill_directory, options_.spill_bytes_max) {
  if (!options_.in_use) options_.limit = 0;
  Look();
}

std::byte* StateMemory::Allocate(size_t bytes) {
  CHECK(bytes > 0 && bytes % PageFile::kPageBytes == 0);
  if (Above(kOver)) Look();
  // Rows that can still go to the file bring it down again; what others have for a moment (bodies,
  // blocks that wait) is no reason to stop a view.
  bool can_move = !options_.spill_directory.empty() && !file_is_full_;
  if (Above(can_move ? kFarOver : kOver)) {
    throw Error(ErrorCode::kLimitExceeded,
                fmt::format("state would go over the memory limit of {}", Megabytes(limit())));
  }
  std::byte* page = pages_.Allocate(bytes);
  since_look_ += static_cast<int64_t>(bytes);
  return page;
}

void StateMemory::Free(std::byte* page, size_t bytes, bool in_file) {
  pages_.Free(page, bytes, in_file);
  if (in_file) file_is_full_ = false;
}

bool StateMemory::MoveToFile(std::byte* page, size_t bytes) {
  if (file_is_full_) return false;
  try {
    file_is_full_ = !pages_.MoveToFile(page, bytes);
  } catch (const Error&) {
    file_is_full_ = true;  // as long as nothing leaves it; the rows stay in memory
  }
  if (!file_is_full_) since_look_ -= static_cast<int64_t>(bytes);
  return !file_is_full_;
}

void StateMemory::Look() {
  if (!options_.in_use) return;
  std::unique_lock lock(look_mutex_, std::try_to_lock);
  if (!lock) return;
  Micros now = clock_.Monotonic();
  if (looked_ && now - looked_ < kBetweenLooks) return;
  looked_ = now;
  Count();
  if (!IsShort() || (trimmed_ && now - trimmed_ < kBetweenTrims)) return;
  trimmed_ = now;
  ReturnFreeMemory();
  Count();
}

void StateMemory::LookAgain() {
  if (!options_.in_use) return;
  std::lock_guard lock(look_mutex_);
  ReturnFreeMemory();
  Count();
}

void StateMemory::Count() {
  since_look_ = 0;
  in_use_ = static_cast<int64_t>(options_.in_use());
}

uint64_t StateMemory::Excess() const {
  if (!options_.limit || file_is_full_) return 0;
  uint64_t share = options_.limit / 100 * kShort, in_use = InUse();
  return in_use > share ? in_use - share : 0;
}

Error StateMemory::Refusal(ErrorCode code, const std::string& what) const {
  std::string hint =
      "Drop or narrow a view (`weir top` shows which are big), or set a higher memory_limit.";
  if (file_is_full_) hint += " The file for rows that do not fit is full, or its disk is.";
  return Error(code,
               fmt::format("{}: the process has {} of its memory limit of {}", what,
                           Megabytes(InUse()), Megabytes(limit())),
               std::move(hint));
}

}  // namespace weir
