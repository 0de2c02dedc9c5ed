// Deterministic sign-up events for benchmarks: 118 bytes each as NDJSON, one in five a sign-up, in
// time order over 30 days.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <random>
#include <string>

#include "catalog/catalog.h"

namespace weir {

inline std::shared_ptr<const Stream> SampleStream() {
  auto stream = std::make_shared<Stream>();
  stream->id = StreamId{1};
  stream->name = "events";
  stream->columns = {{"event_id", duckdb::LogicalType::UUID},
                     {"event_time", duckdb::LogicalType::TIMESTAMP},
                     {"event_name", duckdb::LogicalType::VARCHAR}};
  return stream;
}

inline constexpr int64_t kSampleStartSeconds = 1580515200;  // 2020-02-01
inline constexpr int64_t kSampleSpanMicros = 30ll * 86400 * 1000000;

inline const char* SampleName(uint64_t random) {
  static constexpr const char* kNames[] = {"sign_up", "sign_in", "sign_in", "sign_in",
                                           "password_reset"};
  return kNames[random % 5];
}

inline std::string SampleNdjson(size_t events) {
  std::mt19937_64 random(42);
  std::string body;
  body.reserve(events * 125);
  for (size_t i = 0; i < events; i++) {
    uint64_t a = random(), b = random();
    int64_t micros = static_cast<int64_t>(static_cast<double>(kSampleSpanMicros) *
                                          static_cast<double>(i) / static_cast<double>(events));
    int64_t seconds = micros / 1000000;
    int64_t day = seconds / 86400, rest = seconds % 86400;
    int month = day < 29 ? 2 : 3;
    auto date = static_cast<int>(day < 29 ? day + 1 : day - 28);
    fmt::format_to(std::back_inserter(body),
                   "{{\"event_id\":\"{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}\",\"event_time\":"
                   "\"2020-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\"event_name\":\"{}\"}}\n",
                   a >> 32, a >> 16 & 0xffff, a >> 4 & 0xfff, b & 0xfff, b >> 16, month, date,
                   rest / 3600, rest / 60 % 60, rest % 60, micros / 1000 % 1000, SampleName(a ^ b));
  }
  return body;
}

}  // namespace weir
