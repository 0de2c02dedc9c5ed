#include "io/http_session.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <deque>

#include "io/url.h"

namespace weir {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
constexpr auto kUse = asio::as_tuple(asio::use_awaitable);

std::string_view Reason(int status) {
  auto reason = http::obsolete_reason(static_cast<http::status>(status));
  return std::string_view(reason.data(), reason.size());
}

// RFC 9110, 5.6.7, in English whatever the locale.
std::string HttpDate(std::time_t now) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc;
  gmtime_r(&now, &utc);
  char text[40];
  std::snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[utc.tm_wday],
                utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                utc.tm_sec);
  return text;
}

std::string Head(int status, const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
  head += Reason(status);
  head += "\r\nDate: " + HttpDate(std::time(nullptr)) + "\r\n";
  for (auto& [name, value] : headers) {
    head += name + ": ";
    for (char c : value) head += c == '\r' || c == '\n' ? ' ' : c;
    head += "\r\n";
  }
  return head;
}

}  // namespace

// ---- streams ------------------------------------------------------------------------------------

class HttpSession::Stream : public HttpStream {
 public:
  explicit Stream(std::weak_ptr<HttpSession> session) : session_(std::move(session)) {}

  void Write(std::shared_ptr<const std::string> bytes) override {
    if (bytes->empty()) return;
    bool wake;
    {
      std::lock_guard lock(mutex_);
      if (closed_) return;
      wake = queue_.empty() && !writing_;
      pending_ += bytes->size();
      queue_.push_back(std::move(bytes));
    }
    if (wake) WakeSession();
  }
  void Close() override {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    WakeSession();
  }
  size_t Pending() const override {
    std::lock_guard lock(mutex_);
    return pending_;
  }
  bool Closed() const override {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  void OnDrained(std::function<void()> callback) override {
    std::lock_guard lock(mutex_);
    drained_ = std::move(callback);
  }

  // The session's side.
  std::deque<std::shared_ptr<const std::string>> Take() {
    std::lock_guard lock(mutex_);
    writing_ = !queue_.empty();
    return std::exchange(queue_, {});
  }
  void Taken(size_t bytes) {
    std::function<void()> drained;
    {
      std::lock_guard lock(mutex_);
      pending_ -= bytes;
      writing_ = false;
      if (queue_.empty()) drained = drained_;
    }
    if (drained) drained();
  }
  void Gone() {
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
  bool Finished() const {
    std::lock_guard lock(mutex_);
    return closed_ && queue_.empty();
  }

  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;

 private:
  void WakeSession() {
    if (auto session = session_.lock()) {
      asio::post(session->socket_.get_executor(), [session] { session->Wake(); });
    }
  }

  std::weak_ptr<HttpSession> session_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<const std::string>> queue_;
  size_t pending_ = 0;
  bool writing_ = false, closed_ = false;
  std::function<void()> drained_;
};

class HttpSession::Exchange : public HttpExchange {
 public:
  explicit Exchange(std::weak_ptr<HttpSession> session) : session_(std::move(session)) {}

  void Respond(HttpResponse response) override {
    Settle([&] { response_ = std::move(response); });
  }
  std::shared_ptr<HttpStream> Stream(
      int status, std::vector<std::pair<std::string, std::string>> headers) override {
    auto stream = std::make_shared<HttpSession::Stream>(session_);
    stream->status = status;
    stream->headers = std::move(headers);
    Settle([&] { stream_ = stream; });
    return stream;
  }

  bool Settled() const {
    std::lock_guard lock(mutex_);
    return response_.has_value() || stream_;
  }
  std::optional<HttpResponse>& response() { return response_; }
  std::shared_ptr<HttpSession::Stream>& stream() { return stream_; }

 private:
  template <class Change>
  void Settle(Change change) {
    {
      std::lock_guard lock(mutex_);
      if (response_ || stream_) return;
      change();
    }
    if (auto session = session_.lock()) {
      asio::dispatch(session->socket_.get_executor(), [session] { session->Wake(); });
    }
  }
  std::weak_ptr<HttpSession> session_;
  mutable std::mutex mutex_;
  std::optional<HttpResponse> response_;
  std::shared_ptr<HttpSession::Stream> stream_;
};

// ---- the connection -----------------------------------------------------------------------------

HttpSession::HttpSession(Socket socket, std::shared_ptr<HttpSettings> settings)
    : socket_(std::move(socket)),
      settings_(std::move(settings)),
      wake_(socket_.get_executor()),
      watchdog_(socket_.get_executor()) {
  settings_->connections++;
  wake_.expires_at(std::chrono::steady_clock::time_point::max());
}

HttpSession::~HttpSession() {
  HoldBody(0);
  settings_->connections--;
}

void HttpSession::Start() {
  SetDeadline(settings_->limits.idle_timeout);
  auto self = shared_from_this();
  asio::co_spawn(
      socket_.get_executor(), [self] { return self->Run(); }, asio::detached);
  asio::co_spawn(
      socket_.get_executor(), [self] { return self->Watch(); }, asio::detached);
}

void HttpSession::StartRefusing(int status, const std::string& message) {
  SetDeadline(5'000'000);
  auto self = shared_from_this();
  asio::co_spawn(
      socket_.get_executor(),
      [self, status, message]() -> Awaitable<void> {
        std::string copy = message;
        co_await self->Refuse(status, std::move(copy));
        self->watchdog_.cancel();
        boost::system::error_code ignored;
        self->socket_.close(ignored);
      },
      asio::detached);
  asio::co_spawn(
      socket_.get_executor(), [self] { return self->Watch(); }, asio::detached);
}

void HttpSession::Stop() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    bool streaming = self->current_ && self->current_->stream();
    if (self->serving_ && !streaming) return;  // its answer is on the way
    if (streaming) self->current_->stream()->Close();
    if (!self->serving_) {
      boost::system::error_code ignored;
      self->socket_.close(ignored);
    }
  });
}

