// Percent-encoding.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

// Each returns false for text that is not properly encoded (or holds a NUL).
bool DecodeUrl(std::string_view text, std::string& out, bool plus_is_space = false);
bool DecodeQuery(std::string_view text, std::vector<std::pair<std::string, std::string>>& out);
std::string EncodeUrl(std::string_view text);

}  // namespace weir
