// What travels beside the rows in a log record: the producer's idempotency key, a hash of its body
// and the answer it got, so that "seen already" survives a restart together with the data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ingest/ingest.h"

namespace weir {

// The answer to a body with a key is the same whenever it is given, so no longer than what is kept.
inline constexpr size_t kErrorsOfKeyed = 100;

struct RecordMeta {
  std::string stream;
  std::string key;         // idempotency key
  uint64_t body_hash = 0;  // of the body and what was to be done with it
  IngestAnswer answer;     // offset left out: the record's own; at most kErrorsOfKeyed refused rows
};

std::string EncodeMeta(const RecordMeta& meta);
// Nothing when the record carries none; throws Error(kCorruption) on damaged bytes.
std::optional<RecordMeta> DecodeMeta(std::string_view bytes);

}  // namespace weir
