// A blocking HTTP/1.1 client for the command line and the benchmarks: one connection, kept open,
// one request at a time.  Not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/system/system_error.hpp>

namespace weir {

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::string retry_after;
  std::vector<std::pair<std::string, std::string>> headers = {};  // as they were sent

  // The value of a header, whatever its case; "" when there is none.
  std::string Header(std::string_view name) const;
};

class HttpClient {
 public:
  // "http://HOST:PORT"; throws Error(kInvalidRequest) for anything else.
  explicit HttpClient(const std::string& url);
  ~HttpClient();

  // Connects when there is no connection.  Throws Error(kUnavailable) when the server cannot be
  // reached or the connection breaks; the next request connects again.
  HttpAnswer Request(const std::string& method, const std::string& target,
                     const std::vector<std::pair<std::string, std::string>>& headers = {},
                     std::string_view body = {});

  // A request whose answer may never end: `piece` gets the body of a 200 as it comes, and ends it
  // by returning false.  Any other answer is returned whole.
  HttpAnswer Follow(const std::string& method, const std::string& target,
                    const std::vector<std::pair<std::string, std::string>>& headers,
                    std::string_view body, const std::function<bool(std::string_view)>& piece);

 private:
  boost::system::error_code Send(const std::string& method, const std::string& target,
                                 const std::vector<std::pair<std::string, std::string>>& headers,
                                 std::string_view body);
  [[noreturn]] void Fail(const boost::system::system_error& error);
  [[noreturn]] void BrokenOff();  // in the middle of an answer

  struct Connection;
  std::string host_, port_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace weir
