#include "app/embedded_web.h"

#include <cstddef>

// Defined by the generated embedded_web.S.
struct EmbeddedFile {
  const char* path;
  const char* bytes;
  size_t size;
  const char* gzip;  // null: not compressed
  size_t gzip_size;
};
extern "C" const EmbeddedFile weir_embedded_files[];
extern "C" const size_t weir_embedded_file_count;

namespace weir {

std::optional<WebAsset> EmbeddedWeb::Find(const std::string& path) const {
  for (size_t i = 0; i < weir_embedded_file_count; i++) {
    const EmbeddedFile& file = weir_embedded_files[i];
    if (path != file.path) continue;
    return WebAsset{std::string_view(file.bytes, file.size),
                    file.gzip ? std::string_view(file.gzip, file.gzip_size) : std::string_view()};
  }
  return std::nullopt;
}

}  // namespace weir
