// What travels beside the rows in a log record: the producer's idempotency key, a hash of its body
// and the answer it got, so that "seen already" survives a restart together with the data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ingest/ingest.h"

namespace weir {

struct RecordMeta {
  std::string stream;
  std::string key;  // idempotency key
  uint64_t body_hash = 0;
  IngestAnswer answer;  // offset left out: the record's own
};

std::string EncodeMeta(const RecordMeta& meta);
// Nothing when the record carries none; throws Error(kCorruption) on damaged bytes.
std::optional<RecordMeta> DecodeMeta(std::string_view bytes);

}  // namespace weir
