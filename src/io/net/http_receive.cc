// How a session reads requests: heads and bodies, within limits of size and time.
#include <algorithm>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cstring>

#include "io/net/http_coroutines.h"
#include "io/net/http_exchange.h"

namespace weir {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr size_t kReadBytes = 16 << 10;

std::string_view TextOf(const boost::beast::flat_buffer& buffer) {
  return {static_cast<const char*>(buffer.data().data()), buffer.size()};
}

HttpFields FieldsOf(const http::request_parser<http::buffer_body>& parser) {
  auto view = [](auto text) { return std::string_view(text.data(), text.size()); };
  auto& message = parser.get();
  HttpFields fields{view(message.method_string()), view(message.target()), message.version(), {}};
  for (auto& field : message) {
    fields.fields.emplace_back(view(field.name_string()), view(field.value()));
  }
  return fields;
}

}  // namespace

HttpSession::Awaitable<bool> HttpSession::ReadMore() {
  size_t room = std::min(kReadBytes, buffer_.max_size() - buffer_.size());
  if (room == 0) co_return false;
  auto space = buffer_.prepare(room);
  auto [error, bytes] = co_await socket_.async_read_some(space, kHttpUse);
  if (error) co_return false;
  buffer_.commit(bytes);
  co_return true;
}

HttpSession::Awaitable<void> HttpSession::RefuseSlow() {
  // GCC 12 destroys a conditional temporary inside co_await twice: only variables go in there.
  std::string slow = "the request came too slowly";
  if (too_slow_ && socket_.is_open()) co_await Refuse(408, std::move(slow));
}

// What was received of the body makes room for others before its client has read the answer.
HttpSession::Awaitable<void> HttpSession::RefuseFull(HttpRequest& request) {
  std::string().swap(request.body);
  body_.Set(0);
  std::string full = "too many bodies are being received at once";
  co_await Refuse(429, std::move(full));
}

// The whole head is there before any of it is looked at.
HttpSession::Awaitable<bool> HttpSession::ReadHead(Parser& parser, HttpHead& head) {
  auto& limits = settings_->limits;
  parser.header_limit(static_cast<uint32_t>(limits.header_bytes));
  size_t end = std::string_view::npos;
  HttpFault fault;
  for (int empty_lines = 0; end == std::string_view::npos && !fault.status;) {
    auto text = TextOf(buffer_);
    // A client may end its last body with a line end too many.
    if (text.starts_with("\r\n") && empty_lines++ < 4) {
      buffer_.consume(2);
      continue;
    }
    head_request_ = text.starts_with("HEAD ");
    end = text.find("\r\n\r\n");
    auto seen = text.substr(0, end);
    if (FindBareLineFeed(seen) != std::string_view::npos) {
      fault = {400, "the request is malformed: a line does not end with CRLF"};
    } else if (seen.size() > limits.header_bytes) {
      bool target = seen.find("\r\n") > limits.header_bytes;
      fault = {target ? 414 : 431, target ? "the URL is too long" : "the headers are too large"};
    } else if (end == std::string_view::npos && !co_await ReadMore()) {
      co_await RefuseSlow();
      co_return false;
    }
  }
  if (!fault.status) {
    auto raw = TextOf(buffer_).substr(0, end + 4);
    boost::system::error_code error;
    size_t taken = 0;
    while (!error && taken < raw.size() && !parser.is_header_done()) {
      taken += parser.put(asio::buffer(raw.data() + taken, raw.size() - taken), error);
    }
    if (error || !parser.is_header_done()) {
      fault = {400, "the request is malformed: " + error.message()};
    } else {
      fault = ReadHttpHead(raw, FieldsOf(parser), limits, head);
    }
    buffer_.consume(end + 4);
  }
  if (!fault.status) {
    auto length = parser.content_length();
    if (!length || *length <= limits.body_bytes) co_return true;
    fault = {413, "the body is too large"};
  }
  int status = fault.status;
  std::string why = std::move(fault.why);
  co_await Refuse(status, std::move(why));
  co_return false;
}