void HttpSession::Wake() { wake_.cancel(); }

void HttpSession::SetDeadline(Micros from_now) {
  deadline_ = std::chrono::steady_clock::now() + std::chrono::microseconds(from_now);
}

// A body may be slow in its first moments, and no slower than the limit's rate after that.
void HttpSession::SetBodyDeadline(std::chrono::steady_clock::time_point began, size_t received) {
  auto& limits = settings_->limits;
  auto allowed =
      limits.body_grace + static_cast<Micros>(received * 1'000'000 / limits.body_bytes_per_second);
  deadline_ = began + std::chrono::microseconds(allowed);
}

bool HttpSession::HoldBody(size_t bytes) {
  if (bytes > held_bytes_) {
    size_t more = bytes - held_bytes_;
    if (settings_->bodies_bytes.fetch_add(more) + more > settings_->limits.bodies_bytes) {
      settings_->bodies_bytes -= more;
      return false;
    }
  } else {
    settings_->bodies_bytes -= held_bytes_ - bytes;
  }
  held_bytes_ = bytes;
  return true;
}

// Ends what waits for the socket when the deadline passes; looks once a second.
HttpSession::Awaitable<void> HttpSession::Watch() {
  while (socket_.is_open()) {
    watchdog_.expires_after(std::chrono::seconds(1));
    auto [error] = co_await watchdog_.async_wait(kUse);
    if (error) co_return;
    if (std::chrono::steady_clock::now() < deadline_) continue;
    boost::system::error_code ignored;
    socket_.cancel(ignored);
    if (std::exchange(receiving_, false)) {
      too_slow_ = true;
      SetDeadline(5'000'000);  // for the answer that says so
    } else {
      socket_.close(ignored);
    }
  }
}

