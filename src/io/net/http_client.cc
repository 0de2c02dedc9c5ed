#include "io/net/http_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/error.h"

namespace weir {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

struct HttpClient::Connection {
  asio::io_context context;
  tcp::socket socket{context};
  boost::beast::flat_buffer buffer;
};

HttpClient::HttpClient(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) {
    throw Error(ErrorCode::kInvalidRequest, "\"" + url + "\" is no URL of a Weir",
                "Write http://HOST:PORT, for example http://127.0.0.1:7070.");
  }
  std::string rest = url.substr(kScheme.size());
  rest = rest.substr(0, rest.find('/'));
  auto colon = rest.rfind(':');
  host_ = rest.substr(0, colon);
  port_ = colon == std::string::npos ? "80" : rest.substr(colon + 1);
}

HttpClient::~HttpClient() = default;

boost::system::error_code HttpClient::Send(
    const std::string& method, const std::string& target,
    const std::vector<std::pair<std::string, std::string>>& headers, std::string_view body) {
  if (!connection_) {
    connection_ = std::make_unique<Connection>();
    tcp::resolver resolver(connection_->context);
    asio::connect(connection_->socket, resolver.resolve(host_, port_));
    connection_->socket.set_option(tcp::no_delay(true));
  }
  std::string head = method + " " + target + " HTTP/1.1\r\nHost: " + host_ + ":" + port_ +
                     "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  for (auto& [name, value] : headers) head += name + ": " + value + "\r\n";
  head += "\r\n";
  std::array<asio::const_buffer, 2> buffers = {asio::buffer(head),
                                               asio::buffer(body.data(), body.size())};
  boost::system::error_code write_error;
  asio::write(connection_->socket, buffers, write_error);  // an early refusal may answer before
  return write_error;
}

void HttpClient::Fail(const boost::system::system_error& error) {
  connection_.reset();
  throw Error(ErrorCode::kUnavailable,
              "cannot reach Weir at http://" + host_ + ":" + port_ + ": " + error.code().message(),
              "Is `weir serve` running there?  Say where with --url.");
}

std::string HttpAnswer::Header(std::string_view name) const {
  for (auto& [key, value] : headers) {
    if (boost::beast::iequals(key, name)) return value;
  }
  return "";
}

HttpAnswer HttpClient::Request(const std::string& method, const std::string& target,
                               const std::vector<std::pair<std::string, std::string>>& headers,
                               std::string_view body) {
  bool answered = false;
  try {
    auto write_error = Send(method, target, headers, body);
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    if (method == "HEAD") parser.skip(true);
    http::read_header(connection_->socket, connection_->buffer, parser);
    answered = true;
    http::read(connection_->socket, connection_->buffer, parser);
    auto& response = parser.get();
    HttpAnswer answer;
    answer.status = static_cast<int>(response.result_int());
    answer.body = std::move(response.body());
    answer.retry_after = std::string(response["Retry-After"]);
    for (auto& field : response.base()) {
      answer.headers.emplace_back(field.name_string(), field.value());
    }
    if (!parser.keep_alive() || write_error) connection_.reset();
    return answer;
  } catch (const boost::system::system_error& error) {
    if (answered) BrokenOff();
    Fail(error);
  }
}

void HttpClient::BrokenOff() {
  connection_.reset();
  throw Error(ErrorCode::kUnavailable, "the answer broke off before its end",
              "Weir failed or stopped meanwhile, or the connection was lost.");
}

HttpAnswer HttpClient::Follow(const std::string& method, const std::string& target,
                              const std::vector<std::pair<std::string, std::string>>& headers,
                              std::string_view body,
                              const std::function<bool(std::string_view)>& piece) {
  try {
    Send(method, target, headers, body);
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    http::read_header(connection_->socket, connection_->buffer, parser);
    HttpAnswer answer;
    answer.status = static_cast<int>(parser.get().result_int());
    std::array<char, 64 << 10> room;
    bool go_on = true;
    while (go_on && !parser.is_done()) {
      parser.get().body().data = room.data();
      parser.get().body().size = room.size();
      boost::system::error_code error;
      http::read_some(connection_->socket, connection_->buffer, parser, error);
      std::string_view got(room.data(), room.size() - parser.get().body().size);
      if (answer.status != 200) {
        answer.body += got;
      } else if (!got.empty()) {
        go_on = piece(got);
      }
      if (error && error != http::error::need_buffer) BrokenOff();
    }
    connection_.reset();
    return answer;
  } catch (const boost::system::system_error& error) {
    Fail(error);
  }
}

}  // namespace weir
