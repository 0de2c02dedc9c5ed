// A log that does as it is told, in front of a real one: refuses, fails later, holds appends back.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "log/log.h"

namespace weir {

class ObedientLog : public Log {
 public:
  explicit ObedientLog(Log& log) : log_(log) {}

  // What Append throws; null: nothing.
  std::function<void()> refuse;
  // Appends wait until Go or Drop.
  std::atomic<bool> paused{false};
  // Called in the place of what was told to be called at the end of an append, with it.
  std::function<void(const AppendDone&, const AppendResult&)> around;

  void Append(std::vector<LogRecord> records, AppendDone done) override {
    if (refuse) refuse();
    if (around) {
      done = [around = around, done = std::move(done)](const AppendResult& result) {
        around(done, result);
      };
    }
    {
      std::lock_guard lock(mutex_);
      if (paused) {
        waiting_.emplace_back(std::move(records), std::move(done));
        changed_.notify_all();
        return;
      }
    }
    log_.Append(std::move(records), std::move(done));
  }
  // Returns once so many appends wait.
  void AwaitAppends(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_.size() >= count; });
  }
  size_t Waiting() {
    std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  // The first append that waits becomes durable ...
  void Go() {
    auto [records, done] = Next();
    log_.Append(std::move(records), std::move(done));
  }
  // ... or fails, as on a full disk.
  void Drop() {
    auto [records, done] = Next();
    AppendResult result;
    result.error = std::make_exception_ptr(Error(ErrorCode::kUnavailable, "the disk is full"));
    done(result);
  }
  // The first append that waits is dropped, and nobody told.
  void Forget() { Next(); }

  void AddListener(CommitListener& listener) override { log_.AddListener(listener); }
  bool Failed() const override { return log_.Failed(); }
  Offset Begin() const override { return log_.Begin(); }
  Offset End() const override { return log_.End(); }
  Micros LastTime() const override { return log_.LastTime(); }
  const RecoveryReport& Recovery() const override { return log_.Recovery(); }
  std::unique_ptr<LogReader> Read(Offset after, std::optional<Offset> up_to,
                                  std::optional<StreamId> only) override {
    return log_.Read(after, up_to, only);
  }
  PinnedSegments Segments(Offset after, Offset up_to) override {
    return log_.Segments(after, up_to);
  }
  void Trim(Offset up_to) override { log_.Trim(up_to); }
  void Close() override { log_.Close(); }

 private:
  std::pair<std::vector<LogRecord>, AppendDone> Next() {
    std::lock_guard lock(mutex_);
    ASSERT(!waiting_.empty());
    auto next = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    return next;
  }

  Log& log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<std::vector<LogRecord>, AppendDone>> waiting_;
};

}  // namespace weir
