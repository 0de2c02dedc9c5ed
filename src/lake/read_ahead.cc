#include "lake/read_ahead.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"

namespace weir {
namespace {

constexpr size_t kPiecesAhead = 2;

class Queue {
 public:
  // The producer's side; false when nobody wants more.
  bool Put(Columns&& rows, Offset last) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || pieces_.size() < kPiecesAhead; });
    if (stopped_) return false;
    CHECK(!finished_);
    pieces_.emplace_back(std::move(rows), last);
    changed_.notify_all();
    return true;
  }
  void Finish(bool result, std::exception_ptr error) {
    std::lock_guard lock(mutex_);
    ASSERT(!finished_);
    result_ = result;
    error_ = std::move(error);
    finished_ = true;
    changed_.notify_all();
  }

  // The other side.
  bool Take(std::pair<Columns, Offset>& piece) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_ || !pieces_.empty(); });
    if (pieces_.empty()) return false;
    piece = std::move(pieces_.front());
    pieces_.pop_front();
    changed_.notify_all();
    return true;
  }
  void Stop() {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  bool Result() const {
    CHECK(finished_);
    if (error_) std::rethrow_exception(error_);
    return result_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<Columns, Offset>> pieces_;
  bool stopped_ = false, finished_ = false, result_ = false;
  std::exception_ptr error_;
};

}  // namespace

bool ReadAhead(const std::function<bool(const PieceSink&)>& produce, const PieceSink& sink) {
  Queue queue;
  std::thread producer([&] {
    bool result = false;
    std::exception_ptr error;
    try {
      result =
          produce([&](Columns&& rows, Offset last) { return queue.Put(std::move(rows), last); });
    } catch (...) {
      error = std::current_exception();
    }
    queue.Finish(result, error);
  });
  bool wanted = true;
  std::exception_ptr error;
  try {
    std::pair<Columns, Offset> piece;
    while (wanted && queue.Take(piece)) wanted = sink(std::move(piece.first), piece.second);
  } catch (...) {
    error = std::current_exception();
  }
  queue.Stop();
  producer.join();
  if (error) std::rethrow_exception(error);
  return wanted && queue.Result();
}

}  // namespace weir
