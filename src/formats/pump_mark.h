// What travels beside the rows of a log record that a pump wrote: whose they are, and up to which
// input everything the pump's query says is in the log once this record is.
//
// Rows and mark become durable together or not at all, so after any crash the log itself says from
// where a pump goes on.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace weir {

// A position of the engine: what it has read, what its clock said, and when the last record it had
// read was committed (which says what windows are closed; also one without rows, at the same
// offset).
struct InputMark {
  Offset offset;
  Micros clock = 0;
  Micros log_time = 0;
  auto operator<=>(const InputMark&) const = default;
};

struct PumpMark {
  uint32_t pump = 0;
  InputMark input;
};

// Bytes that no producer's meta begins with (ingest/meta.h).
std::string EncodePumpMark(const PumpMark& mark);
// Nothing when the record is no pump's.
std::optional<PumpMark> DecodePumpMark(std::string_view meta);

}  // namespace weir
