#include "server/router.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/text.h"
#include "server/http_errors.h"

namespace weir {
namespace {

class FakeExchange : public HttpExchange {
 public:
  void Respond(HttpResponse response) override { answer = std::move(response); }
  std::shared_ptr<HttpStream> Stream(int,
                                     std::vector<std::pair<std::string, std::string>>) override {
    return nullptr;
  }
  void OnGone(std::function<void()>) override {}
  void Post(std::function<void()> work) override { work(); }
  HttpResponse answer;
};

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    Add("GET", "/v1/things");
    Add("GET", "/v1/things/{name}");
    Add("DELETE", "/v1/things/{name}");
    Add("POST", "/v1/things/{name}/parts/{part}");
  }

  void Add(const std::string& method, const std::string& pattern) {
    Route route;
    route.method = method;
    route.pattern = pattern;
    route.summary = "says \"what\" it is";
    route.query = {{"limit", "how many"}};
    route.handle = [this, method, pattern](ExchangePtr, const PathParts& parts) {
      called = method + " " + pattern;
      for (auto& part : parts) called += " " + part;
    };
    router.Add(std::move(route));
  }

  bool Ask(const std::string& method, const std::string& path) {
    auto exchange = std::make_shared<FakeExchange>();
    exchange->request.method = method;
    exchange->request.path = path;
    for (auto& segment : Split(path, '/')) exchange->request.segments.push_back(segment);
    called.clear();
    std::string pattern;
    return router.Dispatch(exchange, &pattern);
  }

  Error Refusal(const std::string& method, const std::string& path) {
    try {
      Ask(method, path);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorCode::kInternal, "not refused");
  }

  Router router;
  std::string called;
};

TEST_F(RouterTest, APathFindsItsRouteAndItsParts) {
  EXPECT_TRUE(Ask("GET", "/v1/things"));
  EXPECT_EQ(called, "GET /v1/things");
  EXPECT_TRUE(Ask("DELETE", "/v1/things/a b"));
  EXPECT_EQ(called, "DELETE /v1/things/{name} a b");
  EXPECT_TRUE(Ask("POST", "/v1/things/x/parts/y"));
  EXPECT_EQ(called, "POST /v1/things/{name}/parts/{part} x y");
  EXPECT_TRUE(Ask("HEAD", "/v1/things"));  // answered as GET is; the body is left out later
}

TEST_F(RouterTest, AWrongMethodLearnsTheRightOnes) {
  auto error = Refusal("PUT", "/v1/things/x");
  EXPECT_EQ(error.code, ErrorCode::kMethodNotAllowed);
  EXPECT_EQ(error.hint, "GET, DELETE");
}

TEST_F(RouterTest, AnUnknownPathIsAnErrorInTheApiAndNobodysOutsideIt) {
  EXPECT_EQ(Refusal("GET", "/v1/thing").code, ErrorCode::kUnknownRoute);
  EXPECT_EQ(Refusal("GET", "/v1/things/x/y").code, ErrorCode::kUnknownRoute);
  EXPECT_EQ(Refusal("GET", "/v1/things//parts/y").code, ErrorCode::kUnknownRoute);
  EXPECT_FALSE(Ask("GET", "/views/v"));  // a page
}

TEST_F(RouterTest, TheDescriptionNamesEveryRoute) {
  std::string text = router.OpenApi();
  for (auto& route : router.routes()) {
    EXPECT_NE(text.find("\"" + route.pattern + "\":{"), std::string::npos) << route.pattern;
  }
  EXPECT_NE(text.find("\"delete\":{"), std::string::npos);
  EXPECT_NE(text.find("says \\\"what\\\" it is"), std::string::npos);
}

TEST(HttpErrors, EveryErrorSaysWhatAndWhatToDo) {
  auto response = ErrorResponse(Error(ErrorCode::kUnknownStream, "no \"x\"", "Did you mean y?"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body,
            R"({"error":{"code":"unknown_stream","message":"no \"x\"","hint":"Did you mean y?"}})");
}

TEST(HttpErrors, AMessageThatQuotesBadBytesIsStillJson) {
  auto response = ErrorResponse(Error(ErrorCode::kInvalidData, "no \"\xff\"", "\xc3("));
  EXPECT_NE(response.body.find("no \\\"\xef\xbf\xbd\\\""), std::string::npos) << response.body;
  EXPECT_EQ(response.body.find('\xff'), std::string::npos);
}

TEST(HttpErrors, WhatTheTransportRefusesSaysWhatToDo) {
  for (int status : {400, 408, 413, 414, 429, 431, 503}) {
    auto response = RefusalResponse(status, "so it is");
    EXPECT_EQ(response.status, status);
    EXPECT_NE(response.body.find("\"message\":\"so it is\""), std::string::npos);
    bool told = false;
    for (auto& [name, value] : response.headers) told |= name == "Retry-After";
    EXPECT_EQ(told, status == 429 || status == 503);
  }
}

TEST(HttpErrors, WhoCameTooEarlyIsToldWhenToComeBack) {
  auto response = ErrorResponse(Error(ErrorCode::kTooManyRequests, "the views are behind"));
  EXPECT_EQ(response.status, 429);
  bool told = false;
  for (auto& [name, value] : response.headers) told |= name == "Retry-After" && !value.empty();
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace weir
