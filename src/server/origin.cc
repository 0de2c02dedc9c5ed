#include "server/origin.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/text.h"
#include "io/net/http_head.h"

namespace weir {
namespace {

// Without the port.
std::string_view NameOf(std::string_view host) {
  auto end = host.starts_with('[') ? host.find(']') + 1 : std::min(host.find(':'), host.size());
  return host.substr(0, end);
}

bool IsAddress(std::string_view name) {
  if (name.starts_with('[')) return true;
  return name.find_first_not_of("0123456789.") == std::string_view::npos;
}

// No site of the public Internet has such a name.
bool IsPrivateName(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (IsAddress(name) || name.find('.') == std::string_view::npos) return true;
  return name.ends_with(".localhost") || name.ends_with(".local") || name.ends_with(".internal");
}

// Every browser says so, and no page can make it say otherwise.
bool IsBrowser(const HttpRequest& request) {
  return request.Header("user-agent").find("Mozilla/") != std::string::npos;
}

bool MayChange(const HttpRequest& request) {
  return request.method != "GET" && request.method != "HEAD" && request.method != "OPTIONS";
}

[[noreturn]] void Refuse(const std::string& what, const std::string& hint) {
  throw Error(ErrorCode::kForbidden, what, hint);
}

constexpr const char* kHostsHint =
    "If this name is one of Weir's, say so in weir.toml: hosts = \"NAME\".";

}  // namespace

OriginRules::OriginRules(std::vector<std::string> hosts) : hosts_(std::move(hosts)) {}

std::vector<std::string> OriginRules::ReadHosts(const std::string& list) {
  std::vector<std::string> hosts;
  if (list.empty()) return hosts;
  for (auto& part : Split(list, ',')) {
    auto host = Lower(part);
    std::erase_if(host, [](char c) { return c == ' ' || c == '\t'; });
    if (!IsHttpHost(host)) {
      throw Error(ErrorCode::kInvalidRequest, "hosts: \"" + part + "\" is no name of a host",
                  "Write hosts = \"weir.example.com\"; several with commas between them.");
    }
    hosts.push_back(host);
  }
  return hosts;
}

bool OriginRules::IsListed(std::string_view host) const {
  return std::any_of(hosts_.begin(), hosts_.end(), [&](auto& listed) {
    return listed == host || (NameOf(listed) == listed && listed == NameOf(host));
  });
}

bool OriginRules::IsOurName(const std::string& host) const {
  return host.empty() || IsPrivateName(NameOf(host)) || IsListed(host);
}

void OriginRules::Check(const HttpRequest& request, bool works) const {
  // Whoever looks whether we are well may call us what he likes.
  if (request.path == "/healthz" || request.path == "/readyz") return;
  std::string host = Lower(request.Header("host"));
  if (!IsOurName(host)) {
    Refuse("this is not the server of \"" + request.Header("host") + "\"", kHostsHint);
  }
  bool reads = !MayChange(request) && !works;
  if (std::string origin = request.Header("origin"); !origin.empty()) {
    auto scheme = origin.find("://");
    auto from = scheme == std::string::npos ? "" : Lower(origin.substr(scheme + 3));
    bool ours = !from.empty() && (from == host || IsListed(from));
    if (ours || (reads && !request.path.starts_with("/v1/"))) return;
    Refuse("requests from pages of " + origin + " are not accepted", kHostsHint);
  }
  std::string site = request.Header("sec-fetch-site");
  if (site == "same-origin" || site == "none") return;
  if (!site.empty()) {
    // Whoever follows a link to us sees our page; everything else is that other page's doing.
    bool link = request.Header("sec-fetch-mode") == "navigate" &&
                request.Header("sec-fetch-dest") == "document";
    if (reads && (link || !request.path.starts_with("/v1/"))) return;
    Refuse("requests from pages of other sites are not accepted", kHostsHint);
  }
  // Over plain HTTP browsers say nothing of where a GET comes from; of all else they do.
  if (works && !MayChange(request) && IsBrowser(request)) {
    Refuse("a browser that does not say which page it sends this for is not served",
           "Use POST, or reach Weir by HTTPS or on localhost.");
  }
}

}  // namespace weir