HttpSession::Awaitable<void> HttpSession::Run() {
  boost::system::error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  try {
    while (!settings_->stopping && co_await Serve()) {
    }
  } catch (const std::exception&) {
    // A connection that fails ends; its client sees that.
  }
  watchdog_.cancel();
  if (!socket_.is_open()) co_return;
  socket_.shutdown(Socket::shutdown_send, ignored);
  socket_.close(ignored);
}

HttpSession::Awaitable<void> HttpSession::Refuse(int status, std::string message) {
  SetDeadline(5'000'000);
  HttpResponse response = settings_->refusal(status, message);
  co_await Send(response, false, false);
  // Take what the client still sends, so that it reads the answer before it sees a reset.
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  std::string sink(64 << 10, '\0');
  for (size_t taken = 0; taken < (256u << 20);) {
    auto [error, bytes] = co_await socket_.async_read_some(asio::buffer(sink), kUse);
    if (error) break;
    taken += bytes;
  }
}

bool HttpSession::MakeRequest(Parser& parser, HttpRequest& request, int& status, std::string& why) {
  auto& message = parser.get();
  auto target = std::string_view(message.target().data(), message.target().size());
  auto refuse = [&](int code, std::string reason) {
    status = code;
    why = std::move(reason);
    return false;
  };
  if (target.size() > settings_->limits.target_bytes) return refuse(414, "the URL is too long");
  request.method = std::string(message.method_string());
  auto question = target.find('?');
  if (target.empty() || target[0] != '/' || !DecodeUrl(target.substr(0, question), request.path)) {
    return refuse(400, "the URL is malformed");
  }
  if (question != std::string_view::npos &&
      !DecodeQuery(target.substr(question + 1), request.query)) {
    return refuse(400, "the query of the URL is malformed");
  }
  int lengths = 0, encodings = 0, hosts = 0;
  for (auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    lengths += name == "content-length";
    encodings += name == "transfer-encoding";
    hosts += name == "host";
    auto value = std::string(field.value());
    auto [entry, added] = request.headers.emplace(name, value);
    if (!added) entry->second += ", " + value;
  }
  if (lengths > 1 || (lengths && encodings)) return refuse(400, "the body's length is ambiguous");
  if (hosts != 1 && message.version() >= 11)
    return refuse(400, "the Host header is missing or doubled");
  // "gzip, chunked" would be read as if it said nothing of gzip.
  bool other = encodings && !boost::beast::iequals(request.headers["transfer-encoding"], "chunked");
  if (other || (encodings && !parser.chunked())) return refuse(501, "unknown Transfer-Encoding");
  auto length = parser.content_length();
  if (length && *length > settings_->limits.body_bytes) return refuse(413, "the body is too large");
  return true;
}

HttpSession::Awaitable<void> HttpSession::RefuseSlow() {
  // GCC 12 destroys a conditional temporary inside co_await twice: only variables go in there.
  std::string slow = "the request came too slowly";
  if (too_slow_ && socket_.is_open()) co_await Refuse(408, std::move(slow));
}

// What was received of the body makes room for others before its client has read the answer.
HttpSession::Awaitable<void> HttpSession::RefuseFull(HttpRequest& request) {
  std::string().swap(request.body);
  HoldBody(0);
  std::string full = "too many bodies are being received at once";
  co_await Refuse(429, std::move(full));
}

HttpSession::Awaitable<bool> HttpSession::ReadBody(Parser& parser, HttpRequest& request) {
  if (request.Header("expect") == "100-continue") {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    auto [error, bytes] = co_await asio::async_write(socket_, asio::buffer(kContinue), kUse);
    if (error) co_return false;
  }
  if (parser.chunked()) co_return co_await ReadChunked(parser, request);
  auto length = parser.content_length();
  if (!length || *length == 0) co_return true;
  co_return co_await ReadSized(*length, request);
}

