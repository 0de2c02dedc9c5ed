// Who calls, by whatever protocol.  Every entry takes one; nobody is known by name yet.
#pragma once

#include <string>

namespace weir {

struct Caller {
  std::string user = "anonymous";
  std::string address;  // of the machine it calls from: callers take turns, and have shares, by it
};

}  // namespace weir
