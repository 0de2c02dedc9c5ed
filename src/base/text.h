// Small things about text that several folders need.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir {

// A-Z as a-z, nothing else: how names are compared.
inline std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// As messages name things.
inline std::string InQuotes(std::string_view name) { return '"' + std::string(name) + '"'; }

// The parts between separators; a separator at the end begins no part.
inline std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parts;
}

}  // namespace weir
