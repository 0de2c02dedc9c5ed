#include "io/net/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "io/net/http_client.h"

namespace weir {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<HttpServer> Serve(HttpLimits limits, HttpHandler handler) {
  auto server =
      HttpServer::Listen("127.0.0.1", 0, limits, std::move(handler), [](int status, auto& message) {
        HttpResponse response;
        response.status = status;
        response.body = message;
        return response;
      });
  server->Start(2);
  return server;
}

void Echo(std::shared_ptr<HttpExchange> exchange) {
  HttpResponse response;
  response.body =
      exchange->request.method + " " + exchange->request.path + " " + exchange->request.body;
  exchange->Respond(std::move(response));
}

std::string UrlOf(HttpServer& server) {
  return "http://127.0.0.1:" + std::to_string(server.port());
}

TEST(HttpServer, ServesManyRequestsOnOneConnection) {
  auto server = Serve({}, Echo);
  HttpClient client(UrlOf(*server));
  for (int i = 0; i < 3; i++) {
    auto answer = client.Request("POST", "/a%20b", {}, "body" + std::to_string(i));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "POST /a b body" + std::to_string(i));
  }
  EXPECT_EQ(server->Connections(), 1u);
  server->Stop();
}

TEST(HttpServer, ABodyBeyondTheLimitIsRefused) {
  HttpLimits limits;
  limits.body_bytes = 10;
  auto server = Serve(limits, Echo);
  HttpClient client(UrlOf(*server));
  EXPECT_EQ(client.Request("POST", "/", {}, "0123456789").status, 200);
  EXPECT_EQ(client.Request("POST", "/", {}, "0123456789a").status, 413);
  server->Stop();
}

TEST(HttpServer, AConnectionTooManyIsToldSo) {
  HttpLimits limits;
  limits.connections = 2;
  limits.client_share = 1;
  auto server = Serve(limits, Echo);
  std::optional<HttpClient> first(UrlOf(*server)), second(UrlOf(*server));
  EXPECT_EQ(first->Request("GET", "/1").status, 200);
  EXPECT_EQ(second->Request("GET", "/2").status, 200);

  HttpClient third(UrlOf(*server));
  EXPECT_EQ(third.Request("GET", "/3").status, 503);
  EXPECT_EQ(second->Request("GET", "/2").status, 200);  // who is in is served as before

  first.reset();
  for (int tries = 0; tries < 100 && server->Connections() > 1; tries++) {
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_EQ(third.Request("GET", "/3").status, 200);
  second.reset();
  server->Stop();
}

// Sends the parts with pauses between them; what comes back.
std::string SendSlowly(HttpServer& server, const std::vector<std::string>& parts,
                       std::chrono::milliseconds pause) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  for (auto& part : parts) {
    if (send(fd, part.data(), part.size(), MSG_NOSIGNAL) < 0) break;
    std::this_thread::sleep_for(pause);
  }
  std::string received;
  char buffer[4096];
  for (ssize_t got; (got = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
    received.append(buffer, static_cast<size_t>(got));
  }
  close(fd);
  return received;
}

TEST(HttpServer, ABodyThatTricklesIsGivenUpAsAWhole) {
  HttpLimits limits;
  limits.body_grace = 1'000'000;
  auto server = Serve(limits, Echo);
  // Each byte comes soon after the last, but all of them together too slowly.
  std::vector<std::string> sized = {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"};
  std::vector<std::string> chunked = {
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"};
  for (int i = 0; i < 30; i++) {
    sized.push_back("x");
    chunked.push_back("1\r\nx\r\n");
  }
  auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(SendSlowly(*server, sized, 100ms).substr(0, 12), "HTTP/1.1 408");
  EXPECT_EQ(SendSlowly(*server, chunked, 100ms).substr(0, 12), "HTTP/1.1 408");
  EXPECT_LT(std::chrono::steady_clock::now() - started, 20s);
  server->Stop();
}

TEST(HttpServer, HeadersThatNeverEndAreToldSo) {
  HttpLimits limits;
  limits.header_timeout = 500'000;
  auto server = Serve(limits, Echo);
  EXPECT_EQ(SendSlowly(*server, {"GET / HTTP/1.1\r\nHost:"}, 0ms).substr(0, 12), "HTTP/1.1 408");
  server->Stop();
}

TEST(HttpServer, BodiesTogetherAreBounded) {
  HttpLimits limits;
  limits.bodies_bytes = 3 << 20;
  limits.client_share = 1;
  auto server = Serve(limits, Echo);
  // What came counts: the first has sent 1.5 MiB, and a second of as much is too much.
  std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n";
  auto first = std::async(std::launch::async, [&] {
    return SendSlowly(*server, {head + std::string(3 << 19, 'x'), "x"}, 500ms);
  });
  std::this_thread::sleep_for(200ms);
  HttpClient third(UrlOf(*server));
  EXPECT_EQ(third.Request("POST", "/", {}, std::string(2 << 20, 'x')).status, 429);
  HttpClient small(UrlOf(*server));
  EXPECT_EQ(small.Request("POST", "/", {}, "small").status, 200);
  server->Stop();
}

TEST(HttpServer, WhatABodyAnnouncesTakesNoRoomFromOthers) {
  HttpLimits limits;
  limits.bodies_bytes = 1 << 20;
  auto server = Serve(limits, Echo);
  std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\nx";
  std::vector<std::future<std::string>> slow;
  for (int i = 0; i < 20; i++) {
    slow.push_back(std::async(std::launch::async, [&] {
      return SendSlowly(*server, {head, ""}, 500ms);
    }));
  }
  std::this_thread::sleep_for(200ms);
  HttpClient other(UrlOf(*server));
  EXPECT_EQ(other.Request("POST", "/", {}, std::string(100 << 10, 'x')).status, 200);
  server->Stop();
}

int Connect(HttpServer& server, uint32_t from) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in own{}, address{};
  own.sin_family = address.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(from);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&own), sizeof(own)), 0);
  address.sin_port = htons(server.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

std::string Ask(int fd, const std::string& bytes) {
  EXPECT_GT(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), 0);
  char buffer[4096];
  auto got = recv(fd, buffer, sizeof(buffer), 0);
  return got <= 0 ? "" : std::string(buffer, static_cast<size_t>(got));
}

