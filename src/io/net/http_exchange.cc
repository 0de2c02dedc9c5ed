#include "io/net/http_exchange.h"

#include <spdlog/spdlog.h>

namespace weir {

namespace asio = boost::asio;

void HttpSession::Stream::Write(std::shared_ptr<const std::string> bytes) {
  if (bytes->empty()) return;
  bool wake;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    wake = queue_.empty() && !writing_;
    queue_.push_back(bytes);
    pending_ += bytes->size();
  }
  if (wake) WakeSession();
}

void HttpSession::Stream::Close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  WakeSession();
}

void HttpSession::Stream::Abort() {
  {
    std::lock_guard lock(mutex_);
    closed_ = aborted_ = true;
    queue_.clear();
  }
  WakeSession();
}

size_t HttpSession::Stream::Pending() const {
  std::lock_guard lock(mutex_);
  return pending_;
}

bool HttpSession::Stream::Closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

void HttpSession::Stream::OnDrained(std::function<void()> callback) {
  std::lock_guard lock(mutex_);
  drained_ = std::move(callback);
}

std::deque<std::shared_ptr<const std::string>> HttpSession::Stream::Take() {
  std::lock_guard lock(mutex_);
  writing_ = !queue_.empty();
  return std::exchange(queue_, {});
}

void HttpSession::Stream::Taken(size_t bytes) {
  std::function<void()> drained;
  {
    std::lock_guard lock(mutex_);
    pending_ -= std::min(bytes, pending_);
    writing_ = false;
    if (queue_.empty()) drained = drained_;
  }
  if (drained) drained();
}

void HttpSession::Stream::Gone() {
  std::function<void()> drained;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    queue_.clear();
    pending_ = 0;
    drained = std::exchange(drained_, nullptr);
  }
  if (drained) drained();
}

bool HttpSession::Stream::Finished() const {
  std::lock_guard lock(mutex_);
  return closed_ && queue_.empty();
}

bool HttpSession::Stream::aborted() const {
  std::lock_guard lock(mutex_);
  return aborted_;
}

void HttpSession::Stream::WakeSession() {
  if (auto session = session_.lock()) {
    asio::post(session->socket_.get_executor(), [session] { session->Wake(); });
  }
}

template <class Change>
void HttpSession::Exchange::Settle(Change change) {
  std::function<void()> forgotten;  // outlives the lock: what it holds may end here
  {
    std::lock_guard lock(mutex_);
    if (response_ || stream_) return;
    change();
    forgotten = std::exchange(on_gone_, nullptr);
  }
  if (auto session = session_.lock()) {
    asio::dispatch(session->socket_.get_executor(), [session] { session->Wake(); });
  }
}

void HttpSession::Exchange::Respond(HttpResponse response) {
  Settle([&] { response_ = std::move(response); });
}

std::shared_ptr<HttpStream> HttpSession::Exchange::Stream(
    int status, std::vector<std::pair<std::string, std::string>> headers) {
  auto stream = std::make_shared<HttpSession::Stream>(session_);
  stream->status = status;
  stream->headers = std::move(headers);
  bool gone = true;
  Settle([&] {
    stream_ = stream;
    gone = gone_;
  });
  if (gone) stream->Gone();
  return stream;
}

void HttpSession::Exchange::OnGone(std::function<void()> callback) {
  {
    std::lock_guard lock(mutex_);
    if (response_ || stream_) return;
    if (!gone_) {
      on_gone_ = std::move(callback);
      return;
    }
  }
  callback();
}

void HttpSession::Exchange::Post(std::function<void()> work) {
  auto session = session_.lock();
  if (!session) return;
  asio::post(session->socket_.get_executor(), [session, work = std::move(work)] {
    try {
      work();
    } catch (const std::exception& error) {
      spdlog::error("http: an answer cannot be made: {}", error.what());
      session->gone_ = true;
      session->Reset();
      session->Wake();
    }
  });
}

bool HttpSession::Exchange::Settled() const {
  std::lock_guard lock(mutex_);
  return response_.has_value() || stream_;
}

void HttpSession::Exchange::Gone() {
  std::function<void()> callback;
  {
    std::lock_guard lock(mutex_);
    gone_ = true;
    callback = std::exchange(on_gone_, nullptr);
  }
  if (callback) callback();
}

}  // namespace weir
