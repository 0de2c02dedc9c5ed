// Files of the web app, wherever they come from (main hands in those inside the program).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir {

struct WebAsset {
  std::string_view bytes;
  std::string_view gzip;  // the same compressed, or empty
};

class WebAssets {
 public:
  virtual ~WebAssets() = default;
  virtual std::optional<WebAsset> Find(const std::string& path) const = 0;  // "/index.html"
};

}  // namespace weir
