// What several routes read from a request's parameters.
#pragma once

#include "server/server.h"

namespace weir {

bool IsTrue(const HttpRequest& request, const char* name);
uint64_t NumberParameter(const HttpRequest& request, const char* name, uint64_t otherwise);
Caller CallerOf(const HttpRequest& request);

// ?wait_for=OFFSET, and for how long: ?timeout_ms, at most a minute.
std::optional<Offset> WaitFor(const HttpRequest& request);
Micros WaitMax(const HttpRequest& request);

// Calls `then` once the views, or this one, stand at ?wait_for=OFFSET (at once without it); what it
// throws, and a time-out, is answered.
void WhenReached(Server& server, const ExchangePtr& exchange, const std::string& view,
                 std::function<void()> then);

// Says of an answer that a view in it answered as it was defined before: NAME (percent-encoded);
// version=...; progress=... of the definition that is being filled.
inline constexpr const char* kReplacedHeader = "Weir-Replaced-By";
std::string ReplacedHeader(const std::string& view, const Replacement& by);

// A view's content in the format the request asks for.  Of more rows than `limit` (0: none) the
// rest is left out, and the answer says so.
HttpResponse SnapshotResponse(Snapshot& snapshot, const HttpRequest& request, uint64_t limit = 0);

}  // namespace weir
