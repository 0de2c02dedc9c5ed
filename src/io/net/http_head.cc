#include "io/net/http_head.h"

#include <algorithm>
#include <cctype>

#include "io/net/url.h"

namespace weir {
namespace {

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i]);
    size_t more = lead < 0x80 ? 0 : lead < 0xc2 ? 4 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (lead > 0xf4 || more == 4 || i + more >= text.size()) return false;
    for (size_t k = 1; k <= more; k++) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    auto second = more ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (lead == 0xe0 && second < 0xa0) return false;
    if (lead == 0xed && second > 0x9f) return false;
    if (lead == 0xf0 && second < 0x90) return false;
    if (lead == 0xf4 && second > 0x8f) return false;
    i += more + 1;
  }
  return true;
}

// A line that begins with a space goes on with the field before it: readers differ about that.
bool HasFoldedLine(std::string_view raw) {
  return raw.find("\r\n ") != std::string_view::npos ||
         raw.find("\r\n\t") != std::string_view::npos;
}

// "http://host/path" says the host by itself, whatever the Host field says.
bool TakeAuthority(std::string_view& target, std::string& host) {
  auto scheme = target.find("://");
  if (scheme == std::string_view::npos || target[0] == '/') return false;
  auto name = LowerCase(target.substr(0, scheme));
  if (name != "http" && name != "https") return false;
  target.remove_prefix(scheme + 3);
  auto end = std::min(target.find_first_of("/?"), target.size());
  host = target.substr(0, end);
  target.remove_prefix(end);
  return true;
}

bool ReadPath(std::string_view path, HttpRequest& request) {
  if (!DecodeUrl(path, request.path) || !IsUtf8(request.path)) return false;
  // An encoded slash is part of a name.
  while (true) {
    auto end = std::min(path.find('/'), path.size());
    if (!DecodeUrl(path.substr(0, end), request.segments.emplace_back())) return false;
    if (end == path.size()) break;
    path.remove_prefix(end + 1);
  }
  if (request.segments.back().empty()) request.segments.pop_back();  // a slash at the end
  return true;
}

HttpFault ReadTarget(std::string_view target, HttpRequest& request, std::string& authority) {
  HttpFault malformed{400, "the URL is malformed"};
  for (char c : target) {
    auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f) return malformed;
  }
  if (target == "*" && request.method == "OPTIONS") {
    request.path = "*";
    request.segments = {"*"};
    return {};
  }
  if (TakeAuthority(target, authority)) {
    if (!IsHttpHost(authority)) return malformed;
    if (target.empty() || target[0] == '?') {
      request.path = "/";
      request.segments = {""};
    }
  } else if (target.empty() || target[0] != '/') {
    return malformed;
  }
  auto question = std::min(target.find('?'), target.size());
  if (question > 0 && !ReadPath(target.substr(0, question), request)) return malformed;
  if (question == target.size()) return {};
  if (!DecodeQuery(target.substr(question + 1), request.query)) {
    return {400, "the query of the URL is malformed"};
  }
  for (auto& [name, value] : request.query) {
    if (!IsUtf8(name) || !IsUtf8(value)) return {400, "the query of the URL is not UTF-8"};
  }
  return {};
}

HttpFault ReadCodings(const std::string& codings, unsigned version, HttpHead& head) {
  if (version < 11) return {400, "Transfer-Encoding is of HTTP/1.1"};
  auto list = LowerCase(codings);
  std::erase_if(list, [](char c) { return c == ' ' || c == '\t'; });
  auto comma = list.rfind(',');
  auto last = comma == std::string::npos ? list : list.substr(comma + 1);
  if (last != "chunked") return {400, "the last Transfer-Encoding is not chunked"};
  // "gzip, chunked" would be read as if it said nothing of gzip.
  if (comma != std::string::npos) return {501, "unknown Transfer-Encoding"};
  head.chunked = true;
  return {};
}

}  // namespace

size_t FindBareLineFeed(std::string_view text) {
  for (size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    if (at == 0 || text[at - 1] != '\r') return at;
  }
  return std::string_view::npos;
}

bool IsHttpHost(std::string_view host) {
  if (host.empty()) return false;
  size_t end;
  if (host[0] == '[') {
    end = host.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    for (char c : host.substr(1, end - 1)) {
      if (!std::isxdigit(static_cast<unsigned char>(c)) && c != ':' && c != '.') return false;
    }
    end++;
  } else {
    end = std::min(host.find(':'), host.size());
    if (end == 0) return false;
    for (char c : host.substr(0, end)) {
      auto byte = static_cast<unsigned char>(c);
      if (!std::isalnum(byte) && c != '-' && c != '.' && c != '_') return false;
    }
  }
  if (end == host.size()) return true;
  auto port = host.substr(end);
  if (port[0] != ':' || port.size() > 6) return false;
  return std::all_of(port.begin() + 1, port.end(),
                     [](char c) { return std::isdigit(static_cast<unsigned char>(c)); });
}

HttpFault ReadHttpHead(std::string_view raw, const HttpFields& fields, const HttpLimits& limits,
                       HttpHead& head) {
  auto& request = head.request;
  request.method = fields.method;
  if (fields.target.size() > limits.target_bytes) return {414, "the URL is too long"};
  if (HasFoldedLine(raw)) return {400, "a header goes on in a second line"};
  std::string authority;
  if (auto fault = ReadTarget(fields.target, request, authority); fault.status) return fault;

  int lengths = 0, encodings = 0, hosts = 0;
  for (auto& [name_as_sent, value] : fields.fields) {
    auto name = LowerCase(name_as_sent);
    lengths += name == "content-length";
    encodings += name == "transfer-encoding";
    hosts += name == "host";
    auto [entry, added] = request.headers.emplace(name, value);
    if (!added) entry->second += ", " + std::string(value);
  }
  if (lengths > 1 || (lengths && encodings)) return {400, "the body's length is ambiguous"};
  if (hosts > 1 || (hosts == 0 && fields.version >= 11)) {
    return {400, "the Host header is missing or doubled"};
  }
  if (hosts == 1 && !IsHttpHost(request.headers["host"])) {
    return {400, "the Host header is no host"};
  }
  if (!authority.empty()) request.headers["host"] = authority;
  if (encodings) {
    auto fault = ReadCodings(request.headers["transfer-encoding"], fields.version, head);
    if (fault.status) return fault;
  }
  if (auto expect = LowerCase(request.Header("expect")); !expect.empty()) {
    if (expect != "100-continue") return {417, "unknown Expect"};
    head.expects_continue = fields.version >= 11;  // HTTP/1.0 knows no interim answers
  }
  return {};
}

}  // namespace weir
