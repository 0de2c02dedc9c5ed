// Strong types for numbers that are easily mixed up.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace weir {

// A position in the log: how many rows had been accepted up to and including it, over all
// streams.  The first row has offset 1; 0 stands before everything.
struct Offset {
  uint64_t value = 0;
  auto operator<=>(const Offset&) const = default;
};

// A stream's number for life; never reused, so records of a dropped stream stay recognisable.
struct StreamId {
  uint32_t value = 0;
  auto operator<=>(const StreamId&) const = default;
};

// Microseconds since 1970-01-01 UTC, the unit of every wall-clock time inside the program.
using Micros = int64_t;

}  // namespace weir

template <>
struct std::hash<weir::StreamId> {
  size_t operator()(weir::StreamId id) const { return std::hash<uint32_t>()(id.value); }
};