// Straight into one buffer, which is touched piece by piece as the body comes: a client that only
// announces a large body costs little, and a piece that was zeroed is in the cache when it is
// written.
HttpSession::Awaitable<bool> HttpSession::ReadSized(size_t length, HttpRequest& request) {
  constexpr size_t kHeldFirst = 1 << 20, kPieceBytes = 256 << 10;
  auto began = std::chrono::steady_clock::now();
  request.body.reserve(length);
  size_t have = 0;
  while (have < length) {
    if (have == request.body.size()) {
      size_t size = std::min(length, have + kPieceBytes);
      if (size > held_bytes_ && !HoldBody(std::min(length, std::max(kHeldFirst, 2 * have)))) {
        co_await RefuseFull(request);
        co_return false;
      }
      request.body.resize(size);
    }
    size_t room = request.body.size() - have;
    if (size_t buffered = std::min<size_t>(buffer_.size(), room)) {
      std::memcpy(request.body.data() + have, buffer_.data().data(), buffered);
      buffer_.consume(buffered);
      have += buffered;
      continue;
    }
    SetBodyDeadline(began, have);
    auto [error, bytes] =
        co_await socket_.async_read_some(asio::buffer(request.body.data() + have, room), kUse);
    if (error) {
      co_await RefuseSlow();
      co_return false;
    }
    have += bytes;
  }
  co_return true;
}

HttpSession::Awaitable<bool> HttpSession::ReadChunked(Parser& parser, HttpRequest& request) {
  auto began = std::chrono::steady_clock::now();
  std::string piece(64 << 10, '\0');
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    SetBodyDeadline(began, request.body.size());
    auto [error, bytes] = co_await http::async_read_some(socket_, buffer_, parser, kUse);
    if (error && error != http::error::need_buffer) {
      std::string malformed = "the chunked body is malformed";
      if (too_slow_) {
        co_await RefuseSlow();
      } else if (socket_.is_open()) {
        co_await Refuse(400, std::move(malformed));
      }
      co_return false;
    }
    request.body.append(piece.data(), piece.size() - parser.get().body().size);
    if (request.body.size() > settings_->limits.body_bytes) {
      std::string large = "the body is too large";
      co_await Refuse(413, std::move(large));
      co_return false;
    }
    if (!HoldBody(request.body.capacity())) {
      co_await RefuseFull(request);
      co_return false;
    }
  }
  co_return true;
}

