// A thread that looks at what the engine and the filler are at: it says so when one thing takes
// long, makes it give up after a while, and when it cannot, ends the process with a mark by which
// the next start leaves it alone.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "duck/batch_plan.h"
#include "io/process/process.h"
#include "views/engine_impl.h"

namespace weir {
namespace {

constexpr Micros kLookEvery = 100'000;
constexpr Micros kSayAfter = 10'000'000;
constexpr Micros kGraceAfterInterrupt = 30'000'000;  // less where less is given in all

constexpr const char* kDiedHint =
    "It would meet the same again, so it is left alone until it is dropped or replaced.";

}  // namespace

void EngineImpl::ReadWhatEndedTheLast() {
  busy_ = std::make_unique<BusyFile>(options_.busy_path);
  for (auto& found : busy_->found()) {
    if (found.work == 0) continue;
    bool planning = found.slot == BusyFile::kPlanner;
    const char* doing = planning ? "planned" : "evaluated";
    std::string why;
    if (found.ended_by > 0) {
      why = fmt::format("the process ended by signal {} while this was {}", found.ended_by, doing);
    } else if (found.ended_by == BusyFile::kEndedByWatchdog) {
      why = fmt::format("it was {} for so long that the process was ended", doing);
    } else if (busy_->WasThereTwice(found)) {
      why = fmt::format("the process was killed twice while this was {} at the same place", doing);
    } else {
      continue;
    }
    // Told apart by the code: what could not be planned is not planned again.
    auto code = planning ? ErrorCode::kLimitExceeded : ErrorCode::kQueryFailed;
    died_of_[planning].emplace(found.work, Error(code, why, kDiedHint));
    spdlog::warn("{}", why);
  }
}

std::optional<Error> EngineImpl::DiedOf(const std::vector<Operator*>& operators) const {
  for (Operator* op : operators) {
    auto found = died_of_[false].find(op->busy_as);
    if (op->busy_as != 0 && found != died_of_[false].end()) return found->second;
  }
  return std::nullopt;
}

bool EngineImpl::ParkIfPlanningEnded(Kept& kept, uint32_t id, const std::string& query) {
  auto found = died_of_[true].find(id);
  if (id != 0 && found != died_of_[true].end()) {
    Park(kept, found->second, Parked::kForGood);
    return true;
  }
  auto before = parked_before_.find(id);
  if (before == parked_before_.end() || before->second.query != query) return false;
  if (before->second.error.code != ErrorCode::kLimitExceeded) return false;
  return ParkAsBefore(kept, id, query);
}

void EngineImpl::Watch() {
  std::unique_lock lock(watch_mutex_);
  while (!watch_wake_.wait_for(lock, std::chrono::microseconds(kLookEvery),
                               [&] { return watch_ends_; })) {
    // Not the engine's clock: a test moves that.
    Micros now = std::chrono::duration_cast<std::chrono::microseconds>(
                     std::chrono::steady_clock::now().time_since_epoch())
                     .count();
    WatchSlot(BusyFile::kEngine, options_.step_max, now);
    WatchSlot(BusyFile::kFiller, 10 * options_.step_max, now);
    WatchSlot(BusyFile::kPlanner, options_.step_max, now);
  }
}

void EngineImpl::WatchSlot(BusyFile::Slot number, Micros most, Micros now) {
  auto& slot = (*busy_)[number];
  auto& seen = seen_[number];
  uint32_t depth = std::min(slot.depth.load(std::memory_order_relaxed), BusySlot::kDepth);
  const Seen* slow = nullptr;      // the innermost that takes long
  const Seen* too_slow = nullptr;  // and takes too long
  const Seen* unwanted = nullptr;  // the outermost that is of what was dropped
  for (uint32_t i = 0; i < BusySlot::kDepth; i++) {
    uint64_t call = i < depth ? slot.frames[i].call.load(std::memory_order_relaxed) : 0;
    uint64_t work = i < depth ? slot.frames[i].work.load(std::memory_order_relaxed) : 0;
    if (call != seen[i].call || call == 0) seen[i] = {call, work, now};
    if (seen[i].work == 0) continue;
    if (!unwanted && number != BusyFile::kPlanner && IsAbandoned(seen[i].work)) unwanted = &seen[i];
    Micros age = now - seen[i].since;
    if (age >= Micros{BusyFile::kSuspectMs} * 1000) slow = &seen[i];
    if (age >= most) too_slow = &seen[i];
  }
  if (too_slow) slow = too_slow;
  slot.stalled = slow ? slow->work : 0;
  slot.stalled_ms = slow ? static_cast<uint64_t>((now - slow->since) / 1000) : 0;
  // What nobody needs gives up at once; if it does not, that is no reason to end the process.
  uint64_t interrupt = too_slow ? too_slow->call : unwanted ? unwanted->call : 0;
  if (slot.interrupt != interrupt) interrupted_[number] = now;
  slot.interrupt = interrupt;
  if (unwanted && !too_slow) InterruptBatchRuns(runs_on_[number].load());
  if (!slow) {
    said_[number] = 0;
    return;
  }
  Micros age = now - slow->since;
  if (age >= kSayAfter && said_[number] != slow->call) {
    said_[number] = slow->call;
    spdlog::warn("{} for {} s already", WorkInWords(number, slow->work), age / 1'000'000);
  }
  if (!too_slow) return;
  InterruptBatchRuns();
  if (now - interrupted_[number] < std::min(kGraceAfterInterrupt, most / 2)) return;
  slot.ended_by = BusyFile::kEndedByWatchdog;
  spdlog::error(
      "{} for {} s and does not give up: the process ends, and leaves it alone when it "
      "starts again",
      WorkInWords(number, slow->work), age / 1'000'000);
  spdlog::default_logger()->flush();
  ExitAtOnce(kExitStalled);
}

std::string EngineImpl::WorkInWords(BusyFile::Slot slot, uint64_t work) const {
  if (slot == BusyFile::kPlanner) return "a view is planned";
  std::string views, name = "an operator";
  {
    std::lock_guard lock(info_mutex_);
    for (auto& info : operator_infos_) {
      if ((std::strtoull(info.id.c_str(), nullptr, 16) | 1) != work) continue;
      name = info.name;
      for (auto& view : info.views) views += (views.empty() ? "" : ", ") + view;
    }
  }
  if (views.empty()) views = "a view that is new";
  return fmt::format("{} of {} is at one step", name, views);
}

}  // namespace weir
