// The web app inside the program: made from web/dist by tools/embed_web.py.
#pragma once

#include "server/web_assets.h"

namespace weir {

class EmbeddedWeb : public WebAssets {
 public:
  std::optional<WebAsset> Find(const std::string& path) const override;
};

}  // namespace weir
