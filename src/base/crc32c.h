// CRC-32C (Castagnoli), the checksum of everything in the log.  The processor's own instruction
// where there is one (chosen once, at run time), tables elsewhere; both give the same value.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir {

// Continues `crc`, the checksum of what stands before `bytes`.
uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);

// The table version, for tests and machines without the instruction.
uint32_t Crc32cPortable(std::string_view bytes, uint32_t crc = 0);

}  // namespace weir
