#include "ingest/dedup_keys.h"

#include <chrono>
#include <new>
#include <utility>
#include <vector>

#include "base/error.h"
#include "duck/errors.h"

namespace weir {
namespace {

constexpr auto kRetry = std::chrono::seconds(1);

struct Stopping {};

// Call inside a catch block.
void TellWhy(KeyClaims& claims) noexcept {
  try {
    claims.CannotRecover(CurrentError().message);
  } catch (const std::exception&) {  // no memory: the stream says less
  }
}

}  // namespace

DedupKeys::DedupKeys(Catalog& catalog, Clock& clock, KeyHistory& history, TaskThread& resumed,
                     Micros rest)
    : catalog_(catalog), clock_(clock), history_(history), resumed_(resumed), rest_(rest) {}

void DedupKeys::Start() {
  std::lock_guard lock(mutex_);
  CHECK(!std::exchange(started_, true));
  auto state = catalog_.Current();
  std::vector<std::pair<std::shared_ptr<const Stream>, KeyClaims*>> unread;
  for (auto& [name, stream] : state->streams) {
    if (stream->dedup_key.empty()) continue;
    auto& claims = claims_[stream->id.value];
    claims = std::make_unique<KeyClaims>(stream->dedup_window, false, resumed_);
    unread.emplace_back(stream, claims.get());
  }
  recovering_ = unread.size();  // before the first is read: its reader counts down
  if (rest_ > 0) reader_.Post(TaskThread::Make([this] { Rest(); }));
  for (auto& [stream, claims] : unread) RecoverLater(stream, *claims);
}

void DedupKeys::Rest() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::microseconds(rest_), [&] { return wanted_ || stopping_; });
}

KeyClaims& DedupKeys::Of(const Stream& stream) {
  CHECK(!stream.dedup_key.empty());
  std::lock_guard lock(mutex_);
  CHECK(started_);
  if (recovering_ > 0 && !std::exchange(wanted_, true)) changed_.notify_all();
  auto& claims = claims_[stream.id.value];
  if (!claims) claims = std::make_unique<KeyClaims>(stream.dedup_window, true, resumed_);
  return *claims;
}

void DedupKeys::RecoverLater(const std::shared_ptr<const Stream>& stream, KeyClaims& claims) {
  reader_.Post(TaskThread::Make([this, stream, &claims] { Recover(stream, claims); }));
}

void DedupKeys::Recover(const std::shared_ptr<const Stream>& stream, KeyClaims& claims) {
  if (stopping_) return;
  try {
    size_t column = *stream->Find(stream->dedup_key);
    auto since = clock_.Now() - stream->dedup_window;
    // The window forgets what is behind so many keys; where there is one in each row, they need
    // not be read.
    uint64_t rows = stream->columns[column].not_null ? DedupWindow::kKeysMax : UINT64_MAX;
    history_.Scan(*stream, column, since, rows,
                  [&](duckdb::Vector& keys, duckdb::Vector& times, duckdb::idx_t count) {
                    if (stopping_) throw Stopping();
                    times.Flatten(count);
                    claims.Remember(DedupWindow::HashesOf(keys, count),
                                    duckdb::FlatVector::GetDataUnsafe<int64_t>(times));
                  });
    claims.Recovered();
    std::lock_guard lock(mutex_);
    ASSERT(recovering_ > 0);
    recovering_--;
    changed_.notify_all();
    return;
  } catch (const Stopping&) {
    return;
  } catch (...) {
    TellWhy(claims);
  }
  // It is tried again, behind the other streams, as long as there is such a stream.
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, kRetry, [&] { return stopping_.load(); })) return;
      if (!catalog_.Current()->FindStream(stream->id)) {
        ASSERT(recovering_ > 0);
        recovering_--;
        return changed_.notify_all();
      }
    }
    try {
      return RecoverLater(stream, claims);
    } catch (const std::bad_alloc&) {  // in a moment, then
    }
  }
}

void DedupKeys::ForgetExpired() {
  std::vector<KeyClaims*> all;
  {
    std::lock_guard lock(mutex_);
    for (auto& [stream, claims] : claims_) {
      if (claims->IsRecovered()) all.push_back(claims.get());
    }
  }
  for (auto* claims : all) claims->window().Forget(clock_.Now());
}

bool DedupKeys::Await(Micros most) {
  std::unique_lock lock(mutex_);
  bool done = changed_.wait_for(lock, std::chrono::microseconds(most),
                                [&] { return recovering_ == 0 || stopping_; });
  for (auto& [stream, claims] : claims_) claims->WaitNoLonger();
  return done && recovering_ == 0;
}

void DedupKeys::Close() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  reader_.Stop();
  for (auto& [stream, claims] : claims_) claims->Close();
}

DedupKeys::Info DedupKeys::Now() const {
  std::lock_guard lock(mutex_);
  Info info;
  info.recovering = recovering_;
  for (auto& [stream, claims] : claims_) {
    info.bytes += claims->window().Bytes();
    info.shortened += claims->window().Shortened();
  }
  return info;
}

}  // namespace weir
