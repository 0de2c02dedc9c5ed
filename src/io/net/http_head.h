// What a request's head says, strictly as RFC 9112 has it: where two readers could disagree about a
// request it is refused.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/net/http_server.h"

namespace weir {

// Why a request is not taken; status 0: it is.
struct HttpFault {
  int status = 0;
  std::string why;
};

// The library's reading of a head.
struct HttpFields {
  std::string_view method, target;
  unsigned version = 11;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
};

struct HttpHead {
  HttpRequest request;  // without client and body
  bool chunked = false;
  bool expects_continue = false;
};

// `raw`: the start line and the fields as they came.
HttpFault ReadHttpHead(std::string_view raw, const HttpFields& fields, const HttpLimits& limits,
                       HttpHead& head);

// Whether the value of a Host field is a host and nothing else: a name or an address, and perhaps a
// port.
bool IsHttpHost(std::string_view host);

// Where the first line end stands that is no CRLF; npos: nowhere.
size_t FindBareLineFeed(std::string_view text);

}  // namespace weir
