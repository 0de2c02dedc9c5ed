#include "io/http_server.h"

#include <gtest/gtest.h>

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

TEST(HttpServer, ConnectionsBeyondTheLimitWaitAndLoseNothing) {
  HttpLimits limits;
  limits.connections = 2;
  auto server = Serve(limits, Echo);
  std::optional<HttpClient> first(UrlOf(*server)), second(UrlOf(*server));
  EXPECT_EQ(first->Request("GET", "/1").status, 200);
  EXPECT_EQ(second->Request("GET", "/2").status, 200);

  auto third = std::async(std::launch::async, [&] {
    HttpClient client(UrlOf(*server));
    return client.Request("GET", "/3").body;
  });
  EXPECT_EQ(third.wait_for(300ms), std::future_status::timeout);
  EXPECT_LE(server->Connections(), 2u);
  EXPECT_EQ(second->Request("GET", "/2").status, 200);  // who is in is served as before

  first.reset();
  ASSERT_EQ(third.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(third.get(), "GET /3 ");
  second.reset();
  server->Stop();
}

}  // namespace
}  // namespace weir
