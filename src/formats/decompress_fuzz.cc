// Any bytes as a compressed body: at most the size allowed, or an error.
#include "base/error.h"
#include "formats/decompress.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMax = 1 << 20;
  if (size == 0) return 0;
  auto kind = data[0] & 1 ? weir::Compression::kGzip : weir::Compression::kZstd;
  try {
    std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (weir::Decompress(kind, bytes, kMax).size() > kMax) __builtin_trap();
  } catch (const weir::Error&) {
  }
  return 0;
}
