// Any bytes as the meta data of a record and as a file of idempotency keys: an error, or what is
// written again and read back as the same.
#include "base/error.h"
#include "ingest/idempotency.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weir;  // NOLINT
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  static TaskThread resumed;
  try {
    if (data[0] % 2) {
      auto meta = DecodeMeta(bytes);
      if (!meta || meta->answer.rejected.size() > kErrorsOfKeyed) return 0;
      std::string once = EncodeMeta(*meta);
      if (EncodeMeta(*DecodeMeta(once)) != once) __builtin_trap();
    } else {
      IdempotencyWindow window(resumed), again(resumed);
      window.Load(bytes);
      std::string once = window.Save();
      again.Load(once);
      if (again.Save() != once) __builtin_trap();
    }
  } catch (const Error&) {
  }
  return 0;
}
