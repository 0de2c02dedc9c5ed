// Request bodies out of gzip and zstd, with an absolute cap and a limit on the ratio, so that a
// small body cannot become a huge one.  Thread-safe: no state.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "formats/row_memory.h"

namespace weir {

enum class Compression { kGzip, kZstd };

// Throws kTooLarge above `bytes_max` or above 1,000 times the input (and 1 MiB), kInvalidData for
// what is truncated or not of the format.  What it takes is added to `memory`, which may be null.
std::string Decompress(Compression compression, std::string_view bytes, size_t bytes_max,
                       RowMemory::Hold* memory = nullptr);

// One gzip member.
std::string Gzip(std::string_view bytes);

}  // namespace weir
