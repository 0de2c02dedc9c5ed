#include "formats/pump_mark.h"

#include <cstring>

namespace weir {
namespace {

// A producer's meta begins with the length of a text, which is never this much.
constexpr char kMagic[] = "\xff\xff\xff\xffPUMP";
constexpr size_t kMagicBytes = 8;
constexpr size_t kBytes = kMagicBytes + sizeof(uint32_t) + 3 * sizeof(uint64_t);

}  // namespace

std::string EncodePumpMark(const PumpMark& mark) {
  std::string bytes(kMagic, kMagicBytes);
  auto put = [&](auto number) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof(number));
  };
  put(mark.pump);
  put(mark.input.offset.value);
  put(mark.input.clock);
  put(mark.input.log_time);
  return bytes;
}

std::optional<PumpMark> DecodePumpMark(std::string_view meta) {
  if (meta.size() != kBytes || !meta.starts_with(std::string_view(kMagic, kMagicBytes))) {
    return std::nullopt;
  }
  PumpMark mark;
  const char* at = meta.data() + kMagicBytes;
  auto take = [&](auto& number) {
    std::memcpy(&number, at, sizeof(number));
    at += sizeof(number);
  };
  take(mark.pump);
  take(mark.input.offset.value);
  take(mark.input.clock);
  take(mark.input.log_time);
  return mark;
}

}  // namespace weir
