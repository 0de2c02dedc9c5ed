#include "base/crc32c.h"

#include <array>
#include <cstring>

namespace weir {

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // bits reversed

using ByteTable = std::array<uint32_t, 256>;

// tables[k][b]: the effect of byte b followed by k zero bytes.
constexpr std::array<ByteTable, 8> MakeTables() {
  std::array<ByteTable, 8> tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) {
      crc = (crc >> 1) ^ (crc & 1 ? kPolynomial : 0);
    }
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; k++) {
    for (size_t byte = 0; byte < 256; byte++) {
      uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr std::array<ByteTable, 8> kTables = MakeTables();

uint64_t Load64(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

uint32_t Step(uint32_t crc, char byte) {
  return (crc >> 8) ^ kTables[0][(crc ^ uint8_t(byte)) & 0xff];
}

#if defined(__x86_64__)

// One instruction takes three cycles but a new one can start each cycle, so three lanes run side
// by side; a lane's checksum is then moved past the bytes that follow it by table (checksums are
// linear: skipping n zero bytes is a fixed function of the 32 bits).
constexpr size_t kLane = 1360;

struct SkipLane {
  std::array<ByteTable, 4> table;

  SkipLane() {
    std::array<uint32_t, 32> of_bit;
    for (int bit = 0; bit < 32; bit++) {
      uint32_t crc = uint32_t{1} << bit;
      for (size_t i = 0; i < kLane; i++) {
        crc = Step(crc, 0);
      }
      of_bit[bit] = crc;
    }
    for (int byte = 0; byte < 4; byte++) {
      for (uint32_t value = 0; value < 256; value++) {
        uint32_t crc = 0;
        for (int bit = 0; bit < 8; bit++) {
          crc ^= value >> bit & 1 ? of_bit[byte * 8 + bit] : 0;
        }
        table[byte][value] = crc;
      }
    }
  }

  uint32_t operator()(uint32_t crc) const {
    return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^
           table[3][crc >> 24];
  }
};

__attribute__((target("sse4.2"))) uint32_t Crc32cHardware(std::string_view bytes, uint32_t start) {
  static const SkipLane skip;
  const char* p = bytes.data();
  size_t n = bytes.size();
  uint64_t crc = ~start;
  for (; n >= 3 * kLane; p += 3 * kLane, n -= 3 * kLane) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < kLane; i += 8) {
      crc = __builtin_ia32_crc32di(crc, Load64(p + i));
      second = __builtin_ia32_crc32di(second, Load64(p + kLane + i));
      third = __builtin_ia32_crc32di(third, Load64(p + 2 * kLane + i));
    }
    crc = skip(skip(uint32_t(crc)) ^ uint32_t(second)) ^ uint32_t(third);
  }
  for (; n >= 8; p += 8, n -= 8) {
    crc = __builtin_ia32_crc32di(crc, Load64(p));
  }
  for (; n > 0; p++, n--) {
    crc = __builtin_ia32_crc32qi(uint32_t(crc), uint8_t(*p));
  }
  return ~uint32_t(crc);
}

bool HasInstruction() { return __builtin_cpu_supports("sse4.2"); }

#else

uint32_t Crc32cHardware(std::string_view bytes, uint32_t crc) { return Crc32cPortable(bytes, crc); }
bool HasInstruction() { return false; }

#endif

}  // namespace

uint32_t Crc32cPortable(std::string_view bytes, uint32_t start) {
  const char* p = bytes.data();
  size_t n = bytes.size();
  uint32_t crc = ~start;
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word = Load64(p) ^ crc;
    crc = 0;
    for (int i = 0; i < 8; i++) {
      crc ^= kTables[7 - i][word >> (8 * i) & 0xff];
    }
  }
  for (; n > 0; p++, n--) {
    crc = Step(crc, *p);
  }
  return ~crc;
}

uint32_t Crc32c(std::string_view bytes, uint32_t crc) {
  static const bool has_instruction = HasInstruction();
  return has_instruction ? Crc32cHardware(bytes, crc) : Crc32cPortable(bytes, crc);
}

}  // namespace weir
