// One client's connection; see http_server.h.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <deque>
#include <map>
#include <mutex>
#include <optional>

#include "io/net/http_head.h"
#include "io/net/http_server.h"

namespace weir {

// What one client, or all of them, have of the server now.
struct HttpUse {
  std::atomic<size_t> connections{0}, bodies_bytes{0}, answers_bytes{0};
};

struct HttpSettings {
  HttpLimits limits;
  HttpHandler handler;
  HttpRefusal refusal;
  HttpUse all;
  std::atomic<size_t> refused{0};  // of its connections, those that are told so and end
  std::atomic<bool> stopping{false};

  // The one of an address; it lives as long as somebody holds it.
  std::shared_ptr<HttpUse> UseOf(const std::string& address);

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<HttpUse>> clients_;
};

// Bytes counted against what all and what one client may have.  One thread at a time.
class HttpShare {
 public:
  using Count = std::atomic<size_t> HttpUse::*;
  HttpShare(HttpSettings& settings, HttpUse& client, Count count, size_t limit);
  ~HttpShare() { Set(0); }
  HttpShare(const HttpShare&) = delete;
  HttpShare& operator=(const HttpShare&) = delete;
  // False, and nothing has changed, when that is too much.  Less is always possible.
  bool Set(size_t bytes);
  size_t held() const { return held_; }

 private:
  std::atomic<size_t>& all_;
  std::atomic<size_t>& client_;
  size_t limit_, client_limit_, held_ = 0;
};

class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  HttpSession(Socket socket, std::shared_ptr<HttpSettings> settings);
  ~HttpSession();
  void Start();
  const HttpUse& client() const { return *client_; }
  // Instead of Start: answers with `status`, whatever the client asks for, and ends.
  void StartRefusing(int status, const std::string& message);
  // From any thread: ends the connection when it is idle or streaming.
  void Stop();

 private:
  class Exchange;
  class Stream;
  using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;
  template <class T>
  using Awaitable = boost::asio::awaitable<T>;

  Awaitable<void> Run();
  Awaitable<void> Watch();
  Awaitable<bool> Serve();
  // For a connection too many, which is in the way of others.
  static constexpr Micros kRefusedTimeout = 1'000'000;

  Awaitable<bool> ReadHead(Parser& parser, HttpHead& head);
  Awaitable<bool> ReadBody(Parser& parser, const HttpHead& head, HttpRequest& request);
  Awaitable<bool> ReadSized(size_t length, HttpRequest& request);
  Awaitable<bool> ReadChunked(Parser& parser, HttpRequest& request);
  // Into the buffer; false when the connection is at its end, or there is no room.
  Awaitable<bool> ReadMore();
  Awaitable<void> RefuseSlow();
  Awaitable<void> RefuseFull(HttpRequest& request);
  Awaitable<bool> Answer(Exchange& exchange, bool keep_alive, unsigned version);
  Awaitable<bool> RunStream(Stream& stream, unsigned version);
  Awaitable<void> Refuse(int status, std::string message, Micros timeout = 5'000'000);
  Awaitable<bool> Send(const HttpResponse& response, bool keep_alive);
  Awaitable<bool> SendBody(const HttpResponse& response);
  // Whether there is room for the answer among those that clients have yet to take.
  bool HoldAnswer(const HttpResponse& response);
  void WatchClient();
  void Reset();
  void SetDeadline(Micros from_now);
  void SetBodyDeadline(std::chrono::steady_clock::time_point began, size_t received);
  void Wake();

  Socket socket_;
  std::shared_ptr<HttpSettings> settings_;
  std::string address_;
  std::shared_ptr<HttpUse> client_;
  HttpShare body_, answer_;
  boost::beast::flat_buffer buffer_;
  boost::asio::steady_timer wake_;  // cancelled to wake the session
  boost::asio::steady_timer watchdog_;
  std::chrono::steady_clock::time_point deadline_;
  bool receiving_ = false;  // a request: a client that is too slow with it is told so
  bool too_slow_ = false;
  bool serving_ = false;
  bool head_request_ = false;
  bool refused_ = false;
  bool gone_ = false;      // the client closed its side while it was served
  bool watching_ = false;  // for that
  std::shared_ptr<Exchange> current_;
};

}  // namespace weir
