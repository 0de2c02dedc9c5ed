#include "app/lake_settings.h"

#include <algorithm>
#include <charconv>

#include "duckdb/common/types/interval.hpp"
#include "io/memory/memory.h"

namespace weir {
namespace {

// A length of time as people write it: "60 seconds", "500 ms", "1 minute".
Micros DurationFrom(const std::string& setting, const std::string& text) {
  duckdb::interval_t interval;
  std::string error;
  bool read = duckdb::Interval::FromCString(text.data(), text.size(), interval, &error, false);
  constexpr Micros kDay = Micros{24} * 3600 * 1'000'000;
  if (read && interval.months == 0 && interval.days >= 0 && interval.days <= 30 &&
      interval.micros >= 0 && interval.micros + interval.days > 0) {
    return interval.micros + interval.days * kDay;
  }
  throw Error(ErrorCode::kInvalidRequest, setting + " \"" + text + "\" is no length of time",
              "Write it as in '500 ms', '60 seconds' or '5 minutes'.");
}

uint64_t CountFrom(const std::string& setting, const std::string& text) {
  uint64_t count = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && end == text.data() + text.size() && count > 0) return count;
  throw Error(ErrorCode::kInvalidRequest, setting + " \"" + text + "\" is no number of rows",
              "Write a whole number, at least 1.");
}

}  // namespace

void ApplyLakeSettings(const ProjectSettings& settings, LogOptions& log, LakeOptions& lake) {
  if (!settings.landing_interval.empty()) {
    lake.interval = DurationFrom("landing_interval", settings.landing_interval);
  }
  if (!settings.landing_rows.empty()) {
    lake.file_rows_max = CountFrom("landing_rows", settings.landing_rows);
  }
  if (!settings.segment_size.empty()) {
    constexpr uint64_t kLeast = 64 << 10, kMost = uint64_t{1} << 30;
    uint64_t bytes = BytesFrom("segment_size", settings.segment_size, log.segment_bytes);
    log.segment_bytes = std::clamp(bytes, kLeast, kMost);
  }
  if (!settings.scrub_rate.empty()) {
    lake.scrub_bytes_per_second =
        BytesFrom("scrub_rate", settings.scrub_rate, lake.scrub_bytes_per_second);
  }
}

// A file, at worst as large as what it is made of, and one that is written beside it; of a small
// disk less, so that most of it is the log's.
uint64_t KeptForLanding(const LakeOptions& lake, uint64_t disk_bytes) {
  return std::min(2 * lake.file_bytes, disk_bytes / 16);
}

}  // namespace weir
