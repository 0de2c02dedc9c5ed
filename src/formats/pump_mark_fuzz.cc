// Any bytes as the mark of a pump: either it is none, or it is written again as it was.
#include "formats/pump_mark.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto mark = weir::DecodePumpMark(bytes);
  if (mark && weir::EncodePumpMark(*mark) != bytes) __builtin_trap();
  return 0;
}
