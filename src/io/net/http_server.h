// HTTP/1.1 over TCP: connections, framing, limits and time-outs; what a request means is the
// handler's affair.
//
// A handler gets an Exchange on one of the server's threads and answers it there or later, from any
// thread, once: with a whole response, or with a stream that it writes to for as long as the client
// listens.  Owned by main.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace weir {

struct HttpLimits {
  size_t header_bytes = 32 << 10;
  size_t target_bytes = 8 << 10;
  size_t body_bytes = 64 << 20;
  size_t bodies_bytes = 1 << 30;     // of all bodies that are held at once
  size_t answers_bytes = 512 << 20;  // of all answers that clients have yet to take
  size_t connections = 4096;         // more are told so
  // What one client's address may have of each of the three, so that there is something left for
  // others; a proxy is one client.
  double client_share = 0.75;
  Micros header_timeout = 10'000'000;     // from the first byte of a request to its last header
  Micros idle_timeout = 75'000'000;       // between requests
  Micros body_grace = 10'000'000;         // a body may take this long, and its size at
  uint64_t body_bytes_per_second = 1024;  // this rate
};

struct HttpRequest {
  std::string method;
  std::string client;                                      // the address it came from
  std::string path;                                        // decoded, without the query
  std::vector<std::string> segments;                       // of the path, each decoded by itself
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::map<std::string, std::string> headers;              // names in lower case
  std::string body;

  std::string Header(const std::string& lower_name) const {
    auto found = headers.find(lower_name);
    return found == headers.end() ? "" : found->second;
  }
  // The value of a query parameter, or nothing.
  const std::string* Parameter(std::string_view name) const {
    for (auto& [key, value] : query) {
      if (key == name) return &value;
    }
    return nullptr;
  }
};

// The bytes of an answer that is not held in memory.  Read by one thread at a time.
class HttpBody {
 public:
  virtual ~HttpBody() = default;
  virtual uint64_t Size() const = 0;
  // Fills the room; what it throws breaks the answer off, so that its client sees that.
  virtual void Read(uint64_t position, std::span<char> room) = 0;
};

struct HttpResponse {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::shared_ptr<HttpBody> source = nullptr;  // in place of `body`
};

// Bytes to one client, one after the other.  Thread-safe.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  // Queues bytes; shared, so that a thousand readers of one change share one copy.
  virtual void Write(std::shared_ptr<const std::string> bytes) = 0;
  virtual void Close() = 0;  // after what is queued
  // Breaks the answer off: no last chunk, and the connection is reset.
  virtual void Abort() { Close(); }
  virtual size_t Pending() const = 0;  // bytes queued and not yet taken by the system
  virtual bool Closed() const = 0;     // the client has gone, or Close was called
  // Called on a server thread each time everything queued was taken, and when the client goes.
  virtual void OnDrained(std::function<void()> callback) = 0;
};

class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  HttpRequest request;

  virtual void Respond(HttpResponse response) = 0;
  // Chunked unless the client is HTTP/1.0.
  virtual std::shared_ptr<HttpStream> Stream(
      int status, std::vector<std::pair<std::string, std::string>> headers) = 0;
  // Called once, on a server thread, when the client goes before it is answered.
  virtual void OnGone(std::function<void()> callback) = 0;
  // Runs `work` on a server thread, from where it may answer: for who must not make answers where
  // he stands.  What it throws breaks the connection off.  Nothing is run for a client who has
  // gone.
  virtual void Post(std::function<void()> work) = 0;
};
using HttpHandler = std::function<void(std::shared_ptr<HttpExchange>)>;

// A request the transport itself refuses (malformed, too large, too slow, one connection too many):
// makes the answer.
using HttpRefusal = std::function<HttpResponse(int status, const std::string& message)>;

class HttpServer {
 public:
  // Binds at once; throws Error(kUnavailable) when the address cannot be had.
  static std::unique_ptr<HttpServer> Listen(const std::string& host, uint16_t port,
                                            HttpLimits limits, HttpHandler handler,
                                            HttpRefusal refusal);
  virtual ~HttpServer() = default;
  virtual uint16_t port() const = 0;
  virtual void Start(size_t threads) = 0;
  // Takes no new connections and no new requests; what runs goes on.
  virtual void StopAccepting() = 0;
  // Takes no new requests, lets running ones finish (bounded), closes streams, ends the threads.
  virtual void Stop() = 0;
  virtual size_t Connections() const = 0;
};

// Lets this process have as many open files as the system allows it; returns how many.
size_t RaiseOpenFiles();

}  // namespace weir
