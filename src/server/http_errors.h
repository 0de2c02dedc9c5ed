// The one table from an error's code to HTTP, and errors as responses.
#pragma once

#include "base/error.h"
#include "io/net/http_server.h"

namespace weir {

int HttpStatusOf(ErrorCode code);
// {"error": {"code": ..., "message": ..., "hint": ...}}
std::string ErrorJson(const Error& error);
HttpResponse ErrorResponse(const Error& error);
// For what the transport refuses by itself.
HttpResponse RefusalResponse(int status, const std::string& message);
HttpResponse JsonResponse(std::string body, int status = 200);

}  // namespace weir
