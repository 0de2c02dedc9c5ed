// How a session answers: whole answers, and streams that go on.
#include <algorithm>
#include <array>
#include <boost/asio/write.hpp>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "io/net/http_coroutines.h"
#include "io/net/http_exchange.h"

namespace weir {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr Micros kPieceTimeout = 60'000'000;  // a client takes a piece of its answer in this time

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

uint64_t SizeOf(const HttpResponse& response) {
  return response.source ? response.source->Size() : response.body.size();
}

// Adds the next bytes of the pieces after `from`, up to a part; returns how many.
size_t Gather(const std::deque<std::shared_ptr<const std::string>>& pieces, size_t from,
              std::vector<asio::const_buffer>& buffers) {
  constexpr size_t kPartBytes = 256 << 10;
  size_t begin = 0, gathered = 0;
  for (auto& piece : pieces) {
    size_t skipped = from + gathered > begin ? from + gathered - begin : 0;
    begin += piece->size();
    if (skipped >= piece->size()) continue;
    size_t length = std::min(piece->size() - skipped, kPartBytes - gathered);
    buffers.push_back(asio::buffer(piece->data() + skipped, length));
    gathered += length;
    if (gathered == kPartBytes) break;
  }
  return gathered;
}

}  // namespace

// Small answers are never in the way of others, and are not counted.
bool HttpSession::HoldAnswer(const HttpResponse& response) {
  constexpr size_t kSmallBytes = 64 << 10;
  size_t bytes = response.source ? kSmallBytes : response.body.size();
  return bytes <= kSmallBytes || answer_.Set(bytes);
}

HttpSession::Awaitable<bool> HttpSession::Answer(Exchange& exchange, bool keep_alive,
                                                 unsigned version) {
  if (exchange.stream() && head_request_) {
    exchange.stream()->Gone();
    HttpResponse headers{exchange.stream()->status, exchange.stream()->headers, ""};
    SetDeadline(kPieceTimeout);
    co_return co_await Send(headers, keep_alive) && keep_alive;
  }
  if (exchange.stream()) co_return co_await RunStream(*exchange.stream(), version);
  if (!HoldAnswer(*exchange.response())) {
    std::string full = "too many large answers are being read at once";
    exchange.response() = settings_->refusal(429, full);
  }
  co_return co_await Send(*exchange.response(), keep_alive) && keep_alive;
}

HttpSession::Awaitable<bool> HttpSession::Send(const HttpResponse& response, bool keep_alive) {
  constexpr size_t kAtOnce = 64 << 10;
  std::string text = Head(response.status, response.headers);
  bool bodiless = response.status == 204 || response.status == 304;
  if (!bodiless) text += "Content-Length: " + std::to_string(SizeOf(response)) + "\r\n";
  if (!keep_alive) text += "Connection: close\r\n";
  text += "\r\n";
  bool whole = !response.source && response.body.size() <= kAtOnce;
  std::array<asio::const_buffer, 2> buffers = {asio::buffer(text), asio::const_buffer()};
  if (whole && !head_request_ && !bodiless) buffers[1] = asio::buffer(response.body);
  SetDeadline(kPieceTimeout);
  auto [error, bytes] = co_await asio::async_write(socket_, buffers, kHttpUse);
  if (error) co_return false;
  if (whole || head_request_ || bodiless) co_return true;
  co_return co_await SendBody(response);
}

// Piece by piece: a client may take as long as it likes for all of it, not for a piece.
HttpSession::Awaitable<bool> HttpSession::SendBody(const HttpResponse& response) {
  constexpr uint64_t kPieceBytes = 256 << 10;
  uint64_t size = SizeOf(response);
  std::string piece;
  for (uint64_t at = 0; at < size;) {
    auto length = static_cast<size_t>(std::min(kPieceBytes, size - at));
    auto buffer = asio::buffer(response.body.data(), 0);
    if (response.source) {
      piece.resize(length);
      response.source->Read(at, piece);
      buffer = asio::buffer(piece);
    } else {
      buffer = asio::buffer(response.body.data() + at, length);
    }
    SetDeadline(kPieceTimeout);
    auto [error, bytes] = co_await asio::async_write(socket_, buffer, kHttpUse);
    if (error) co_return false;
    at += length;
  }
  co_return true;
}

HttpSession::Awaitable<bool> HttpSession::RunStream(Stream& stream, unsigned version) {
  bool chunked = version >= 11;
  std::string head = Head(stream.status, stream.headers);
  head += chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Connection: close\r\n\r\n";
  SetDeadline(kPieceTimeout);
  auto keep = current_->stream();
  auto [head_error, head_bytes] = co_await asio::async_write(socket_, asio::buffer(head), kHttpUse);
  bool failed = static_cast<bool>(head_error);
  while (!failed && !gone_) {
    auto pieces = stream.Take();
    if (pieces.empty()) {
      if (stream.Finished()) break;
      SetDeadline(3'600'000'000);
      co_await wake_.async_wait(kHttpUse);
      if (!socket_.is_open()) failed = true;
      continue;
    }
    size_t taken = 0, sent = 0;
    for (auto& piece : pieces) taken += piece->size();
    // A client that takes none of a part in time is given up, not one that is slow with all of it.
    while (sent < taken && !failed && !gone_) {
      std::vector<asio::const_buffer> buffers(1);
      size_t payload = Gather(pieces, sent, buffers);
      char size_line[24];
      auto end = std::to_chars(size_line, size_line + 16, payload, 16).ptr;
      *end++ = '\r';
      *end++ = '\n';
      if (chunked) buffers[0] = asio::buffer(size_line, static_cast<size_t>(end - size_line));
      if (chunked) buffers.push_back(asio::buffer("\r\n", 2));
      SetDeadline(kPieceTimeout);
      auto [error, bytes] = co_await asio::async_write(socket_, buffers, kHttpUse);
      failed = static_cast<bool>(error) || stream.aborted();
      sent += payload;
    }
    stream.Taken(taken);
  }
  bool aborted = stream.aborted();
  stream.Gone();
  if (aborted) Reset();
  if (failed || gone_ || aborted || !chunked) co_return false;
  auto [error, bytes] = co_await asio::async_write(socket_, asio::buffer("0\r\n\r\n", 5), kHttpUse);
  co_return !error && !settings_->stopping;
}

}  // namespace weir
