// Why views and pumps are parked, as a file: at the next start they are parked again, with the same
// reason, instead of meeting it once more.  Only what lies in their query and the rows it reads is
// kept; what may pass (memory, a file that cannot be read) is tried anew.
//
// It is a cache: without it, or when it is damaged, they are filled from the beginning.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace weir {

struct ParkedReason {
  std::string query;  // an id with another query is of another life of the data
  Error error;
};
using ParkedReasons = std::map<uint32_t, ParkedReason>;  // by id of view or pump

std::string SaveParked(const ParkedReasons& reasons);
ParkedReasons LoadParked(std::string_view bytes);

}  // namespace weir
