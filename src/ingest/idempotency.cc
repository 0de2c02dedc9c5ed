#include "ingest/idempotency.h"

#include <cstring>

namespace weir {
namespace {

IngestAnswer Conflict() {
  IngestAnswer answer;
  answer.error =
      Error(ErrorCode::kConflict, "this Idempotency-Key was used before with another body",
            "Use a new key for new events, and the same key only for a retry.");
  return answer;
}

}  // namespace

bool IdempotencyWindow::Begin(const std::string& key, uint64_t body_hash, const Done& done) {
  IngestAnswer answer;
  {
    std::lock_guard lock(mutex_);
    auto [place, added] = entries_.try_emplace(key);
    Entry& entry = place->second;
    if (added) {
      entry.body_hash = body_hash;
      return true;
    }
    if (entry.body_hash != body_hash) {
      answer = Conflict();
    } else if (!entry.finished) {
      entry.waiting.push_back(done);
      return false;
    } else {
      answer = entry.answer;
    }
  }
  done(std::move(answer));
  return false;
}

void IdempotencyWindow::Finish(const std::string& key, const IngestAnswer& answer, Micros time) {
  std::vector<Done> waiting;
  {
    std::lock_guard lock(mutex_);
    Entry& entry = entries_[key];
    entry.finished = true;
    entry.answer = answer;
    waiting.swap(entry.waiting);
    order_.emplace_back(time, key);
    Forget(time);
  }
  for (auto& done : waiting) done(answer);
}

void IdempotencyWindow::Abandon(const std::string& key, const IngestAnswer& failure) {
  std::vector<Done> waiting;
  {
    std::lock_guard lock(mutex_);
    auto found = entries_.find(key);
    if (found == entries_.end()) return;
    waiting.swap(found->second.waiting);
    entries_.erase(found);
  }
  for (auto& done : waiting) done(failure);
}

void IdempotencyWindow::Remember(const std::string& key, uint64_t body_hash,
                                 const IngestAnswer& answer, Micros time) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[key];
  if (entry.finished) return;
  entry.body_hash = body_hash;
  entry.finished = true;
  entry.answer = answer;
  order_.emplace_back(time, key);
  Forget(time);
}

// For each key: how many bytes its meta data has, those, the answer's offset, the time.
std::string IdempotencyWindow::Save() const {
  std::string bytes;
  auto put = [&](uint64_t number) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof(number));
  };
  std::lock_guard lock(mutex_);
  for (auto& [time, key] : order_) {
    const Entry& entry = entries_.at(key);
    RecordMeta meta;
    meta.key = key;
    meta.body_hash = entry.body_hash;
    meta.answer = entry.answer;
    std::string encoded = EncodeMeta(meta);
    put(encoded.size());
    bytes += encoded;
    put(entry.answer.offset.value);
    put(static_cast<uint64_t>(time));
  }
  return bytes;
}

void IdempotencyWindow::Load(std::string_view bytes) {
  auto take = [&](size_t size) {
    if (size > bytes.size()) throw Error(ErrorCode::kCorruption, "the saved keys are damaged");
    auto taken = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return taken;
  };
  auto number = [&] {
    uint64_t value;
    std::memcpy(&value, take(sizeof(value)).data(), sizeof(value));
    return value;
  };
  while (!bytes.empty()) {
    auto meta = DecodeMeta(take(number()));
    if (!meta) throw Error(ErrorCode::kCorruption, "the saved keys are damaged");
    meta->answer.offset = Offset{number()};
    Remember(meta->key, meta->body_hash, meta->answer, static_cast<Micros>(number()));
  }
}

void IdempotencyWindow::Forget(Micros now) {
  while (!order_.empty() && (order_.size() > kKeysMax || order_.front().first < now - kWindow)) {
    entries_.erase(order_.front().second);
    order_.pop_front();
  }
}

}  // namespace weir
