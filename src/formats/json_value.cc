#include "formats/json_value.h"

#include "simdjson.h"

namespace weir {
std::string NotA(const duckdb::LogicalType& type) {
  std::string name = type.ToString();
  bool vowel = std::string_view("AEIO").find(name[0]) != std::string_view::npos;
  return (vowel ? "not an " : "not a ") + name;
}

std::string ValidUtf8(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    auto c = static_cast<unsigned char>(text[i]);
    size_t length = c < 0x80                ? 1
                    : c >= 0xc2 && c < 0xe0 ? 2
                    : c >= 0xe0 && c < 0xf0 ? 3
                    : c >= 0xf0 && c < 0xf5 ? 4
                                            : 0;
    auto part = text.substr(i, length);
    if (length > 0 && part.size() == length && simdjson::validate_utf8(part.data(), length)) {
      out += part;
      i += length;
    } else {
      out += "\xef\xbf\xbd";
      i++;
    }
  }
  return out;
}

void AppendQuotedJson(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); i++) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        out += "\\u00";
        out += kHex[c >> 4];
        out += kHex[c & 15];
    }
  }
  out.append(text, plain, text.size() - plain);
  out += '"';
}

std::string QuoteJson(std::string_view text) {
  std::string out;
  AppendQuotedJson(out, text);
  return out;
}

}  // namespace weir
