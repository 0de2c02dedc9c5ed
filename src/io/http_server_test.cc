#include "io/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "io/http_client.h"

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
  auto server = Serve(limits, Echo);
  // Two that announce much and send little hold a first piece each; a third of 2 MiB is too much.
  std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n";
  auto hold = [&] { return SendSlowly(*server, {head, "x"}, 500ms); };
  auto first = std::async(std::launch::async, hold), second = std::async(std::launch::async, hold);
  std::this_thread::sleep_for(200ms);
  HttpClient third(UrlOf(*server));
  EXPECT_EQ(third.Request("POST", "/", {}, std::string(2 << 20, 'x')).status, 429);
  HttpClient small(UrlOf(*server));
  EXPECT_EQ(small.Request("POST", "/", {}, "small").status, 200);
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