HttpSession::Awaitable<bool> HttpSession::ReadBody(Parser& parser, const HttpHead& head,
                                                   HttpRequest& request) {
  auto length = parser.content_length();
  bool any = head.chunked || (length && *length > 0);
  if (any && head.expects_continue) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    auto [error, bytes] = co_await asio::async_write(socket_, asio::buffer(kContinue), kHttpUse);
    if (error) co_return false;
  }
  if (head.chunked) co_return co_await ReadChunked(parser, request);
  if (!any) co_return true;
  co_return co_await ReadSized(*length, request);
}

// A body may be slow in its first moments, and no slower than the limit's rate after that.
void HttpSession::SetBodyDeadline(std::chrono::steady_clock::time_point began, size_t received) {
  auto& limits = settings_->limits;
  auto allowed =
      limits.body_grace + static_cast<Micros>(received * 1'000'000 / limits.body_bytes_per_second);
  deadline_ = began + std::chrono::microseconds(allowed);
}

// Straight into one buffer, which is touched piece by piece as the body comes: a client that only
// announces a large body costs little, and a piece that was zeroed is in the cache when it is
// written.
HttpSession::Awaitable<bool> HttpSession::ReadSized(size_t length, HttpRequest& request) {
  constexpr size_t kFirstBytes = 16 << 10, kPieceBytes = 256 << 10;
  auto began = std::chrono::steady_clock::now();
  request.body.reserve(length);
  size_t have = 0;
  while (have < length) {
    if (have == request.body.size()) {
      size_t piece = std::min(length, have + std::clamp(have, kFirstBytes, kPieceBytes));
      if (!body_.Set(piece)) {
        co_await RefuseFull(request);
        co_return false;
      }
      request.body.resize(piece);
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
        co_await socket_.async_read_some(asio::buffer(request.body.data() + have, room), kHttpUse);
    if (error) {
      co_await RefuseSlow();
      co_return false;
    }
    have += bytes;
  }
  co_return true;
}

// What is no body (sizes of chunks, their extensions, trailers) is bounded, in each piece and by
// the body it comes with.
HttpSession::Awaitable<bool> HttpSession::ReadChunked(Parser& parser, HttpRequest& request) {
  constexpr size_t kLineBytes = 8 << 10, kBesideBytes = 64 << 10, kBesidePerByte = 16;
  auto began = std::chrono::steady_clock::now();
  std::string piece(64 << 10, '\0');
  size_t taken = 0;
  HttpFault fault;
  while (!parser.is_done() && !fault.status) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    boost::system::error_code error;
    size_t used = parser.put(buffer_.data(), error);
    buffer_.consume(used);
    taken += used;
    request.body.append(piece.data(), piece.size() - parser.get().body().size);
    size_t beside = taken - request.body.size();
    if (error && error != http::error::need_more && error != http::error::need_buffer) {
      fault = {400, "the chunked body is malformed"};
    } else if (beside > kBesideBytes + kBesidePerByte * request.body.size()) {
      fault = {431, "the chunked body has more chunk headers and trailers than data"};
    } else if (request.body.size() > settings_->limits.body_bytes) {
      fault = {413, "the body is too large"};
    } else if (!body_.Set(request.body.capacity())) {
      co_await RefuseFull(request);
      co_return false;
    } else if (error == http::error::need_more || (used == 0 && !parser.is_done())) {
      auto rest = TextOf(buffer_);  // the beginning of a chunk's header, or of the trailers
      if (FindBareLineFeed(rest) != std::string_view::npos) {
        fault = {400, "the chunked body is malformed"};
      } else if (rest.size() > kLineBytes) {
        fault = {431, "a chunk's header, or the trailers, are too large"};
      }
      SetBodyDeadline(began, request.body.size());
      if (!fault.status && !co_await ReadMore()) {
        co_await RefuseSlow();
        co_return false;
      }
    }
  }
  if (!fault.status) co_return true;
  int status = fault.status;
  std::string why = std::move(fault.why);
  co_await Refuse(status, std::move(why));
  co_return false;
}

}  // namespace weir
