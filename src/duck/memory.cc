#include "duck/memory.h"

#include <mutex>

#include "base/memory_budget.h"
#include "duckdb/common/allocator.hpp"

namespace weir {
namespace {

using duckdb::Allocator;

duckdb::data_ptr_t Allocate(duckdb::PrivateAllocatorData* data, duckdb::idx_t bytes) {
  return MayAllocate(bytes) ? Allocator::DefaultAllocate(data, bytes) : nullptr;
}

void Free(duckdb::PrivateAllocatorData* data, duckdb::data_ptr_t memory, duckdb::idx_t bytes) {
  NoteFreed(bytes);
  Allocator::DefaultFree(data, memory, bytes);
}

duckdb::data_ptr_t Reallocate(duckdb::PrivateAllocatorData* data, duckdb::data_ptr_t memory,
                              duckdb::idx_t old_bytes, duckdb::idx_t bytes) {
  if (bytes > old_bytes && !MayAllocate(bytes - old_bytes)) return nullptr;
  if (bytes < old_bytes) NoteFreed(old_bytes - bytes);
  return Allocator::DefaultReallocate(data, memory, old_bytes, bytes);
}

}  // namespace

duckdb::unique_ptr<duckdb::Allocator> MakeWatchedAllocator() {
  return duckdb::make_uniq<Allocator>(Allocate, Free, Reallocate, nullptr);
}

void WatchDuckMemory() {
  static std::once_flag once;
  std::call_once(once, [] {
    // What was allocated before is given back by way of the old one, which is never freed: it is
    // kept where a search for leaks finds it.
    [[gnu::used]] static duckdb::shared_ptr<Allocator>* before = nullptr;
    before = new duckdb::shared_ptr<Allocator>(Allocator::DefaultAllocatorReference());
    Allocator::DefaultAllocatorReference() =
        duckdb::make_shared_ptr<Allocator>(Allocate, Free, Reallocate, nullptr);
  });
}

void ReturnFreeMemory() {
  duckdb::Allocator::FlushAll();
  ReturnFreePages();
}

}  // namespace weir
