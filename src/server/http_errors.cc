#include "server/http_errors.h"

#include "formats/json_value.h"

namespace weir {

int HttpStatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidRequest:
    case ErrorCode::kInvalidSql:
    case ErrorCode::kInvalidData:
    case ErrorCode::kTooDeep: return 400;
    case ErrorCode::kForbidden: return 403;
    case ErrorCode::kUnknownStream:
    case ErrorCode::kUnknownView:
    case ErrorCode::kUnknownRoute: return 404;
    case ErrorCode::kMethodNotAllowed: return 405;
    case ErrorCode::kTimeout: return 408;
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kInUse:
    case ErrorCode::kConflict: return 409;
    case ErrorCode::kTooLarge: return 413;
    case ErrorCode::kUnsupportedMediaType: return 415;
    case ErrorCode::kQueryFailed:
    case ErrorCode::kLimitExceeded: return 422;
    case ErrorCode::kTooManyRequests: return 429;
    case ErrorCode::kUnavailable: return 503;
    case ErrorCode::kCorruption:
    case ErrorCode::kInternal: return 500;
  }
  return 500;
}

std::string ErrorJson(const Error& error) {
  // A message may quote what somebody sent.
  return "{\"error\":{\"code\":" + QuoteJson(ToString(error.code)) +
         ",\"message\":" + QuoteJson(ValidUtf8(error.message)) +
         ",\"hint\":" + QuoteJson(ValidUtf8(error.hint)) + "}}";
}

HttpResponse JsonResponse(std::string body, int status) {
  return {status,
          {{"Content-Type", "application/json"},
           {"X-Content-Type-Options", "nosniff"},
           {"Cross-Origin-Resource-Policy", "same-origin"}},
          std::move(body)};
}

HttpResponse ErrorResponse(const Error& error) {
  auto response = JsonResponse(ErrorJson(error), HttpStatusOf(error.code));
  if (error.code == ErrorCode::kTooManyRequests || error.code == ErrorCode::kUnavailable) {
    response.headers.emplace_back("Retry-After", "1");
  }
  return response;
}

HttpResponse RefusalResponse(int status, const std::string& message) {
  auto refuse = [&](ErrorCode code, const char* hint) {
    auto response = ErrorResponse(Error(code, message, hint));
    response.status = status;
    return response;
  };
  switch (status) {
    case 408: return refuse(ErrorCode::kTimeout, "Send a request without long pauses.");
    case 413: return refuse(ErrorCode::kTooLarge, "Send the events in several requests.");
    case 414: return refuse(ErrorCode::kTooLarge, "A URL has at most 8 KiB.");
    case 417: return refuse(ErrorCode::kInvalidRequest, "Only Expect: 100-continue is known.");
    case 501:
      return refuse(ErrorCode::kInvalidRequest, "Only Transfer-Encoding: chunked is known.");
    case 431: return refuse(ErrorCode::kTooLarge, "All headers together have at most 32 KiB.");
    case 429: return refuse(ErrorCode::kTooManyRequests, "Try again in a moment.");
    case 503:
      return refuse(ErrorCode::kUnavailable,
                    "Try again in a moment, and use one connection for many requests.");
    default: return refuse(ErrorCode::kInvalidRequest, "");
  }
}

}  // namespace weir
