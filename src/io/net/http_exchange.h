// One request of a session with its answer, as the handler and the session see them; see
// http_session.h.
#pragma once

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <optional>

#include "io/net/http_session.h"

namespace weir {

class HttpSession::Stream : public HttpStream {
 public:
  explicit Stream(std::weak_ptr<HttpSession> session) : session_(std::move(session)) {}

  void Write(std::shared_ptr<const std::string> bytes) override;
  void Close() override;
  void Abort() override;
  size_t Pending() const override;
  bool Closed() const override;
  void OnDrained(std::function<void()> callback) override;

  // The session's side.
  std::deque<std::shared_ptr<const std::string>> Take();
  void Taken(size_t bytes);
  void Gone();
  bool Finished() const;
  bool aborted() const;

  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;

 private:
  void WakeSession();

  std::weak_ptr<HttpSession> session_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<const std::string>> queue_;
  size_t pending_ = 0;
  bool writing_ = false, closed_ = false, aborted_ = false;
  std::function<void()> drained_;
};

class HttpSession::Exchange : public HttpExchange {
 public:
  explicit Exchange(std::weak_ptr<HttpSession> session) : session_(std::move(session)) {}

  void Respond(HttpResponse response) override;
  std::shared_ptr<HttpStream> Stream(
      int status, std::vector<std::pair<std::string, std::string>> headers) override;
  void OnGone(std::function<void()> callback) override;
  void Post(std::function<void()> work) override;

  // The session's side.
  bool Settled() const;
  void Gone();  // the client is: nobody will read the answer
  std::optional<HttpResponse>& response() { return response_; }
  std::shared_ptr<HttpSession::Stream>& stream() { return stream_; }

 private:
  template <class Change>
  void Settle(Change change);

  std::weak_ptr<HttpSession> session_;
  mutable std::mutex mutex_;
  std::optional<HttpResponse> response_;
  std::shared_ptr<HttpSession::Stream> stream_;
  std::function<void()> on_gone_;
  bool gone_ = false;
};

}  // namespace weir
