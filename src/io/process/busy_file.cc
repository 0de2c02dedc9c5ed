#include "io/process/busy_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace weir {

constinit thread_local BusySlot* busy_here = nullptr;
constinit thread_local uint64_t busy_calls = 0;

struct BusyFile::Layout {
  static constexpr uint64_t kMagic = 0x31'79'73'75'62'72'77'31;
  static constexpr size_t kSuspects = kSlots;
  struct Suspect {
    uint64_t slot, work, position;
  };
  uint64_t magic;
  uint64_t suspects_count;
  Suspect suspects[kSuspects];  // of the process before
  BusySlot slots[kSlots];
};

BusyFile::BusyFile(const std::string& path) {
  void* memory = MAP_FAILED;
  int file = path.empty() ? -1 : open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file >= 0) {
    if (ftruncate(file, sizeof(Layout)) == 0) {
      memory = mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    close(file);
  }
  if (memory == MAP_FAILED) {
    memory =
        mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  if (memory == MAP_FAILED) throw Error(ErrorCode::kUnavailable, "there is no memory to start in");
  layout_ = static_cast<Layout*>(memory);
  Read();
}

BusyFile::~BusyFile() { munmap(layout_, sizeof(Layout)); }

BusySlot* BusyFile::slots() { return layout_->slots; }

void BusyFile::Read() {
  auto& layout = *layout_;
  if (layout.magic == Layout::kMagic) {
    for (uint64_t i = 0; i < std::min<uint64_t>(layout.suspects_count, Layout::kSuspects); i++) {
      auto& suspect = layout.suspects[i];
      before_.push_back({static_cast<Slot>(suspect.slot), suspect.work, suspect.position, 0});
    }
    for (int i = 0; i < kSlots; i++) {
      auto& slot = layout.slots[i];
      uint32_t depth = std::min<uint32_t>(slot.depth.load(), BusySlot::kDepth);
      if (depth == 0) continue;
      Found found{static_cast<Slot>(i), slot.frames[depth - 1].work, slot.position,
                  slot.ended_by.load()};
      bool stalled = slot.stalled_ms >= kSuspectMs;
      if (stalled && found.ended_by <= 0) found.work = slot.stalled;
      if (found.ended_by != 0 || stalled) found_.push_back(found);
    }
  }
  std::memset(static_cast<void*>(layout_), 0, sizeof(Layout));
  for (auto& found : found_) {
    if (found.ended_by != 0) continue;
    layout.suspects[layout.suspects_count++] = {static_cast<uint64_t>(found.slot), found.work,
                                                found.position};
  }
  layout.magic = Layout::kMagic;
}

bool BusyFile::WasThereTwice(const Found& found) const {
  // The engine and the filler do the same work: who of the two met it may be another after a start.
  auto planned = [](const Found& work) { return work.slot == kPlanner; };
  return std::any_of(before_.begin(), before_.end(), [&](const Found& other) {
    return planned(other) == planned(found) && other.work == found.work &&
           other.position == found.position;
  });
}

bool IsInterrupted(const BusySlot& slot) {
  uint32_t depth = std::min(slot.depth.load(std::memory_order_relaxed), BusySlot::kDepth);
  uint64_t call = slot.interrupt.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < depth; i++) {
    if (slot.frames[i].call.load(std::memory_order_relaxed) == call) return true;
  }
  return false;
}

void GiveUpWork() {
  uint64_t seconds = busy_here->stalled_ms / 1000;
  throw Error(ErrorCode::kTimeout,
              "it was given up after " + std::to_string(seconds) + " s in one step");
}

namespace {

[[maybe_unused]] void OnFatalSignal(int signal) {
  if (busy_here) busy_here->ended_by.store(signal, std::memory_order_relaxed);
  ::signal(signal, SIG_DFL);
  raise(signal);
}

}  // namespace

void NoteFatalSignals() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they have their own
  struct sigaction action {};
  action.sa_handler = OnFatalSignal;
  action.sa_flags = SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) sigaction(signal, &action, nullptr);
#endif
}

}  // namespace weir
