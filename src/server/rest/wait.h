// What several routes read from a request's parameters.
#pragma once

#include "server/server.h"

namespace weir {

bool IsTrue(const HttpRequest& request, const char* name);
uint64_t NumberParameter(const HttpRequest& request, const char* name, uint64_t otherwise);

// Calls `then` once the views, or this one, stand at ?wait_for=OFFSET (at once without it); what it
// throws, and a time-out, is answered.
void WhenReached(Server& server, const ExchangePtr& exchange, const std::string& view,
                 std::function<void()> then);

// A view's content in the format the request asks for.
HttpResponse SnapshotResponse(const Snapshot& snapshot, const HttpRequest& request);

}  // namespace weir
