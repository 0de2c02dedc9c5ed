// How much memory there is, and how much of it this process has.  Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace weir {

// What the process may use: the machine's memory, or less where its control group says so.
uint64_t MemoryThereIs();

// Bytes that only this process's end or its own doing would free: resident and not of a file.
// Costs some 10 us.
uint64_t MemoryInUse();

// An amount as people write it: "2GB", "512 MiB", "70%" of `all`, or "none": 0.  Throws
// Error(kInvalidRequest) that names `setting`.
uint64_t BytesFrom(const std::string& setting, const std::string& text, uint64_t all);

}  // namespace weir
