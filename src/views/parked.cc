#include "views/parked.h"

#include "duckdb/common/checksum.hpp"
#include "flow/state/state_io.h"

namespace weir {
namespace {

constexpr uint64_t kParkedMagic = 0x31444b5052494557ull;  // "WEIRPKD1"

uint64_t ParkedSum(std::string_view bytes) {
  return duckdb::Checksum(reinterpret_cast<uint8_t*>(const_cast<char*>(bytes.data())),
                          bytes.size());
}

// By its name, which stays; numbers of an enumeration do not.
ErrorCode CodeNamed(std::string_view name) {
  for (int code = 0; code < static_cast<int>(ErrorCode::kInternal); code++) {
    if (ToString(static_cast<ErrorCode>(code)) == name) return static_cast<ErrorCode>(code);
  }
  return ErrorCode::kInternal;
}

}  // namespace

std::string SaveParked(const ParkedReasons& reasons) {
  StateWriter writer;
  writer.Put(kParkedMagic);
  writer.Put<uint64_t>(reasons.size());
  for (auto& [id, reason] : reasons) {
    writer.Put(id);
    writer.PutString(reason.query);
    writer.PutString(ToString(reason.error.code));
    writer.PutString(reason.error.message);
    writer.PutString(reason.error.hint);
  }
  writer.Put(ParkedSum(writer.bytes()));
  return std::move(writer.bytes());
}

ParkedReasons LoadParked(std::string_view bytes) {
  ParkedReasons reasons;
  if (bytes.size() < 2 * sizeof(uint64_t)) return reasons;
  auto body = bytes.substr(0, bytes.size() - sizeof(uint64_t));
  StateReader tail(bytes.substr(body.size()));
  if (tail.Get<uint64_t>() != ParkedSum(body)) return reasons;
  StateReader reader(body);
  if (reader.Get<uint64_t>() != kParkedMagic) return reasons;
  for (uint64_t left = reader.Get<uint64_t>(); left; left--) {
    auto id = reader.Get<uint32_t>();
    std::string query(reader.GetString());
    ErrorCode code = CodeNamed(reader.GetString());
    std::string message(reader.GetString()), hint(reader.GetString());
    reasons.emplace(id, ParkedReason{std::move(query), Error(code, message, hint)});
  }
  return reasons;
}

}  // namespace weir