TEST(HttpServer, ConnectionsOfOneClientLeaveSomeForOthers) {
  HttpLimits limits;
  limits.connections = 8;
  auto server = Serve(limits, Echo);
  std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  std::vector<int> own;
  for (int i = 0; i < 6; i++) {
    own.push_back(Connect(*server, INADDR_LOOPBACK));
    EXPECT_EQ(Ask(own.back(), get).substr(0, 12), "HTTP/1.1 200");
  }
  own.push_back(Connect(*server, INADDR_LOOPBACK));
  EXPECT_NE(Ask(own.back(), get).find("from your address"), std::string::npos);
  for (int i = 0; i < 2; i++) {  // those that are being refused take nobody's place
    own.push_back(Connect(*server, INADDR_LOOPBACK));
    EXPECT_NE(Ask(own.back(), get).find("from your address"), std::string::npos);
  }
  own.push_back(Connect(*server, INADDR_LOOPBACK + 1));  // 127.0.0.2
  EXPECT_EQ(Ask(own.back(), get).substr(0, 12), "HTTP/1.1 200");
  for (int fd : own) close(fd);
  server->Stop();
}

// What comes back for one request that is sent at once.
std::string Answer(HttpServer& server, const std::string& request) {
  return SendSlowly(server, {request}, 0ms);
}

TEST(HttpServer, AnswersThatClientsDoNotTakeAreBounded) {
  HttpLimits limits;
  limits.answers_bytes = 20 << 20;
  auto server = Serve(limits, [](std::shared_ptr<HttpExchange> exchange) {
    HttpResponse response;
    response.body.assign(8 << 20, 'x');
    exchange->Respond(std::move(response));
  });
  std::string get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  int unread = Connect(*server, INADDR_LOOPBACK);
  EXPECT_EQ(Ask(unread, get).substr(0, 12), "HTTP/1.1 200");
  EXPECT_EQ(Answer(*server, get).substr(0, 12), "HTTP/1.1 429");  // 16 of 15 MiB
  int other = Connect(*server, INADDR_LOOPBACK + 1);
  EXPECT_EQ(Ask(other, get).substr(0, 12), "HTTP/1.1 200");
  close(unread);
  close(other);
  server->Stop();
}

