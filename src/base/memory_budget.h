// What a thread may allocate while it works on what others wrote.
//
// DuckDB and the library of containers take memory wherever they like, and one row can make them
// want all there is.  So operator new and DuckDB's allocator (duck/memory.cc) ask here first:
//
//   MemoryBudget   what this thread takes, less what it gives back, stays below so many bytes
//   WatchedMemory  the whole process stays below its line
//
// What goes beyond fails as if there were no more memory: std::bad_alloc, or DuckDB's
// OutOfMemoryException; who called decides whether that is the row's, the view's or the statement's
// fault.  Outside of such a scope nothing is refused: the log and the door are bounded by limits of
// their own.  Scopes nest, and belong to the thread that made them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace weir {

struct ThreadMemory {
  static constexpr uint64_t kBetweenLooks = 16 << 20;

  uint32_t scopes = 0;
  bool over_budget = false;                            // something was refused for it
  int64_t net = 0;                                     // of all scopes of this thread
  int64_t most = std::numeric_limits<int64_t>::max();  // of `net`
  uint64_t since_look = 0;                             // at the process
};
extern constinit thread_local ThreadMemory thread_memory;

// Says whether so many bytes more may be allocated; called for every allocation.
bool MayAllocateSlow(size_t bytes);
inline bool MayAllocate(size_t bytes) {
  auto& memory = thread_memory;
  if (memory.scopes == 0) [[likely]]
    return true;
  memory.net += static_cast<int64_t>(bytes);
  memory.since_look += bytes;
  if (memory.net <= memory.most && memory.since_look < ThreadMemory::kBetweenLooks) [[likely]] {
    return true;
  }
  return MayAllocateSlow(bytes);
}
inline void NoteFreed(size_t bytes) {
  auto& memory = thread_memory;
  if (memory.scopes > 0) memory.net -= static_cast<int64_t>(bytes);
}

// Above `bytes` (0: none) nothing is allocated in a scope.  `in_use` says what the process has, in
// some microseconds.  Before there are threads.
void SetMemoryLine(uint64_t bytes, uint64_t (*in_use)());
uint64_t MemoryLine();

class WatchedMemory {
 public:
  WatchedMemory() { thread_memory.scopes++; }
  ~WatchedMemory() { thread_memory.scopes--; }
  WatchedMemory(const WatchedMemory&) = delete;
};

class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t bytes);
  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) = delete;

  // Whether something was refused since it began, or since that of an outer scope did.
  bool IsOver() const { return thread_memory.over_budget; }

 private:
  int64_t outer_most_;
  bool outer_over_;
};

// What evaluating the expressions of one row may take.
void SetRowBudget(uint64_t bytes);
uint64_t RowBudget();

// Gives pages back to the system that the allocator keeps and nothing stands on.  Takes
// milliseconds where there are many, during which other threads may wait for memory.
void ReturnFreePages();

}  // namespace weir
