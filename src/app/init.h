#pragma once
#include <string>

namespace weir {
// Writes a small commented project; refuses a folder that is not empty.
int RunInit(const std::string& folder);
}  // namespace weir