TEST(HttpServer, AStreamThatIsBrokenOffHasNoEnd) {
  std::mutex mutex;
  std::vector<std::thread> breakers;
  auto server = Serve({}, [&](std::shared_ptr<HttpExchange> exchange) {
    auto stream = exchange->Stream(200, {});
    stream->Write(std::make_shared<const std::string>("half"));
    std::lock_guard lock(mutex);
    breakers.emplace_back([stream] {
      std::this_thread::sleep_for(100ms);
      stream->Abort();
    });
  });
  int fd = Connect(*server, INADDR_LOOPBACK);
  std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n", received;
  send(fd, get.data(), get.size(), MSG_NOSIGNAL);
  char buffer[4096];
  ssize_t got;
  while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
    received.append(buffer, static_cast<size_t>(got));
  }
  EXPECT_EQ(got, -1);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_EQ(received.find("0\r\n\r\n"), std::string::npos) << received;
  close(fd);
  HttpClient client(UrlOf(*server));
  EXPECT_THROW(client.Request("GET", "/"), Error);
  {
    std::lock_guard lock(mutex);
    for (auto& breaker : breakers) breaker.join();
  }
  server->Stop();
}

TEST(HttpServer, AnAnswerComesFromItsSourcePieceByPiece) {
  class Numbers : public HttpBody {
   public:
    uint64_t Size() const override { return 1'000'000; }
    void Read(uint64_t position, std::span<char> room) override {
      if (position > 600'000) throw Error(ErrorCode::kUnavailable, "the disk is gone");
      for (size_t i = 0; i < room.size(); i++) {
        room[i] = static_cast<char>('0' + (position + i) % 10);
      }
    }
  };
  auto server = Serve({}, [](std::shared_ptr<HttpExchange> exchange) {
    HttpResponse response;
    response.source = std::make_shared<Numbers>();
    exchange->Respond(std::move(response));
  });
  auto answer = Answer(*server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(answer.find("Content-Length: 1000000\r\n"), std::string::npos);
  auto body = answer.substr(answer.find("\r\n\r\n") + 4);
  EXPECT_LT(body.size(), 1'000'000u);  // broken off where it cannot be read
  for (size_t i = 0; i < body.size(); i++) ASSERT_EQ(body[i], static_cast<char>('0' + i % 10));
  server->Stop();
}

TEST(HttpServer, AHandlerHearsThatItsClientHasGone) {
  std::promise<void> gone;
  auto server = Serve({}, [&](std::shared_ptr<HttpExchange> exchange) {
    exchange->OnGone([&gone] { gone.set_value(); });
    std::thread([exchange] {
      std::this_thread::sleep_for(2s);
      exchange->Respond({});
    }).detach();
  });
  int fd = Connect(*server, INADDR_LOOPBACK);
  std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  send(fd, get.data(), get.size(), MSG_NOSIGNAL);
  std::this_thread::sleep_for(100ms);
  auto told = gone.get_future();
  EXPECT_EQ(told.wait_for(0ms), std::future_status::timeout);
  close(fd);
  EXPECT_EQ(told.wait_for(1s), std::future_status::ready);
  server->Stop();
}

TEST(HttpServer, ManyRequestsOneAfterTheOtherAreAllAnswered) {
  auto server = Serve({}, [](std::shared_ptr<HttpExchange> exchange) {
    std::thread([exchange] { Echo(exchange); }).detach();
  });
  std::vector<std::future<size_t>> clients;
  for (int i = 0; i < 4; i++) {
    clients.push_back(std::async(std::launch::async, [&] {
      int fd = Connect(*server, INADDR_LOOPBACK);
      timeval patience{5, 0};
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
      int at_once = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
      size_t answered = 0;
      for (int k = 0; k < 500; k++) {  // the body in a packet of its own
        send(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n", 47, MSG_NOSIGNAL);
        if (!Ask(fd, "body").starts_with("HTTP/1.1 200")) break;
        answered++;
      }
      close(fd);
      return answered;
    }));
  }
  for (auto& client : clients) EXPECT_EQ(client.get(), 500u);
  server->Stop();
}

TEST(HttpServer, WhatReadersCouldTakeDifferentlyIsRefused) {
  auto server = Serve({}, Echo);
  auto status = [&](const std::string& request) { return Answer(*server, request).substr(9, 3); };
  auto get = [&](const std::string& target, const std::string& headers) {
    return status("GET " + target + " HTTP/1.1\r\n" + headers + "Connection: close\r\n\r\n");
  };
  EXPECT_EQ(get("/", "Host: x\r\n"), "200");
  EXPECT_EQ(get("/", "Host: x\r\nA: b\r\n c\r\n"), "400");  // a folded line
  EXPECT_EQ(get("/", ""), "400");
  for (auto host : {"", "user@x", "x/y", "x, y", "x y", ":80", "x:1a", "x:123456", "[::1", "x#y"}) {
    EXPECT_EQ(get("/", std::string("Host: ") + host + "\r\n"), "400") << host;
  }
  for (auto host : {"x", "x:80", "a-b.c_d", "127.0.0.1:7070", "[::1]:7070", "[::1]"}) {
    EXPECT_EQ(get("/", std::string("Host: ") + host + "\r\n"), "200") << host;
  }
  for (auto target : {"/\xc3\xa4", "/%c0%af", "/%ed%a0%80", "/%f5%80%80%80", "/%ff", "x", "/%0"}) {
    EXPECT_EQ(get(target, "Host: x\r\n"), "400") << target;
  }
  EXPECT_EQ(get("/%c3%a4", "Host: x\r\n"), "200");
  EXPECT_EQ(get("http://y:1/a", "Host: x\r\n"), "200");  // the absolute form
  EXPECT_EQ(get("http://u@y/a", "Host: x\r\n"), "400");
  EXPECT_EQ(status("\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "200");
  EXPECT_EQ(status("GET / HTTP/1.1\nHost: x\n\n"), "400");
  EXPECT_EQ(status("OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "200");
  auto post = [&](const std::string& headers, const std::string& body) {
    return status("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "\r\n" + body);
  };
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\n\r\n"), "200");
  EXPECT_EQ(post("Transfer-Encoding: CHUNKED\r\n", "1\r\nx\r\n0\r\n\r\n"), "200");
  EXPECT_EQ(post("Transfer-Encoding: chunked, gzip\r\n", "1\r\nx\r\n0\r\n\r\n"), "400");
  EXPECT_EQ(post("Transfer-Encoding: gzip, chunked\r\n", "1\r\nx\r\n0\r\n\r\n"), "501");
  EXPECT_EQ(post("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\na: b\n\r\n"), "400");
  EXPECT_EQ(post("Expect: 200-ok\r\n", ""), "417");
}

TEST(HttpServer, InterimAnswersAreForThoseWhoKnowThem) {
  auto server = Serve({}, Echo);
  auto expect = [&](const std::string& version) {
    return SendSlowly(*server,
                      {"POST / HTTP/" + version +
                           "\r\nHost: x\r\nConnection: close\r\nExpect: 100-Continue\r\n"
                           "Content-Length: 1\r\n\r\n",
                       "x"},
                      100ms)
        .substr(0, 12);
  };
  EXPECT_EQ(expect("1.1"), "HTTP/1.1 100");
  EXPECT_EQ(expect("1.0"), "HTTP/1.1 200");
  server->Stop();
}

TEST(HttpServer, TheAnswerToHeadNeverHasABody) {
  auto server = Serve({}, Echo);
  auto answer =
      Answer(*server, "HEAD /" + std::string(20'000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 414");
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
  server->Stop();
}

TEST(HttpServer, WhatIsNoBodyInAChunkedOneIsBounded) {
  auto server = Serve({}, Echo);
  std::string head =
      "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string extension = "1;a=" + std::string(4000, 'b') + "\r\nx\r\n";
  std::vector<std::string> extensions = {head}, trailers = {head, "1\r\nx\r\n0\r\n"};
  for (int i = 0; i < 100; i++) extensions.push_back(extension);
  for (int i = 0; i < 1000; i++) trailers.push_back("a: " + std::string(100, 'b') + "\r\n");
  auto together = [](const std::vector<std::string>& parts) {
    std::string all;
    for (auto& part : parts) all += part;
    return all;
  };
  EXPECT_EQ(Answer(*server, together(extensions)).substr(0, 12), "HTTP/1.1 431");
  EXPECT_EQ(Answer(*server, together(trailers)).substr(0, 12), "HTTP/1.1 431");
  std::string small = head;
  for (int i = 0; i < 20'000; i++) small += "1\r\nx\r\n";  // as small as chunks can be
  EXPECT_EQ(Answer(*server, small + "0\r\n\r\n").substr(0, 12), "HTTP/1.1 200");
  server->Stop();
}

TEST(HttpServer, HeadOfAStreamHasNoBody) {
  auto server = Serve({}, [](std::shared_ptr<HttpExchange> exchange) {
    exchange->Stream(200, {{"Content-Type", "text/event-stream"}});
  });
  auto answer =
      SendSlowly(*server, {"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"}, 0ms);
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 200");
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
  server->Stop();
}

}  // namespace
}  // namespace weir
