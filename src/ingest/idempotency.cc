#include "ingest/idempotency.h"

#include <cstring>

namespace weir {
namespace {

size_t BytesOf(const std::string& key, const IngestAnswer& answer) {
  constexpr size_t kOverhead = 400;  // the entry, its place in the order, the table
  size_t bytes = kOverhead + key.size();
  for (auto& row : answer.rejected) {
    bytes += sizeof(row) + row.column.size() + row.value.size() + row.reason.size();
  }
  for (auto& name : answer.unknown_fields) bytes += sizeof(name) + name.size();
  return bytes;
}

}  // namespace

IdempotencyWindow::Begun IdempotencyWindow::Begin(const std::string& key, uint64_t use,
                                                  Ticket& ticket, IngestAnswer& answer,
                                                  std::list<Waiting>* waiting) {
  CHECK(!ticket);
  std::list<Finished> place(1);
  std::lock_guard lock(mutex_);
  auto [found, added] = entries_.try_emplace(key);
  Entry& entry = found->second;
  if (added) {
    entry.use = use;
    place.front().key = &found->first;
    entry.place.splice(entry.place.end(), place);
    ticket.window_ = this;
    ticket.at_ = &*found;
    return Begun::kMine;
  }
  if (entry.use != use) {
    answer.error = Error(ErrorCode::kConflict,
                         "this Idempotency-Key was used before with another body, or to do "
                         "something else with it",
                         "Use a new key for each thing to be done, and the same key only to do the "
                         "same again.");
    return Begun::kConflict;
  }
  if (entry.finished) {
    answer = entry.answer;
    return Begun::kAnswered;
  }
  if (waiting) entry.waiting.splice(entry.waiting.end(), *waiting);
  return Begun::kOnItsWay;
}

void IdempotencyWindow::Ticket::Prepare(const IngestAnswer& answer) {
  IngestAnswer kept = answer;
  size_t bytes = BytesOf(at_->first, kept);
  std::lock_guard lock(window_->mutex_);
  ASSERT(!at_->second.finished);
  at_->second.answer = std::move(kept);
  at_->second.bytes = bytes;
}

void IdempotencyWindow::Ticket::Finish(Offset offset, Micros time) noexcept {
  IdempotencyWindow& window = *std::exchange(window_, nullptr);
  std::list<Waiting> waiting;
  IngestAnswer answer;
  bool copied = true;
  {
    std::lock_guard lock(window.mutex_);
    Entry& entry = at_->second;
    entry.answer.offset = offset;
    waiting.swap(entry.waiting);
    try {
      if (!waiting.empty()) answer = entry.answer;
    } catch (const std::bad_alloc&) {
      copied = false;  // they get no answer, and may ask again
    }
    window.Keep(*at_, time);
  }
  for (auto& one : waiting) {
    try {
      if (copied) one.answered(answer);
    } catch (const std::exception&) {  // memory, too
    }
  }
}

void IdempotencyWindow::Ticket::Abandon() noexcept {
  if (!window_) return;
  IdempotencyWindow& window = *std::exchange(window_, nullptr);
  std::list<Waiting> dropped;
  TaskThread::Task next;
  {
    std::lock_guard lock(window.mutex_);
    Entry& entry = at_->second;
    ASSERT(!entry.finished);
    if (entry.waiting.empty()) {
      window.entries_.erase(window.entries_.find(at_->first));
      return;
    }
    // The next one has its task with it; the key stays taken.
    auto first = entry.waiting.begin();
    ASSERT(!*first->place);
    first->place->window_ = &window;
    first->place->at_ = at_;
    next.splice(next.end(), first->take_over);
    dropped.splice(dropped.end(), entry.waiting, first);
  }
  window.resumed_.Post(std::move(next));
}

// For each key: how many bytes its meta data has, those, the answer's offset, the time.
//
// The log's thread and producers want the lock meanwhile: some keys at a time are copied under it.
std::string IdempotencyWindow::Save() {
  constexpr size_t kAtOnce = 100;
  std::string bytes;
  auto put = [&](uint64_t number) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof(number));
  };
  std::vector<std::pair<RecordMeta, Micros>> some;
  {
    std::lock_guard lock(mutex_);
    next_saved_ = order_.begin();
  }
  do {
    some.clear();
    some.reserve(kAtOnce);
    {
      std::lock_guard lock(mutex_);
      for (; some.size() < kAtOnce && next_saved_ != order_.end(); ++next_saved_) {
        const Entry& entry = entries_.at(*next_saved_->key);
        ASSERT(entry.finished);
        some.push_back({{"", *next_saved_->key, entry.use, entry.answer}, next_saved_->time});
      }
    }
    for (auto& [meta, time] : some) {
      std::string encoded = EncodeMeta(meta);
      put(encoded.size());
      bytes += encoded;
      put(meta.answer.offset.value);
      put(static_cast<uint64_t>(time));
    }
  } while (!some.empty());
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
    auto time = static_cast<Micros>(number());
    if (time < 0) throw Error(ErrorCode::kCorruption, "the saved keys are damaged");
    Remember(meta->key, meta->body_hash, std::move(meta->answer), time);
  }
}

void IdempotencyWindow::Remember(const std::string& key, uint64_t use, IngestAnswer answer,
                                 Micros time) {
  std::lock_guard lock(mutex_);
  auto [found, added] = entries_.try_emplace(key);
  Entry& entry = found->second;
  if (!added) return;
  entry.use = use;
  entry.bytes = BytesOf(key, answer);
  entry.answer = std::move(answer);
  entry.place.push_back({time, &found->first});
  Keep(*found, time);
}

// The entry's answer is final.
void IdempotencyWindow::Keep(Entries::value_type& entry, Micros time) noexcept {
  ASSERT(!entry.second.finished && entry.second.bytes > 0);
  ASSERT(entry.second.place.size() == 1 && entry.second.waiting.empty());
  entry.second.finished = true;
  entry.second.place.front().time = time;
  bytes_ += entry.second.bytes;
  order_.splice(order_.end(), entry.second.place);
  Forget(time);
}

void IdempotencyWindow::Forget(Micros now) noexcept {
  while (!order_.empty()) {
    auto& [time, key] = order_.front();
    bool over = time < now - kWindow;
    if (!over && order_.size() <= kKeysMax && bytes_ <= bytes_max_) return;
    shortened_ += !over;
    auto found = entries_.find(*key);
    ASSERT(found != entries_.end() && found->second.finished && bytes_ >= found->second.bytes);
    bytes_ -= found->second.bytes;
    entries_.erase(found);
    if (next_saved_ == order_.begin()) ++next_saved_;
    order_.pop_front();
  }
  ASSERT(bytes_ == 0);
}

void IdempotencyWindow::Close() {
  std::list<Waiting> dropped;  // without the mutex: with a task may go a ticket
  std::lock_guard lock(mutex_);
  for (auto& [key, entry] : entries_) dropped.splice(dropped.end(), entry.waiting);
}

IdempotencyWindow::Info IdempotencyWindow::Now() const {
  std::lock_guard lock(mutex_);
  return {order_.size(), bytes_, shortened_};
}

}  // namespace weir
