#include "ingest/claims.h"

#include <algorithm>
#include <bitset>

#include "base/error.h"

namespace weir {
namespace {

// Most keys of other bodies are none of those that are looked for, which one bit says.
constexpr size_t kBits = 1 << 16;
using Filter = std::bitset<kBits>;

bool Same(const DedupWindow::Hash& a, const DedupWindow::Hash& b) {
  return a.low == b.low && a.high == b.high;
}
bool Before(const DedupWindow::Hash& a, const DedupWindow::Hash& b) {
  return a.low != b.low ? a.low < b.low : a.high < b.high;
}

}  // namespace

// Calls `found` with those of `rows`, which are in the order of their hashes, whose key `claim`
// holds.
template <class Maybe, class Found>
void KeyClaims::ForEachHeld(const Claim& claim, std::vector<Pending>& rows, const Maybe& maybe,
                            const Found& found) {
  for (size_t chunk = 0; chunk < claim.hashes.size(); chunk++) {
    for (size_t row = 0; row < claim.hashes[chunk].size(); row++) {
      auto& hash = claim.hashes[chunk][row];
      if (!hash || !maybe.test(hash->low % kBits) || !claim.claimed[chunk].fresh[row]) continue;
      auto at = std::lower_bound(rows.begin(), rows.end(), *hash,
                                 [](auto& a, auto& b) { return Before(a.hash, b); });
      for (; at != rows.end() && Same(at->hash, *hash); ++at) found(*at);
    }
  }
}

KeyClaims::Ticket KeyClaims::Take(std::vector<Hashes> hashes, Micros now) {
  std::list<Claim> made(1);
  Claim& claim = made.front();
  claim.hashes = std::move(hashes);
  claim.claimed.reserve(claim.hashes.size());
  std::lock_guard lock(mutex_);
  if (!recovered_) {
    std::string why = trouble_.empty() ? "" : ": " + trouble_;
    throw Error(ErrorCode::kUnavailable,
                "the keys of the stream's dedup_window are still being read back" + why,
                "Try again after the time in Retry-After; other streams take events.");
  }
  try {
    for (auto& chunk : claim.hashes) claim.claimed.push_back(window_.Claim(chunk, now));
    if (!in_flight_.empty()) FindHolders(claim);
  } catch (...) {
    TakeBack(claim);
    throw;
  }
  Ticket ticket;
  ticket.claims_ = this;
  ticket.at_ = made.begin();
  in_flight_.splice(in_flight_.end(), made);
  if (kDebugChecks) CheckInvariants();
  return ticket;
}

bool KeyClaims::IsBefore(const Claim* earlier, const Claim& claim) const noexcept {
  for (auto& one : in_flight_) {
    if (&one == &claim) return false;
    if (&one == earlier) return true;
  }
  return false;
}

// Who waits, waits for one that came before, with a row that is not its own: so none waits for
// ever.
void KeyClaims::CheckInvariants() const noexcept {
  for (auto& claim : in_flight_) {
    ASSERT(claim.claimed.size() == claim.hashes.size());
    ASSERT(claim.later.empty() || !claim.pending.empty());
    const Pending* before = nullptr;
    for (auto& row : claim.pending) {
      ASSERT(IsBefore(row.holder, claim));
      ASSERT(!claim.claimed[row.chunk].fresh[row.row]);
      ASSERT(Same(row.hash, *claim.hashes[row.chunk][row.row]));
      ASSERT(!before || !Before(row.hash, before->hash));
      before = &row;
    }
  }
}

// Which of the rows that are not new have their first copy in a claim that has not ended.
void KeyClaims::FindHolders(Claim& claim) {
  std::vector<Pending> old;
  for (size_t chunk = 0; chunk < claim.hashes.size(); chunk++) {
    for (size_t row = 0; row < claim.hashes[chunk].size(); row++) {
      if (claim.claimed[chunk].fresh[row]) continue;
      DEBUG_ASSERT(claim.hashes[chunk][row]);  // who has no key is no duplicate
      old.push_back({*claim.hashes[chunk][row], nullptr, static_cast<uint32_t>(chunk),
                     static_cast<uint32_t>(row)});
    }
  }
  if (old.empty()) return;
  std::sort(old.begin(), old.end(), [](auto& a, auto& b) { return Before(a.hash, b.hash); });
  Filter maybe;
  for (auto& row : old) maybe.set(row.hash.low % kBits);
  for (auto& other : in_flight_) {
    ForEachHeld(other, old, maybe, [&](Pending& row) { row.holder = &other; });
  }
  std::erase_if(old, [](auto& row) { return !row.holder; });
  claim.pending = std::move(old);
}

bool KeyClaims::Ticket::MayGoOn() const {
  if (!claims_) return true;
  std::lock_guard lock(claims_->mutex_);
  return at_->pending.empty();
}

bool KeyClaims::Ticket::Wait(TaskThread::Task& later) {
  if (!claims_) return true;
  std::lock_guard lock(claims_->mutex_);
  if (at_->pending.empty()) return true;
  CHECK(at_->later.empty());
  at_->later = std::move(later);
  later.clear();
  return false;
}

const std::vector<bool>& KeyClaims::Ticket::Fresh(size_t chunk) const {
  ASSERT(at_->pending.empty() && chunk < at_->claimed.size());
  return at_->claimed[chunk].fresh;
}

void KeyClaims::Ticket::End(bool durable) noexcept {
  if (!claims_) return;
  KeyClaims& claims = *std::exchange(claims_, nullptr);
  std::list<Claim> ended;
  TaskThread::Task ready;
  {
    std::lock_guard lock(claims.mutex_);
    auto next = std::next(at_);
    ended.splice(ended.end(), claims.in_flight_, at_);
    const Claim& claim = ended.front();
    ASSERT(!durable || claim.pending.empty());
    if (!durable) claims.TakeBack(claim);
    for (; next != claims.in_flight_.end(); ++next) {
      if (next->pending.empty()) continue;
      if (durable) {
        std::erase_if(next->pending, [&](auto& row) { return row.holder == &claim; });
      } else {
        claims.Hand(*next, claim);
      }
      if (next->pending.empty()) ready.splice(ready.end(), next->later);
    }
    if (kDebugChecks) claims.CheckInvariants();
  }
  claims.Resume(std::move(ready));
}

// The keys of a claim that failed that `waiting` waits for become its own, or it waits for whoever
// got them before.
void KeyClaims::Hand(Claim& waiting, const Claim& failed) noexcept {
  Filter maybe;
  for (auto& row : waiting.pending) {
    if (row.holder != &failed) continue;
    auto& claimed = waiting.claimed[row.chunk];
    if (window_.ClaimAgain(row.hash, claimed.part)) {
      claimed.fresh[row.row] = true;
      row.holder = nullptr;
    } else {
      maybe.set(row.hash.low % kBits);
    }
  }
  if (maybe.any()) {
    for (auto& claim : in_flight_) {
      ForEachHeld(claim, waiting.pending, maybe, [&](Pending& row) {
        if (row.holder == &failed) row.holder = &claim;
      });
      if (&claim == &waiting) break;  // those behind wait for this one, never the other way round
    }
    for (auto& row : waiting.pending) {
      if (row.holder == &waiting) row.holder = nullptr;  // twice in this body
      if (row.holder != &failed) continue;
      // Somebody who came later has it: its window was over, so the row counts again.
      waiting.claimed[row.chunk].fresh[row.row] = true;
      row.holder = nullptr;
    }
  }
  std::erase_if(waiting.pending, [](auto& row) { return !row.holder; });
}

void KeyClaims::TakeBack(const Claim& claim) noexcept {
  ASSERT(claim.claimed.size() <= claim.hashes.size());
  for (size_t i = 0; i < claim.claimed.size(); i++) {
    window_.TakeBack(claim.hashes[i], claim.claimed[i]);
  }
}

void KeyClaims::Resume(TaskThread::Task tasks) noexcept {
  if (!tasks.empty()) resumed_.Post(std::move(tasks));
}

void KeyClaims::Recovered() {
  TaskThread::Task ready;
  {
    std::lock_guard lock(mutex_);
    ASSERT(!recovered_);
    recovered_ = true;
    ready.swap(await_recovery_);
  }
  Resume(std::move(ready));
}

bool KeyClaims::IsRecovered() const {
  std::lock_guard lock(mutex_);
  return recovered_;
}

void KeyClaims::CannotRecover(const std::string& why) {
  WaitNoLonger();
  std::lock_guard lock(mutex_);
  trouble_ = why;
}

bool KeyClaims::AwaitRecovery(TaskThread::Task& later) {
  std::lock_guard lock(mutex_);
  if (recovered_ || !awaited_) return true;
  await_recovery_.splice(await_recovery_.end(), later);
  return false;
}

void KeyClaims::WaitNoLonger() {
  TaskThread::Task ready;
  {
    std::lock_guard lock(mutex_);
    awaited_ = false;
    ready.swap(await_recovery_);
  }
  Resume(std::move(ready));
}

void KeyClaims::Close() {
  TaskThread::Task dropped;  // without the mutex: with a task goes its claim
  std::lock_guard lock(mutex_);
  for (auto& claim : in_flight_) dropped.splice(dropped.end(), claim.later);
  dropped.splice(dropped.end(), await_recovery_);
}

}  // namespace weir
