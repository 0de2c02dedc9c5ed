#include "io/net/url.h"

#include <cctype>

namespace weir {
namespace {

int Hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool DecodeUrl(std::string_view text, std::string& out, bool plus_is_space) {
  out.clear();
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (i + 2 >= text.size() || Hex(text[i + 1]) < 0 || Hex(text[i + 2]) < 0) return false;
      char c = static_cast<char>(Hex(text[i + 1]) * 16 + Hex(text[i + 2]));
      if (c == 0) return false;
      out += c;
      i += 2;
    }
  }
  return true;
}

bool DecodeQuery(std::string_view text, std::vector<std::pair<std::string, std::string>>& out) {
  while (!text.empty()) {
    auto end = std::min(text.find('&'), text.size());
    auto pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    auto equals = std::min(pair.find('='), pair.size());
    std::string name, value;
    if (!DecodeUrl(pair.substr(0, equals), name, true)) return false;
    if (equals < pair.size() && !DecodeUrl(pair.substr(equals + 1), value, true)) return false;
    out.emplace_back(std::move(name), std::move(value));
  }
  return true;
}

std::string EncodeUrl(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

}  // namespace weir
