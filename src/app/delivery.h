// Delivers bodies to a stream, each exactly once: a key for each body, and patience.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/net/http_client.h"

namespace weir {

struct Delivered {
  uint64_t accepted = 0, rejected = 0, duplicates = 0;
  struct Refused {
    uint64_t line;       // of the body
    std::string reason;  // with the column and the value
  };
  std::vector<Refused> refused;  // the first of them
};

class Delivery {
 public:
  Delivery(const std::string& url, const std::string& stream, std::string content_type);
  // Tries again, with the same key, when the server is busy, away or starting; throws after about
  // a minute of that, and at once for an error that trying again cannot mend.
  Delivered Send(const std::string& key, std::string_view body);

 private:
  HttpClient client_;
  std::string target_, content_type_;
};

}  // namespace weir
