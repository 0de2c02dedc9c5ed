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
#include <mutex>
#include <optional>

#include "io/http_server.h"

namespace weir {

struct HttpSettings {
  HttpLimits limits;
  HttpHandler handler;
  HttpRefusal refusal;
  std::atomic<size_t> connections{0};
  std::atomic<size_t> bodies_bytes{0};
  std::atomic<bool> stopping{false};
};

class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  HttpSession(Socket socket, std::shared_ptr<HttpSettings> settings);
  ~HttpSession();
  void Start();
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
  Awaitable<bool> ReadBody(Parser& parser, HttpRequest& request);
  Awaitable<bool> ReadSized(size_t length, HttpRequest& request);
  Awaitable<bool> ReadChunked(Parser& parser, HttpRequest& request);
  Awaitable<void> RefuseSlow();
  Awaitable<void> RefuseFull(HttpRequest& request);
  Awaitable<bool> Answer(Exchange& exchange, bool keep_alive, unsigned version);
  Awaitable<bool> RunStream(Stream& stream, unsigned version);
  Awaitable<void> Refuse(int status, std::string message);
  Awaitable<bool> Send(const HttpResponse& response, bool head, bool keep_alive);
  bool MakeRequest(Parser& parser, HttpRequest& request, int& status, std::string& why);
  void SetDeadline(Micros from_now);
  void SetBodyDeadline(std::chrono::steady_clock::time_point began, size_t received);
  // Counts a body of `bytes` against what all bodies may have; false when that is too much.
  bool HoldBody(size_t bytes);
  void Wake();

  Socket socket_;
  std::shared_ptr<HttpSettings> settings_;
  boost::beast::flat_buffer buffer_;
  boost::asio::steady_timer wake_;  // cancelled to wake the session
  boost::asio::steady_timer watchdog_;
  std::chrono::steady_clock::time_point deadline_;
  bool receiving_ = false;  // a request: a client that is too slow with it is told so
  bool too_slow_ = false;
  bool serving_ = false;
  size_t held_bytes_ = 0;  // of the body, as counted in the settings
  std::shared_ptr<Exchange> current_;
};

}  // namespace weir