// One request and its answer; false when the connection ends.
HttpSession::Awaitable<bool> HttpSession::Serve() {
  SetDeadline(settings_->limits.idle_timeout);
  if (buffer_.size() == 0) {
    auto space = buffer_.prepare(16 << 10);
    auto [error, bytes] = co_await socket_.async_read_some(space, kUse);
    if (error) co_return false;
    buffer_.commit(bytes);
  }
  SetDeadline(settings_->limits.header_timeout);
  receiving_ = true;
  too_slow_ = false;
  Parser parser;
  parser.header_limit(static_cast<uint32_t>(settings_->limits.header_bytes));
  parser.body_limit(boost::none);
  auto [error, header_bytes] = co_await http::async_read_header(socket_, buffer_, parser, kUse);
  if (error) {
    bool quiet = error == http::error::end_of_stream || !socket_.is_open() ||
                 error == asio::error::connection_reset;
    if (too_slow_) co_await RefuseSlow();
    if (quiet || too_slow_) co_return false;
    bool large = error == http::error::header_limit;
    std::string what = "the request is malformed: " + error.message();
    if (large) what = "the headers are too large";
    co_await Refuse(large ? 431 : 400, std::move(what));
    co_return false;
  }
  auto exchange = std::make_shared<Exchange>(weak_from_this());
  int status = 0;
  std::string why;
  if (!MakeRequest(parser, exchange->request, status, why)) {
    co_await Refuse(status, std::move(why));
    co_return false;
  }
  if (!co_await ReadBody(parser, exchange->request)) co_return false;

  receiving_ = false;
  serving_ = true;
  current_ = exchange;
  SetDeadline(3'600'000'000);
  bool keep_alive = parser.keep_alive();
  settings_->handler(exchange);
  while (!exchange->Settled()) co_await wake_.async_wait(kUse);
  bool go_on =
      co_await Answer(*exchange, keep_alive && !settings_->stopping, parser.get().version());
  current_ = nullptr;
  serving_ = false;
  HoldBody(0);
  co_return go_on;
}

HttpSession::Awaitable<bool> HttpSession::Answer(Exchange& exchange, bool keep_alive,
                                                 unsigned version) {
  bool head = exchange.request.method == "HEAD";
  if (exchange.stream() && head) {
    exchange.stream()->Gone();
    HttpResponse headers{exchange.stream()->status, exchange.stream()->headers, ""};
    SetDeadline(60'000'000);
    co_return co_await Send(headers, true, keep_alive) && keep_alive;
  }
  if (exchange.stream()) co_return co_await RunStream(*exchange.stream(), version);
  SetDeadline(60'000'000);
  co_return co_await Send(*exchange.response(), head, keep_alive) && keep_alive;
}

HttpSession::Awaitable<bool> HttpSession::Send(const HttpResponse& response, bool head,
                                               bool keep_alive) {
  std::string text = Head(response.status, response.headers);
  bool bodiless = response.status == 204 || response.status == 304;
  if (!bodiless) text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  if (!keep_alive) text += "Connection: close\r\n";
  text += "\r\n";
  std::array<asio::const_buffer, 2> buffers = {asio::buffer(text), asio::buffer(response.body)};
  if (head || bodiless) buffers[1] = asio::const_buffer();
  auto [error, bytes] = co_await asio::async_write(socket_, buffers, kUse);
  co_return !error;
}

HttpSession::Awaitable<bool> HttpSession::RunStream(Stream& stream, unsigned version) {
  bool chunked = version >= 11;
  std::string head = Head(stream.status, stream.headers);
  head += chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Connection: close\r\n\r\n";
  SetDeadline(60'000'000);
  auto keep = current_->stream();
  auto [head_error, head_bytes] = co_await asio::async_write(socket_, asio::buffer(head), kUse);
  bool failed = static_cast<bool>(head_error);
  // A client that goes is noticed by its end of the connection, not by the next write.
  auto gone = std::make_shared<bool>(false);
  auto self = shared_from_this();
  auto probe = std::make_shared<char>();
  if (chunked && !failed) {
    socket_.async_wait(Socket::wait_read, [self, gone](boost::system::error_code error) {
      char byte;
      boost::system::error_code peek;
      if (error == asio::error::operation_aborted) return;
      self->socket_.receive(asio::buffer(&byte, 1), Socket::message_peek, peek);
      if (!peek) return;  // the next request of a pipeline
      *gone = true;
      self->Wake();
    });
  }
  while (!failed && !*gone) {
    auto pieces = stream.Take();
    if (pieces.empty()) {
      if (stream.Finished()) break;
      SetDeadline(3'600'000'000);
      co_await wake_.async_wait(kUse);
      if (!socket_.is_open()) failed = true;
      continue;
    }
    size_t payload = 0;
    for (auto& piece : pieces) payload += piece->size();
    char size_line[24];
    auto end = std::to_chars(size_line, size_line + 16, payload, 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    std::vector<asio::const_buffer> buffers;
    if (chunked) buffers.push_back(asio::buffer(size_line, static_cast<size_t>(end - size_line)));
    for (auto& piece : pieces) buffers.push_back(asio::buffer(*piece));
    if (chunked) buffers.push_back(asio::buffer("\r\n", 2));
    SetDeadline(120'000'000);
    auto [error, bytes] = co_await asio::async_write(socket_, buffers, kUse);
    failed = static_cast<bool>(error);
    stream.Taken(payload);
  }
  stream.Gone();
  if (failed || *gone || !chunked) co_return false;
  auto [error, bytes] = co_await asio::async_write(socket_, asio::buffer("0\r\n\r\n", 5), kUse);
  boost::system::error_code ignored;
  socket_.cancel(ignored);
  co_return !error && !settings_->stopping;
}

}  // namespace weir
