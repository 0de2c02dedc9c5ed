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
  std::string json = "{\"error\":{\"code\":" + QuoteJson(ToString(error.code)) +
                     ",\"message\":" + QuoteJson(error.message);
  json += ",\"hint\":" + QuoteJson(error.hint) + "}}";
  return json;
}

HttpResponse JsonResponse(std::string body, int status) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

HttpResponse ErrorResponse(const Error& error) {
  auto response = JsonResponse(ErrorJson(error), HttpStatusOf(error.code));
  if (error.code == ErrorCode::kTooManyRequests || error.code == ErrorCode::kUnavailable) {
    response.headers.emplace_back("Retry-After", "1");
  }
  return response;
}

HttpResponse RefusalResponse(int status, const std::string& message) {
  auto code = status == 408   ? ErrorCode::kTimeout
              : status == 413 ? ErrorCode::kTooLarge
                              : ErrorCode::kInvalidRequest;
  return JsonResponse(ErrorJson(Error(code, message)), status);
}

}  // namespace weir
