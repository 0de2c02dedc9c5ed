// Which requests a browser may have been made to send by a page that is not ours.
//
// Weir has no users, so a request is trusted for where it comes from.  Two ways round that are
// closed here.  A page of another site can make a browser send requests to us: the browser says so
// by Origin or Sec-Fetch-Site.  And the name of such a site can be made to point at our address, so
// that its page is of the same origin as we are (DNS rebinding): the browser then sends that name
// as Host. Names that nobody outside can own (addresses, names without a dot, localhost, .local,
// .internal) are ours; others are told to us.  Immutable.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/net/http_server.h"

namespace weir {

class OriginRules {
 public:
  // `hosts`: further names that reach us, "weir.example.com" or with a port, in any case.
  explicit OriginRules(std::vector<std::string> hosts);

  // Throws Error(kForbidden).  `works`: the request changes something, or runs a query.
  void Check(const HttpRequest& request, bool works) const;

  // A list "a.example, b.example:8080" of a setting; throws Error(kInvalidRequest).
  static std::vector<std::string> ReadHosts(const std::string& list);

 private:
  bool IsListed(std::string_view host) const;
  bool IsOurName(const std::string& host) const;

  const std::vector<std::string> hosts_;
};

}  // namespace weir
