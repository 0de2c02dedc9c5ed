#include "server/origin.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace weir {
namespace {

using Headers = std::map<std::string, std::string>;

bool Passes(const OriginRules& rules, const std::string& method, const std::string& path,
            const Headers& headers, bool works = false) {
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.headers = headers;
  try {
    rules.Check(request, works);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kForbidden);
    EXPECT_FALSE(error.hint.empty());
    return false;
  }
}

TEST(OriginRules, ANameThatOthersCanOwnIsOursOnlyWhenWeAreTold) {
  OriginRules rules({});
  for (auto host : {"127.0.0.1:7070", "[::1]:7070", "10.0.0.7", "localhost:7070", "weir", "weir:80",
                    "a.localhost", "box.local", "weir.prod.internal", "LOCALHOST"}) {
    EXPECT_TRUE(Passes(rules, "GET", "/", {{"host", host}})) << host;
  }
  // After DNS rebinding a page is of the same origin as the server it reaches.
  for (auto host : {"evil.com", "evil.com:7070", "localhost.evil.com", "127.0.0.1.evil.com",
                    "evil.com.", "local.com"}) {
    EXPECT_FALSE(Passes(rules, "GET", "/v1/catalog", {{"host", host}})) << host;
    EXPECT_FALSE(Passes(rules, "POST", "/v1/sql",
                        {{"host", host}, {"origin", std::string("http://") + host}}))
        << host;
  }
  EXPECT_TRUE(Passes(rules, "GET", "/healthz", {{"host", "lb.example.com"}}));
  OriginRules told(OriginRules::ReadHosts("Weir.Example.com, other.example:8080"));
  EXPECT_TRUE(Passes(told, "GET", "/", {{"host", "weir.example.com"}}));
  EXPECT_TRUE(Passes(told, "GET", "/", {{"host", "weir.example.com:7070"}}));
  EXPECT_TRUE(Passes(told, "GET", "/", {{"host", "other.example:8080"}}));
  EXPECT_FALSE(Passes(told, "GET", "/", {{"host", "other.example:8081"}}));
  EXPECT_FALSE(Passes(told, "GET", "/", {{"host", "x.weir.example.com"}}));
}

TEST(OriginRules, PagesOfOthersChangeNothing) {
  OriginRules rules(OriginRules::ReadHosts("weir.example.com"));
  auto post = [&](Headers headers) {
    headers.emplace("host", "127.0.0.1:7070");
    return Passes(rules, "POST", "/v1/sql", headers);
  };
  EXPECT_TRUE(post({}));  // no browser
  EXPECT_TRUE(post({{"origin", "http://127.0.0.1:7070"}}));
  EXPECT_TRUE(post({{"origin", "https://weir.example.com"}}));  // by a proxy that says its own Host
  EXPECT_FALSE(post({{"origin", "http://127.0.0.1:8080"}}));
  EXPECT_FALSE(post({{"origin", "https://evil.com"}}));
  EXPECT_FALSE(post({{"origin", "null"}}));
  EXPECT_FALSE(post({{"origin", "127.0.0.1:7070"}}));
  EXPECT_FALSE(post({{"sec-fetch-site", "cross-site"}}));
  EXPECT_FALSE(post({{"sec-fetch-site", "same-site"}}));
  EXPECT_TRUE(post({{"sec-fetch-site", "same-origin"}, {"user-agent", "Mozilla/5.0"}}));
  EXPECT_TRUE(post({{"user-agent", "Mozilla/5.0 PowerShell/7"}}));  // browsers send an Origin
}

TEST(OriginRules, APictureOfAnotherPageRunsNothing) {
  OriginRules rules({});
  auto get = [&](const std::string& path, Headers headers, bool works) {
    headers.emplace("host", "10.0.0.7:7070");
    return Passes(rules, "GET", path, headers, works);
  };
  Headers image = {{"user-agent", "Mozilla/5.0"},
                   {"sec-fetch-site", "cross-site"},
                   {"sec-fetch-mode", "no-cors"},
                   {"sec-fetch-dest", "image"}};
  EXPECT_FALSE(get("/v1/subscribe", image, true));
  EXPECT_FALSE(get("/v1/views/v", image, false));
  EXPECT_TRUE(get("/", image, false));
  EXPECT_FALSE(get("/v1/subscribe", {{"user-agent", "Mozilla/5.0"}}, true));  // plain HTTP
  EXPECT_TRUE(get("/v1/subscribe", {{"user-agent", "curl/8"}}, true));
  EXPECT_TRUE(get("/v1/views/v", {{"user-agent", "Mozilla/5.0"}}, false));
  EXPECT_FALSE(get("/v1/views/v", {{"origin", "https://evil.com"}}, false));
  Headers link = {{"user-agent", "Mozilla/5.0"},
                  {"sec-fetch-site", "cross-site"},
                  {"sec-fetch-mode", "navigate"},
                  {"sec-fetch-dest", "document"}};
  EXPECT_TRUE(get("/v1/views/v", link, false));
  EXPECT_FALSE(get("/v1/subscribe", link, true));
}

TEST(OriginRules, ASettingThatIsNoHostIsRefused) {
  EXPECT_THROW(OriginRules::ReadHosts("https://weir.example.com"), Error);
  EXPECT_THROW(OriginRules::ReadHosts("a,,b"), Error);
  EXPECT_EQ(OriginRules::ReadHosts("a").size(), 1u);
}

}  // namespace
}  // namespace weir
