#include "formats/json_value.h"
#include "server/http_errors.h"
#include "server/server.h"

namespace weir {
namespace {

std::string TypeOf(const std::string& path) {
  auto ends = [&](const char* suffix) { return path.ends_with(suffix); };
  if (ends(".html")) return "text/html; charset=utf-8";
  if (ends(".js")) return "text/javascript; charset=utf-8";
  if (ends(".css")) return "text/css; charset=utf-8";
  if (ends(".svg")) return "image/svg+xml";
  if (ends(".woff2")) return "font/woff2";
  if (ends(".json")) return "application/json";
  if (ends(".png")) return "image/png";
  if (ends(".txt")) return "text/plain; charset=utf-8";
  return "application/octet-stream";
}

bool IsPage(const std::string& path) {
  return path == "/" || path == "/sql" || path == "/streams" || path == "/index.html";
}

}  // namespace

void ServePage(const WebAssets& web, HttpExchange& exchange) {
  auto& request = exchange.request;
  if (request.method != "GET" && request.method != "HEAD") {
    throw Error(ErrorCode::kMethodNotAllowed, request.method + " is not allowed here", "GET");
  }
  std::string path = IsPage(request.path) ? "/index.html" : request.path;
  auto asset = web.Find(path);
  int status = 200;
  if (!asset) {
    path = "/index.html";  // the web app says that there is no such page
    asset = web.Find(path);
    status = 404;
  }
  if (!asset) {
    throw Error(ErrorCode::kUnknownRoute, "there is nothing at " + request.path,
                "This program was built without the web app; the API is under /v1.");
  }
  HttpResponse response;
  response.status = status;
  bool gzip =
      !asset->gzip.empty() && request.Header("accept-encoding").find("gzip") != std::string::npos;
  response.body = std::string(gzip ? asset->gzip : asset->bytes);
  response.headers = {
      {"Content-Type", TypeOf(path)},
      {"Cache-Control",
       path.starts_with("/assets/") ? "public, max-age=31536000, immutable" : "no-cache"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' "
       "data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"},
  };
  if (!asset->gzip.empty()) response.headers.emplace_back("Vary", "Accept-Encoding");
  if (gzip) response.headers.emplace_back("Content-Encoding", "gzip");
  exchange.Respond(std::move(response));
}

}  // namespace weir
