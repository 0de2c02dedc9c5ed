// A connection from its first byte to its end.  How requests are read stands in http_receive.cc,
// how answers are sent in http_send.cc.
#include "io/net/http_session.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "io/net/http_coroutines.h"
#include "io/net/http_exchange.h"

namespace weir {

namespace asio = boost::asio;

std::shared_ptr<HttpUse> HttpSettings::UseOf(const std::string& address) {
  std::lock_guard lock(mutex_);
  auto& known = clients_[address];
  auto use = known.lock();
  if (!use) known = use = std::make_shared<HttpUse>();
  // Of addresses that have gone there are never more than of those that are here, and a few.
  if (clients_.size() > 2 * all.connections + 64) {
    std::erase_if(clients_, [](auto& entry) { return entry.second.expired(); });
  }
  return use;
}

HttpShare::HttpShare(HttpSettings& settings, HttpUse& client, Count count, size_t limit)
    : all_(settings.all.*count),
      client_(client.*count),
      limit_(limit),
      client_limit_(
          static_cast<size_t>(static_cast<double>(limit) * settings.limits.client_share)) {}

bool HttpShare::Set(size_t bytes) {
  if (bytes <= held_) {
    all_ -= held_ - bytes;
    client_ -= held_ - bytes;
  } else {
    size_t more = bytes - held_;
    bool fits = client_.fetch_add(more) + more <= client_limit_;
    fits = all_.fetch_add(more) + more <= limit_ && fits;
    if (!fits) {
      all_ -= more;
      client_ -= more;
      return false;
    }
  }
  held_ = bytes;
  return true;
}

HttpSession::HttpSession(Socket socket, std::shared_ptr<HttpSettings> settings)
    : socket_(std::move(socket)),
      settings_(std::move(settings)),
      address_([&] {
        boost::system::error_code gone;
        auto endpoint = socket_.remote_endpoint(gone);
        return gone ? std::string() : endpoint.address().to_string();
      }()),
      client_(settings_->UseOf(address_)),
      body_(*settings_, *client_, &HttpUse::bodies_bytes, settings_->limits.bodies_bytes),
      answer_(*settings_, *client_, &HttpUse::answers_bytes, settings_->limits.answers_bytes),
      // No head, chunk header or trailer needs more at once.
      buffer_(std::max<size_t>(2 * settings_->limits.header_bytes, 64 << 10)),
      wake_(socket_.get_executor()),
      watchdog_(socket_.get_executor()) {
  settings_->all.connections++;
  client_->connections++;
  wake_.expires_at(std::chrono::steady_clock::time_point::max());
}

HttpSession::~HttpSession() {
  if (refused_) settings_->refused--;
  settings_->all.connections--;
  client_->connections--;
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
  refused_ = true;
  settings_->refused++;
  auto self = shared_from_this();
  asio::co_spawn(
      socket_.get_executor(),
      [self, status, message]() -> Awaitable<void> {
        std::string copy = message;
        co_await self->Refuse(status, std::move(copy), kRefusedTimeout);
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

// The client gets a reset, not an end: whatever it was reading is not whole.
void HttpSession::Reset() {
  boost::system::error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

// Ends what waits for the socket when the deadline passes; looks once a second.
HttpSession::Awaitable<void> HttpSession::Watch() {
  while (socket_.is_open()) {
    watchdog_.expires_after(std::chrono::seconds(1));
    auto [error] = co_await watchdog_.async_wait(kHttpUse);
    if (error) co_return;
    if (std::chrono::steady_clock::now() < deadline_) continue;
    boost::system::error_code ignored;
    socket_.cancel(ignored);
    if (std::exchange(receiving_, false)) {
      too_slow_ = true;
      SetDeadline(5'000'000);  // for the answer that says so
    } else if (serving_) {
      Reset();
    } else {
      socket_.close(ignored);
    }
  }
}

// A client that goes while it is served is noticed by its end of the connection, not by the next
// write.
void HttpSession::WatchClient() {
  if (std::exchange(watching_, true)) return;
  auto self = shared_from_this();
  socket_.async_wait(Socket::wait_read, [self](boost::system::error_code error) {
    self->watching_ = false;
    if (error == asio::error::operation_aborted || !self->serving_) return;
    char byte;
    boost::system::error_code peek;
    self->socket_.receive(asio::buffer(&byte, 1), Socket::message_peek, peek);
    if (!peek) return;  // the next request of a pipeline
    // What there was is this request, which was read meanwhile.
    if (peek == asio::error::would_block) return self->WatchClient();
    self->gone_ = true;
    if (self->current_) self->current_->Gone();
    self->Wake();
  });
}

HttpSession::Awaitable<void> HttpSession::Run() {
  boost::system::error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);  // what is called without waiting returns without waiting
  try {
    while (!settings_->stopping && co_await Serve()) {
    }
  } catch (const std::exception&) {
    Reset();  // A connection that fails ends; its client sees that.
  }
  watchdog_.cancel();
  if (!socket_.is_open()) co_return;
  socket_.shutdown(Socket::shutdown_send, ignored);
  socket_.close(ignored);
}

HttpSession::Awaitable<void> HttpSession::Refuse(int status, std::string message, Micros timeout) {
  SetDeadline(timeout);
  HttpResponse response = settings_->refusal(status, message);
  co_await Send(response, false);
  // Take what the client still sends, so that it reads the answer before it sees a reset.
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  std::string sink(64 << 10, '\0');
  for (size_t taken = 0; taken < (256u << 20);) {
    auto [error, bytes] = co_await socket_.async_read_some(asio::buffer(sink), kHttpUse);
    if (error) break;
    taken += bytes;
  }
}

// One request and its answer; false when the connection ends.
HttpSession::Awaitable<bool> HttpSession::Serve() {
  SetDeadline(settings_->limits.idle_timeout);
  head_request_ = gone_ = too_slow_ = false;
  if (buffer_.size() == 0 && !co_await ReadMore()) co_return false;
  SetDeadline(settings_->limits.header_timeout);
  receiving_ = true;
  auto exchange = std::make_shared<Exchange>(weak_from_this());
  Parser parser;
  parser.body_limit(boost::none);
  HttpHead head;
  if (!co_await ReadHead(parser, head)) co_return false;
  if (settings_->stopping) {
    std::string stopping = "Weir is stopping";  // GCC 12 destroys a temporary in co_await twice
    co_await Refuse(503, std::move(stopping));
    co_return false;
  }
  exchange->request = std::move(head.request);
  exchange->request.client = address_;
  if (!co_await ReadBody(parser, head, exchange->request)) co_return false;

  receiving_ = false;
  serving_ = true;
  current_ = exchange;
  SetDeadline(3'600'000'000);
  bool keep_alive = parser.keep_alive();
  WatchClient();
  settings_->handler(exchange);
  while (!exchange->Settled()) {
    co_await wake_.async_wait(kHttpUse);
    if (!socket_.is_open()) {
      exchange->Gone();
      break;
    }
  }
  bool go_on = exchange->Settled() && co_await Answer(*exchange, keep_alive && !settings_->stopping,
                                                      parser.get().version());
  current_ = nullptr;
  serving_ = false;
  boost::system::error_code ignored;
  if (go_on && watching_) socket_.cancel(ignored);
  body_.Set(0);
  answer_.Set(0);
  co_return go_on;
}

}  // namespace weir
