#include "io/disk/lost_pages.h"

#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>

#include "base/error.h"

namespace weir {
namespace {

// The handler reads it without a lock: it is never given back to the heap, only used again.
struct Region {
  std::atomic<uintptr_t> begin{0}, end{0};  // end 0: free
  std::atomic<size_t> block{0};
  std::atomic<bool> lost[kBlocksWatchedMax] = {};
  Region* next = nullptr;
};

std::atomic<Region*> regions{nullptr};
std::mutex regions_mutex;  // for who changes them
std::atomic<uint64_t> pages_lost{0};
struct sigaction before;

Region* RegionOf(uintptr_t address) {
  for (Region* region = regions.load(std::memory_order_acquire); region; region = region->next) {
    uintptr_t end = region->end.load(std::memory_order_acquire);
    if (address >= region->begin && address < end) return region;
  }
  return nullptr;
}

std::atomic<bool>* LostFlag(const std::byte* address) {
  auto at = reinterpret_cast<uintptr_t>(address);
  Region* region = RegionOf(at);
  return region ? &region->lost[(at - region->begin) / region->block] : nullptr;
}

// Zeros where the block of this address was; false when it is not watched.
bool Replace(uintptr_t address) {
  Region* region = RegionOf(address);
  if (!region) return false;
  size_t block = region->block, number = (address - region->begin) / block;
  void* at = reinterpret_cast<void*>(region->begin + number * block);
  if (mmap(at, block, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
      MAP_FAILED) {
    return false;
  }
  region->lost[number] = true;
  pages_lost++;
  return true;
}

// Calls nothing but mmap and sigaction.
void OnBusError(int, siginfo_t* info, void*) {
  int saved = errno;
  if (!Replace(reinterpret_cast<uintptr_t>(info->si_addr))) {
    sigaction(SIGBUS, &before, nullptr);  // the instruction is tried again, and ends the process
  }
  errno = saved;
}

// Others may have put a handler of theirs in its place: it becomes the one that follows.
void Install() {
  struct sigaction now = {};
  sigaction(SIGBUS, nullptr, &now);
  if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == OnBusError) return;
  before = now;
  struct sigaction action = {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace

void WatchPages(std::byte* begin, size_t bytes, size_t block) {
  ASSERT(block > 0 && bytes % block == 0);
  ASSERT(bytes <= kBlocksWatchedMax * block);
  std::lock_guard lock(regions_mutex);
  ASSERT(!RegionOf(reinterpret_cast<uintptr_t>(begin)));
  Install();
  Region* region = regions.load();
  while (region && region->end != 0) region = region->next;
  bool is_new = !region;
  if (is_new) region = std::make_unique<Region>().release();
  region->begin = reinterpret_cast<uintptr_t>(begin);
  region->block = block;
  for (auto& lost : region->lost) lost = false;
  region->end.store(reinterpret_cast<uintptr_t>(begin) + bytes, std::memory_order_release);
  if (!is_new) return;
  region->next = regions.load();
  regions.store(region, std::memory_order_release);
}

void ForgetPages(std::byte* begin) {
  std::lock_guard lock(regions_mutex);
  Region* region = RegionOf(reinterpret_cast<uintptr_t>(begin));
  if (!region) return;
  ASSERT(region->begin == reinterpret_cast<uintptr_t>(begin));
  region->end = 0;
}

uint64_t PagesLost() { return pages_lost.load(std::memory_order_relaxed); }

bool IsPageLost(const std::byte* address) {
  auto* lost = LostFlag(address);
  return lost && *lost;
}

void TakePageAsNew(const std::byte* address) {
  if (auto* lost = LostFlag(address)) *lost = false;
}

}  // namespace weir
