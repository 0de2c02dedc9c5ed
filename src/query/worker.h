// The life of a query worker: `weir query-worker`, started by QueryPool with a socket as
// descriptor 3. Takes a hello, shuts itself in, then answers one query after the other until the
// socket closes.
#pragma once

namespace weir {

// Returns the process's exit code.
int RunQueryWorker(int socket_fd);

}  // namespace weir
